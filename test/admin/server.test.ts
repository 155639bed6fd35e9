import type { InjectOptions } from "fastify";
import { describe, expect, test } from "vitest";
import type { AdminView, ConfigView, ExplainQuery, Readiness } from "../../src/admin/api.ts";
import { createAdminServer } from "../../src/admin/server.ts";
import type { Diagnostic } from "../../src/config/schema-kit/diagnostics.ts";
import { Metrics } from "../../src/observe/metrics.ts";
import { StatsRegistry } from "../../src/observe/stats-registry.ts";
import { MemoryLive } from "./memory-live.ts";
import { MemoryPlanner } from "./memory-planner.ts";

const warning: Diagnostic = {
  code: "unreachable",
  severity: "warning",
  message: 'route "b" is never reached',
  file: "perch.yaml",
  line: 12,
  column: 5,
  excerpt: "  - name: b",
  caret: { offset: 4, length: 4 },
  suggestion: undefined,
};

const config: ConfigView = {
  active: { file: "perch.yaml", hash: "abc123", loadedAtMs: 1_767_225_600_000, warnings: [warning] },
  lastError: {
    atMs: 1_767_225_660_000,
    text: "perch.yaml:3:7: unknown key",
    problems: [{ ...warning, code: "unknown-key", severity: "error", suggestion: 'did you mean "weight"?' }],
  },
  restartNeeded: ["listeners"],
};

const metrics = new Metrics({
  stats: new StatsRegistry(),
  endpointStates: () => [],
  certificates: () => [],
  rollouts: undefined,
  weightRatios: () => [],
  workers: () => ({ serving: 1, restarts: 0 }),
  build: { version: "0.1.0", nodeVersion: "26.5.1" },
});

const view: AdminView = {
  rollouts: undefined,
  live: new MemoryLive(),
  planner: new MemoryPlanner(),
  metrics: (format) => metrics.render(format),
  readiness: () => "ready",
  config: () => config,
  releases: async () => [],
  endpoints: async () => [],
  kubernetesServices: () => [],
  explain: async (query) => ({ kind: "explained", explanation: { version: "canary", query } }),
};

const token = "0123456789abcdef0123456789abcdef";

interface Setup {
  readonly view?: Partial<AdminView>;
  readonly listenHost?: string;
}

const answer = async (request: InjectOptions | string, setup: Setup = {}) => {
  const failures: Error[] = [];
  const server = createAdminServer(
    { ...view, ...setup.view },
    {
      listenHost: setup.listenHost ?? "127.0.0.1",
      access: () => ({ tokens: [Buffer.from(token)], withoutToken: "probes-and-metrics" }),
      nowMs: () => 0,
      monotonicMs: () => 0,
      audit: () => {},
      onFailure: (error) => failures.push(error),
    },
  );
  const response = await server.inject(request);
  await server.close();
  return { response, failures };
};

const get = async (url: InjectOptions | string, setup: Setup = {}) => (await answer(url, setup)).response;

describe("health", () => {
  test("/livez is 200 in every state", async () => {
    const response = await get("/livez", { view: { readiness: () => "draining" } });
    expect([response.statusCode, response.body]).toEqual([200, "ok\n"]);
  });

  test.each([
    { readiness: "ready", status: 200, body: "ok\n" },
    { readiness: "no-worker", status: 503, body: "not ready: no worker serves\n" },
    { readiness: "draining", status: 503, body: "not ready: draining\n" },
    {
      readiness: "starting",
      status: 503,
      body: "not ready: starting, not every listener accepts connections yet\n",
    },
  ] satisfies { readiness: Readiness; status: number; body: string }[])(
    "/readyz is $status while $readiness",
    async ({ readiness, status, body }) => {
      const response = await get("/readyz", { view: { readiness: () => readiness } });
      expect([response.statusCode, response.body]).toEqual([status, body]);
    },
  );
});

