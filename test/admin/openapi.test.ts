import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { reportRelease } from "../../src/admin/api.ts";
import { reportEndpoints } from "../../src/admin/endpoint-report.ts";
import { eventBody } from "../../src/admin/rollout-body.ts";
import { StatsRegistry } from "../../src/observe/stats-registry.ts";
import { decision, endpoint, MemoryLive } from "./memory-live.ts";
import { adminOf, bearer, event, MemoryRollouts } from "./memory-rollouts.ts";
import { portOf, StreamClient } from "./stream-client.ts";

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly schema: object }[];
  readonly requestBody?: object;
  readonly security?: object[];
  readonly responses: Readonly<Record<string, { readonly $ref?: string; readonly content?: object }>>;
}

interface OpenApi {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

const { server } = adminOf(new MemoryRollouts());
const document = (await server.inject("/api/openapi.json")).json() as OpenApi;
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);

/** Every method and path that the server answers, from the router itself. */
function served(): string[] {
  const found: string[] = [];
  const above: string[] = [];
  for (const line of server.printRoutes({ commonPrefix: false }).split("\n")) {
    const [, indent = "", part = "", methods = ""] = /^([│ ]*)[└├]── (\S*)(?: \((.+)\))?$/.exec(line) ?? [];
    const depth = indent.length / 4;
    above.splice(depth, above.length, part);
    if (methods !== "") for (const method of methods.split(", ")) found.push(`${method} ${above.join("")}`);
  }
  return found.map((route) => route.replace(/:(\w+)/g, "{$1}")).sort();
}

describe("the OpenAPI document", () => {
  test("has every route that the server answers, and no other", () => {
    const described = operations.map(({ path, method }) => `${method.toUpperCase()} ${path}`).sort();
    expect(described.length).toBeGreaterThan(25);
    expect(described).toEqual(served());
  });

  test("has a summary, an id of its own and its path's parameters for each operation", () => {
    expect(document.openapi).toBe("3.1.0");
    expect(new Set(operations.map(({ operation }) => operation.operationId)).size).toBe(operations.length);
    for (const { path, operation } of operations) {
      expect(operation.summary).toMatch(/\w/);
      const ofPath = operation.parameters.filter((parameter) => parameter.in === "path").map(({ name }) => `{${name}}`);
      expect(path.match(/\{\w+\}/g) ?? []).toEqual(ofPath);
    }
  });

  test("refers only to what it has", () => {
    const refs = Array.from(JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g), ([, ref = ""]) => ref);
    expect(refs.length).toBeGreaterThan(50);
    for (const ref of refs) {
      const found = ref.split("/").reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], document);
      expect({ ref, found }).toEqual({ ref, found: expect.any(Object) });
    }
  });

  test("has valid schemas", () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    ajv.addSchema(document, "api");
    for (const name of Object.keys(document.components.schemas)) {
      expect(ajv.getSchema(`api#/components/schemas/${name}`)).toBeTypeOf("function");
    }
    for (const { operation } of operations) {
      for (const { schema } of operation.parameters) expect(ajv.validateSchema(schema)).toBe(true);
    }
  });

  const questions = ["/api/plan", "/api/explain"];

  test("has all answers of an operation, errors as problems, and a token for changes", () => {
    for (const { path, method, operation } of operations) {
      const statuses = Object.keys(operation.responses);
      expect(statuses).toEqual(expect.arrayContaining(["200", "401", "403", "429", "500"]));
      if (method === "delete" || (method === "post" && !questions.includes(path))) {
        expect(statuses).toEqual(expect.arrayContaining(["400", "404", "412", "413", "415", "503"]));
        expect(operation).toMatchObject({ security: [{ token: [] }], requestBody: expect.any(Object) });
        expect(operation.parameters.map(({ name }) => name)).toContain("If-Match");
      }
    }
    for (const path of questions) {
      const question = document.paths[path]?.["post"];
      expect(question).toMatchObject({ requestBody: { required: true }, parameters: [] });
      expect(question).not.toHaveProperty("security");
    }
    expect(document.paths["/api/rollouts/{release}/step"]?.["post"]?.responses).toHaveProperty("409");
  });
});

