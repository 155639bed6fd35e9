import type { FastifyInstance, RouteOptions } from "fastify";
import { packageVersion } from "../package-version.ts";
import { problemType } from "./problem.ts";
import type { JsonSchema } from "./schemas/json-schema.ts";
import { refTo, schemas } from "./schemas.ts";

declare module "fastify" {
  /** `body` and `querystring` are enforced; the rest describes. */
  interface FastifySchema {
    readonly summary?: string;
    readonly answer?: AnswerDoc;
    /** Of a POST that changes nothing. */
    readonly isQuestion?: true;
    /** For other replicas, not for people. */
    readonly isInternal?: true;
    /** Statuses of problems, beside those that every route has. */
    readonly problems?: readonly number[];
    /** Parameters beside those of the path and of `querystring`. */
    readonly parameters?: readonly ParameterDoc[];
  }
}

/** The answer with status 200. */
interface AnswerDoc {
  /** Default: application/json. */
  readonly type?: string;
  readonly schema?: JsonSchema;
  /** Default: done. */
  readonly description?: string;
  /** Other statuses that have an answer of the same type, which is no problem: what they mean. */
  readonly alsoWith?: Readonly<Record<number, string>>;
  /** Whether it has an ETag, which a change can be bound to. */
  readonly etag?: boolean;
}

export interface ParameterDoc {
  readonly name: string;
  readonly in: "query" | "header" | "path";
  readonly required: boolean;
  readonly schema: JsonSchema;
  readonly description?: string;
}

interface RouteSchema {
  readonly summary?: string;
  readonly answer?: AnswerDoc;
  readonly isQuestion?: true;
  readonly problems?: readonly number[];
  readonly parameters?: readonly ParameterDoc[];
  readonly body?: JsonSchema;
  readonly querystring?: {
    readonly properties: Readonly<Record<string, JsonSchema>>;
    readonly required?: readonly string[];
  };
}

type Operation = Readonly<Record<string, unknown>>;

/** Serves an OpenAPI 3.1 description of the routes that are added from now on, made from their schemas. */
export function addOpenApi(server: FastifyInstance): void {
  const paths: Record<string, Record<string, Operation>> = {};
  server.addHook("onRoute", (route) => {
    if (route.schema?.isInternal === true) return;
    const path = route.url.replace(/:(\w+)/g, "{$1}");
    for (const method of [route.method].flat()) {
      paths[path] = { ...paths[path], [method.toLowerCase()]: operation(route, method) };
    }
  });
  const schema = { summary: "This description", answer: { schema: refTo("OpenApi") } };
  server.get("/api/openapi.json", { schema }, () => ({
    openapi: "3.1.0",
    info: { title: "Perch admin API", version: packageVersion },
    paths,
    components: {
      schemas,
      responses: Object.fromEntries(
        Object.entries(problems).map(([status, why]) => [`Problem${status}`, problem(why)]),
      ),
      securitySchemes: { token: { type: "http", scheme: "bearer", description: "from admin.tokenFile" } },
    },
    security: [{}, { token: [] }],
  }));
}

/** What each status means that is answered with a problem. */
const problems: Readonly<Record<number, string>> = {
  400: "The request is malformed; nothing changed.",
  401: "A token is needed, or it is wrong.",
  403: "The Host or the origin of the request is not allowed, or no token is configured.",
  404: "There is no such release or file, or the release has no rollout.",
  409: "The rollout is in a phase that does not allow this; nothing changed.",
  412: "The revision is another by now; nothing changed.",
  413: "The body is too large: 4096 bytes are allowed, to explain a request 128 KiB, for a plan 1.5 MiB.",
  415: "The body is not application/json.",
  429: "Too many requests from this address.",
  500: "An internal error; see the log.",
  503: "The change could not be saved, so nothing changed, unless the detail says that this is not known; too many clients follow this stream; or too many plans are being made.",
};
const ofEveryRoute = [401, 403, 429, 500];

function problem(description: string) {
  return { description, content: { [problemType]: { schema: refTo("Problem") } } };
}

function operation({ url, schema }: RouteOptions, method: string): Operation {
  const described = (schema ?? {}) as RouteSchema;
  const changes = (method === "POST" && described.isQuestion !== true) || method === "DELETE";
  const { summary, body } = described;
  const statuses = [...ofEveryRoute, ...(described.problems ?? [])].sort((left, right) => left - right);
  return {
    operationId: [method.toLowerCase(), ...url.split(/[^a-z]+/i).map(capitalized)].join(""),
    summary: method === "HEAD" ? `${summary}: the header only` : summary,
    parameters: [...parametersOf(url, described), ...(changes ? [ifMatch] : [])],
    ...(body && { requestBody: { required: "required" in body, content: { "application/json": { schema: body } } } }),
    ...(changes && { security: [{ token: [] }] }),
    responses: {
      ...answers(described.answer ?? {}, method),
      ...Object.fromEntries(statuses.map((status) => [status, { $ref: `#/components/responses/Problem${status}` }])),
    },
  };
}

function capitalized(word: string): string {
  return `${word.slice(0, 1).toUpperCase()}${word.slice(1)}`;
}

const ifMatch: ParameterDoc = {
  name: "If-Match",
  in: "header",
  required: false,
  description: 'The revision as an entity-tag, such as "12": if it is another by now, nothing changes.',
  schema: { type: "string" },
};

function parametersOf(url: string, { querystring, parameters = [] }: RouteSchema): readonly ParameterDoc[] {
  const ofPath = Array.from(url.matchAll(/:(\w+)/g), ([, name = ""]) => {
    return { name, in: "path", required: true, schema: { type: "string" } } as const;
  });
  const ofQuery = Object.entries(querystring?.properties ?? {}).map(([name, schema]) => {
    return { name, in: "query", required: querystring?.required?.includes(name) ?? false, schema } as const;
  });
  return [...ofPath, ...ofQuery, ...parameters];
}

function answers(answer: AnswerDoc, method: string): Operation {
  const { type = "application/json", schema = {}, description = "done", alsoWith = {}, etag } = answer;
  const shared = {
    ...(etag === true && { headers: { ETag: { description: "the revision", schema: { type: "string" } } } }),
    ...(method !== "HEAD" && { content: { [type]: { schema } } }),
  };
  const all = Object.entries({ 200: description, ...alsoWith });
  return Object.fromEntries(all.map(([status, meaning]) => [status, { description: meaning, ...shared }]));
}
