import type { FastifyInstance, RouteOptions } from "fastify";
import { packageVersion } from "../package-version.ts";
import { problemType } from "./problem.ts";

declare module "fastify" {
  interface FastifySchema {
    readonly summary?: string;
  }
}

interface RouteSchema {
  readonly summary?: string;
  readonly body?: object;
  readonly querystring?: {
    readonly properties: Readonly<Record<string, object>>;
    readonly required?: readonly string[];
  };
}

type Operation = Readonly<Record<string, unknown>>;

/** Serves an OpenAPI 3.1 description of the /api routes that are added from now on. */
export function addOpenApi(server: FastifyInstance): void {
  const paths: Record<string, Record<string, Operation>> = {};
  server.addHook("onRoute", (route) => {
    if (!route.url.startsWith("/api/")) return;
    for (const method of [route.method].flat()) {
      if (method === "HEAD") continue;
      const path = route.url.replace(/:(\w+)/g, "{$1}");
      paths[path] = { ...paths[path], [method.toLowerCase()]: operation(route) };
    }
  });
  server.get("/api/openapi.json", { schema: { summary: "This description" } }, () => ({
    openapi: "3.1.0",
    info: { title: "Perch admin API", version: packageVersion },
    paths,
    components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
    security: [{}, { token: [] }],
  }));
}

function operation({ url, method, schema }: RouteOptions): Operation {
  const { summary, body, querystring } = (schema ?? {}) as RouteSchema;
  const changes = method === "POST";
  const ofPath = Array.from(url.matchAll(/:(\w+)/g), ([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  const ofQuery = Object.entries(querystring?.properties ?? {}).map(([name, property]) => ({
    name,
    in: "query",
    required: querystring?.required?.includes(name) ?? false,
    schema: property,
  }));
  const ifMatch = { name: "If-Match", in: "header", required: false, schema: { type: "string" } };
  const success = url === "/api/events" ? "text/event-stream" : "application/json";
  return {
    summary: summary ?? url,
    parameters: [...ofPath, ...ofQuery, ...(changes ? [ifMatch] : [])],
    ...(body && { requestBody: { content: { "application/json": { schema: body } } } }),
    ...(changes && { security: [{ token: [] }] }),
    responses: {
      "200": { description: "done", content: { [success]: {} } },
      default: { description: "RFC 9457", content: { [problemType]: {} } },
    },
  };
}