describe("answers are as the document says", () => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(document, "api");
  const errorsOf = (name: string, body: unknown) => {
    const validate = ajv.getSchema(`api#/components/schemas/${name}`);
    return validate?.(body) === true ? [] : (validate?.errors ?? ["no such schema"]);
  };

  const pause = "/api/rollouts/shop/pause";
  test.each([
    { method: "GET", url: "/api/rollouts" },
    { method: "GET", url: "/api/rollouts/shop" },
    { method: "GET", url: "/api/rollouts/blog" },
    { method: "GET", url: "/api/config" },
    { method: "GET", url: "/api/releases" },
    { method: "GET", url: "/api/endpoints" },
    { method: "GET", url: "/api/explain?url=http://a/" },
    { method: "GET", url: "/api/explain" },
    { method: "POST", url: "/api/explain", payload: { url: "http://a/", header: ["x: y"] } },
    { method: "POST", url: "/api/explain", payload: { path: "/" } },
    { method: "GET", url: "/api/events?after=x" },
    { method: "GET", url: "/api/openapi.json" },
    { method: "GET", url: "/api/access" },
    { method: "GET", url: "/api/history/shop" },
    { method: "GET", url: "/api/history/blog" },
    { method: "GET", url: "/api/decisions?x=1" },
    { method: "GET", url: "/assets/none.js" },
    { method: "POST", url: pause, payload: { why: "w" } },
    { method: "POST", url: pause, payload: { x: 1 } },
    { method: "POST", url: pause, headers: { "if-match": '"1"' } },
    { method: "POST", url: pause, headers: { authorization: "Bearer x" } },
    { method: "POST", url: pause, payload: { why: "x".repeat(5_000) } },
    { method: "POST", url: pause, payload: "a=b", headers: { "content-type": "text/plain" } },
    { method: "POST", url: "/api/rollouts/shop/promote" },
    { method: "POST", url: "/api/releases/shop/split", payload: { split: { stable: 1 } } },
    { method: "DELETE", url: "/api/releases/shop/split", payload: { why: "w" } },
    { method: "DELETE", url: "/api/releases/blog/split" },
    { method: "GET", url: "/api/releases/shop/split/preview?split=stable:1" },
    { method: "GET", url: "/api/releases/shop/split/preview" },
    { method: "POST", url: "/api/plan", payload: { config: "a: b" } },
    { method: "POST", url: "/api/plan", payload: {} },
  ] as const)("$method $url $payload $headers", async ({ method, url, ...request }) => {
    const { server: fresh } = adminOf(new MemoryRollouts());
    const headers = { ...bearer, ...("headers" in request ? request.headers : {}) };
    const payload = "payload" in request ? { payload: request.payload } : {};
    const answer = await fresh.inject({ method, url, headers, ...payload });
    const path = url
      .replace(/\?.*/, "")
      .replace(/(rollouts|releases|history)\/\w+/, "$1/{release}")
      .replace(/\/assets\/.*/, "/assets/{file}");
    const operation = document.paths[path]?.[method.toLowerCase()];
    const described = operation?.responses[answer.statusCode];
    expect(described).toBeDefined();
    const isProblem = answer.statusCode >= 400;
    const content = (described?.content ?? {}) as Readonly<
      Record<string, { readonly schema: { readonly $ref: string } }>
    >;
    const schema = isProblem ? "Problem" : content["application/json"]?.schema.$ref.split("/").at(-1);
    expect(errorsOf(schema ?? "", answer.json())).toEqual([]);
    expect(answer.headers["content-type"]).toContain(isProblem ? "application/problem+json" : "application/json");
  });

  test("an event, a report of a release, and one of endpoints", () => {
    const stats = new StatsRegistry().begin().release("shop", ["stable"], ["east"]);
    stats.decided("stable", "split", 0);
    const release = reportRelease({ name: "shop", versions: ["stable"], split: { stable: 1 } }, stats, 0);
    const belief = { state: "ejected", why: "5xx", sinceMs: 0, closedUntilMs: 1 } as const;
    const endpoint = { service: "s", version: "v", origin: "http://a", health: { belief }, singleUse: { untilMs: 0 } };
    expect(errorsOf("Event", eventBody(event(1)))).toEqual([]);
    expect(errorsOf("Releases", { releases: [release] })).toEqual([]);
    expect(errorsOf("Endpoints", { kubernetesServices: [], endpoints: reportEndpoints([endpoint], [], 0) })).toEqual(
      [],
    );
  });

  test("what streams send of what is so, and it has no name that is not described", async () => {
    const live = new MemoryLive();
    live.happens("loaded", { release: "shop", step: 1, weight: 10, phase: "progressing" });
    const { server: listening } = adminOf(new MemoryRollouts(), { view: { live } });
    const port = await portOf(listening);
    const client = new StreamClient(port, "GET /api/live");
    await client.until(() => client.of("log").length === 1);
    live.currentEndpoints = [{ ...endpoint, state: "ejected" }];
    live.pass();
    await client.until(() => client.of("tick").length === 1);
    const late = new StreamClient(port, "GET /api/live");
    await late.until(() => late.of("log").length === 1);
    const decisions = { lines: [decision], skipped: 0 };
    const bodies = [
      ["LiveState", client.of("state")[0]],
      ["LiveState", late.of("state")[0]],
      ["LiveChange", client.of("change")[0]],
      ["Tick", client.of("tick")[0]],
      ["LogEntry", client.of("log")[0]],
      ["Decisions", decisions],
      ["History", live.history("shop")],
    ] as const;
    for (const [name, body] of bodies) {
      expect([name, body, errorsOf(name, body)]).toEqual([name, expect.any(Object), []]);
      expect(errorsOf(name, { ...body, more: 1 })).not.toEqual([]);
      const [[first = ""] = []] = Object.entries(body ?? {});
      if (name !== "LiveChange") expect(errorsOf(name, { ...body, [first]: undefined })).not.toEqual([]);
    }
    for (const { data } of client.events) expect(errorsOf("LiveData", data)).toEqual([]);
  });
});