describe("contents", () => {
  test("/metrics is in the Prometheus text format, with its content type", async () => {
    const response = await get("/metrics");
    expect(response.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(response.body).toContain('perch_build_info{version="0.1.0",node_version="26.5.1"} 1\n');
  });

  test("/metrics is OpenMetrics if the client accepts it", async () => {
    const response = await get({ url: "/metrics", headers: { accept: "application/openmetrics-text" } });
    expect(response.headers["content-type"]).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
    expect(response.body.endsWith("\n# EOF\n")).toBe(true);
  });

  test("/api/config has the active configuration and the error of the last reload", async () => {
    const response = await get("/api/config");
    expect(response.headers["content-type"]).toBe("application/json; charset=utf-8");
    const problem = { file: "perch.yaml", line: 12, column: 5, position: "perch.yaml:12:5", message: warning.message };
    expect(response.json()).toEqual({
      active: {
        file: "perch.yaml",
        hash: "abc123",
        resourceVersion: null,
        loadedAt: "2026-01-01T00:00:00.000Z",
        warnings: [{ ...problem, code: "unreachable", severity: "warning", suggestion: null }],
      },
      lastError: {
        at: "2026-01-01T00:01:00.000Z",
        text: "perch.yaml:3:7: unknown key",
        problems: [{ ...problem, code: "unknown-key", severity: "error", suggestion: 'did you mean "weight"?' }],
      },
      restartNeeded: ["listeners"],
    });
  });

  test("/api/config has null for each absent value", async () => {
    const active = { file: undefined, hash: "abc123", loadedAtMs: 1_767_225_600_000, warnings: [] };
    const response = await get("/api/config", {
      view: { config: () => ({ active, lastError: undefined, restartNeeded: [] }) },
    });
    expect(response.json()).toEqual({
      active: { file: null, hash: "abc123", resourceVersion: null, loadedAt: "2026-01-01T00:00:00.000Z", warnings: [] },
      lastError: null,
      restartNeeded: [],
    });
  });

  test("/api/releases lists the reports", async () => {
    const report = { release: "shop", versions: [], rules: [], pinFlips: 0, pinsRejected: {} };
    const response = await get("/api/releases", { view: { releases: async () => [report] } });
    expect(response.json()).toEqual({ releases: [report] });
  });

  test("/ is a list of what is here for those who do not ask for HTML", async () => {
    const response = await get({ url: "/", headers: { accept: "*/*" } });
    expect(response.headers["content-type"]).toBe("text/plain; charset=utf-8");
    const links = response.body.match(/^\/\S*/gm) ?? [];
    expect(links.length).toBe(13);
    for (const url of links) expect([url, (await get({ method: "HEAD", url })).statusCode]).toEqual([url, 200]);
  });
});

describe("/api/explain", () => {
  test("passes the described request to the view, and returns the explanation", async () => {
    const search = new URLSearchParams([
      ["url", "http://shop.example.com/cart?q=%41#x"],
      ["method", "POST"],
      ["header", "X-User-Region: cn-east"],
      ["header", "x-a:"],
      ["cookie", "uid=7"],
      ["cookie", "theme=dark"],
      ["client", "10.0.0.9"],
    ]);
    const response = await get(`/api/explain?${search}`);
    const query: ExplainQuery = {
      url: "http://shop.example.com/cart?q=%41#x",
      method: "POST",
      headers: [
        ["x-user-region", "cn-east"],
        ["x-a", ""],
      ],
      cookies: "uid=7; theme=dark",
      client: "10.0.0.9",
    };
    expect(response.statusCode).toBe(200);
    expect(response.json()).toEqual({ version: "canary", query });
  });

  test("defaults to GET without headers", async () => {
    const response = await get("/api/explain?url=http://localhost/");
    expect(response.json().query).toEqual({ url: "http://localhost/", method: "GET", headers: [] });
  });

  test.each([
    { search: "", problem: '"url" is missing. Example: url=http://shop.example.com/cart' },
    { search: "url=/cart", problem: '"url" must be an absolute http or https URL without a user name.' },
    { search: "url=ftp://a/", problem: '"url" must be an absolute http or https URL without a user name.' },
    { search: "url=http://u:p@a/", problem: '"url" must be an absolute http or https URL without a user name.' },
    { search: "url=http://a:99999/", problem: '"url" must be an absolute http or https URL without a user name.' },
    { search: "url=http://a/%0d%0ax", problem: '"url" must be an absolute http or https URL without a user name.' },
    { search: "url=http://a/&url=http://b/", problem: '"url" is given 2 times; only once is allowed.' },
    { search: "url=http://a/&method=GE%20T", problem: '"method" must be an HTTP method.' },
    { search: "url=http://a/&method=", problem: '"method" must be an HTTP method.' },
    { search: "url=http://a/&client=10.0.0.300", problem: '"client" must be an IP address.' },
    { search: "url=http://a/&header=novalue", problem: '"header" must be name:value.' },
    { search: "url=http://a/&header=:x", problem: '"header" must be name:value.' },
    { search: "url=http://a/&header=x:a%0d%0ay:b", problem: '"header" x contains a control character.' },
    {
      search: "url=http://a/&header=cookie:a%3Db",
      problem: '"header" must not be a cookie; use the parameter "cookie".',
    },
    { search: "url=http://a/&cookie=a%00", problem: '"cookie" contains a control character.' },
    {
      search: "url=http://a/&__proto__=x",
      problem: 'Unknown parameter "__proto__". Supported: url, method, header, cookie, client, listener.',
    },
  ])("rejects ?$search", async ({ search, problem }) => {
    const response = await get(`/api/explain?${search}`);
    expect(response.statusCode).toBe(400);
    expect(response.json()).toMatchObject({
      error: "bad-query",
      detail: "The query is not valid.",
      problems: [problem],
    });
  });

  test("returns all problems at once", async () => {
    const response = await get("/api/explain?method=%20&client=x&header=y");
    expect(response.json().problems.length).toBe(4);
  });

  test("reads a body as it reads a query, without a token where reading needs none", async () => {
    const question = {
      url: "http://shop.example/cart",
      method: "PUT",
      header: ["X-A: 1", "x-a:2"],
      cookie: ["a=b", "c=d"],
    };
    const { response } = await answer({ method: "POST", url: "/api/explain", payload: question });
    expect(response.json().query).toEqual({
      url: "http://shop.example/cart",
      method: "PUT",
      headers: [
        ["x-a", "1"],
        ["x-a", "2"],
      ],
      cookies: "a=b; c=d",
    });
  });

  test.each([
    { payload: {}, status: 400 },
    { payload: { url: "http://a/", path: "/" }, status: 400 },
    { payload: { url: "http://a/", header: "x: y" }, status: 400 },
    { payload: { url: "http://a/", header: ["cookie: a=b"] }, status: 400 },
    { payload: { url: "http://a/", header: [`x: ${"y".repeat(140_000)}`] }, status: 413 },
  ])("answers a body that is none with $status", async ({ payload, status }) => {
    const { response } = await answer({ method: "POST", url: "/api/explain", payload });
    expect(response.statusCode).toBe(status);
  });

  test("returns the reason if the view refuses", async () => {
    const message = "The path contains a byte that is not allowed.";
    const response = await get("/api/explain?url=http://a/", {
      view: { explain: async () => ({ kind: "refused", message }) },
    });
    expect([response.statusCode, response.json()]).toMatchObject([400, { error: "bad-query", detail: message }]);
  });
});

describe("read-only", () => {
  test.each(["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const)("%s is rejected for all paths", async (method) => {
    for (const url of ["/", "/metrics", "/api/config", "/api/history/shop", "/nowhere"]) {
      const headers = { "content-type": "text/x", authorization: `Bearer ${token}` };
      const { response } = await answer({ method, url, payload: '{"a":1}', headers });
      expect([response.statusCode, response.headers.allow]).toEqual([405, "GET, HEAD"]);
      expect(response.json().error).toBe("method-not-allowed");
    }
  });

  test("HEAD has the headers of GET and no body", async () => {
    const { response } = await answer({ method: "HEAD", url: "/livez" });
    expect([response.statusCode, response.body, response.headers["content-length"]]).toEqual([200, "", "3"]);
  });
});

describe("every response", () => {
  const failing: Partial<AdminView> = {
    metrics: () => Promise.reject(new Error("internal secret")),
    releases: () => {
      throw new Error("internal secret");
    },
  };

  test.each([
    { url: "/livez", status: 200 },
    { url: "/nowhere", status: 404 },
    { url: "/%zz", status: 400 },
    { url: "/metrics", status: 500 },
    { url: "/api/releases", status: 500 },
    { url: "/livez/", status: 200 },
  ])("to $url is $status, with no-store and nosniff, and without internals", async ({ url, status }) => {
    const { response } = await answer(url, { view: failing });
    expect(response.statusCode).toBe(status);
    expect(response.headers).toMatchObject({ "cache-control": "no-store", "x-content-type-options": "nosniff" });
    expect(response.body).not.toMatch(/secret|stack|\.ts|zz/);
    if (status >= 400) expect(Object.keys(response.json())).toEqual(["type", "title", "status", "detail", "error"]);
  });

  test("to a failed request reports the error", async () => {
    const { failures } = await answer("/metrics", { view: failing });
    expect(failures.map(({ message }) => message)).toEqual(["internal secret"]);
  });
});
