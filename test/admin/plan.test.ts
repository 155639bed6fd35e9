import { describe, expect, test } from "vitest";
import { MemoryPlanner } from "./memory-planner.ts";
import { adminOf, bearer, MemoryRollouts } from "./memory-rollouts.ts";

function setup() {
  const planner = new MemoryPlanner();
  const { server, audited } = adminOf(new MemoryRollouts(), { planner });
  const plan = (payload: object, given: { headers?: Record<string, string>; remoteAddress?: string } = {}) =>
    server.inject({ method: "POST", url: "/api/plan", payload, ...given });
  return { planner, server, audited, plan };
}

describe("POST /api/plan", () => {
  test("answers what the configuration would do, without a token from this machine, and is no change", async () => {
    const { planner, audited, plan } = setup();
    const answer = await plan({ config: "a: b" });
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({ valid: true, warnings: ["a warning"], plan: { units: 1 } });
    expect([planner.asked, audited]).toEqual([["a: b"], []]);
  });

  test("answers all problems of a text that would not be loaded", async () => {
    const { planner, plan } = setup();
    planner.planned = { kind: "invalid", problems: ["perch.yaml:1:1: error: no"] };
    const answer = await plan({ config: "" });
    expect([answer.statusCode, answer.json()]).toEqual([
      200,
      { valid: false, problems: ["perch.yaml:1:1: error: no"] },
    ]);
  });

  test("says when to ask again while another is made", async () => {
    const { planner, plan } = setup();
    planner.planned = { kind: "busy", message: "Another." };
    const answer = await plan({ config: "" });
    expect([answer.statusCode, answer.headers["retry-after"]]).toEqual([503, "2"]);
    expect(answer.json()).toMatchObject({ error: "busy", detail: "Another." });
  });

  test("takes a body of 1.5 MiB, and no larger one", async () => {
    const { planner, plan } = setup();
    const largest = "x".repeat(1.5 * 1024 * 1024 - '{"config":""}'.length);
    expect((await plan({ config: largest })).statusCode).toBe(200);
    expect((await plan({ config: `${largest}x` })).json()).toMatchObject({ status: 413, error: "body-too-large" });
    expect(planner.asked).toHaveLength(1);
  });

  test.each<[sentence: string, given: Parameters<ReturnType<typeof setup>["plan"]>[1], status: number]>([
    ["a remote caller without a token", { remoteAddress: "10.0.0.7" }, 401],
    ["a remote caller with a token", { remoteAddress: "10.0.0.7", headers: bearer }, 200],
    ["a wrong token", { headers: { authorization: "Bearer x" } }, 401],
    ["another site", { headers: { origin: "https://evil.example" } }, 403],
    ["another site by a link", { headers: { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" } }, 403],
    ["another Host (DNS rebinding)", { headers: { host: "evil.example" } }, 403],
    ["a form of another site", { headers: { "content-type": "application/x-www-form-urlencoded" } }, 415],
  ])("%s: %j is %i", async (_sentence, given, status) => {
    const { planner, audited, plan } = setup();
    expect((await plan({ config: "" }, given)).statusCode).toBe(status);
    expect([planner.asked.length, audited]).toEqual([status === 200 ? 1 : 0, []]);
  });

  test("is not for everyone who may read", async () => {
    const planner = new MemoryPlanner();
    const { server } = adminOf(undefined, { planner, withoutToken: "anyone-may-read", listenHost: "0.0.0.0" });
    const remote = { remoteAddress: "10.0.0.7", headers: { host: "perch:9901" } };
    const read = await server.inject({ url: "/api/config", ...remote });
    const asked = await server.inject({ method: "POST", url: "/api/plan", payload: { config: "" }, ...remote });
    expect([read.statusCode, asked.statusCode, asked.json().error]).toEqual([200, 401, "token-needed"]);
    const claimsToBeLocal = { remoteAddress: "10.0.0.7", headers: { host: "localhost" } };
    const claimed = await server.inject({
      method: "POST",
      url: "/api/plan",
      payload: { config: "" },
      ...claimsToBeLocal,
    });
    expect([claimed.statusCode, planner.asked]).toEqual([401, []]);
  });

  test.each([
    { name: "preview", headers: {}, wanted: 401 },
    { name: "previe%77", headers: {}, wanted: 401 },
    { name: "preview/", headers: {}, wanted: 401 },
    { name: "preview", headers: bearer, wanted: 200 },
  ])("is not for everyone who may read as split/$name either: $wanted", async ({ name, headers, wanted }) => {
    const planner = new MemoryPlanner();
    const { server } = adminOf(undefined, { planner, withoutToken: "anyone-may-read", listenHost: "0.0.0.0" });
    const url = `/api/releases/shop/split/${name}?split=stable:1`;
    const sent = { url, remoteAddress: "10.0.0.7", headers: { host: "perch:9901", ...headers } };
    expect((await server.inject(sent)).statusCode).toBe(wanted);
    expect(planner.asked).toHaveLength(wanted === 200 ? 1 : 0);
  });
});

describe("GET /api/releases/:release/split/preview", () => {
  const preview = "/api/releases/shop/split/preview";

  test("answers how many users move", async () => {
    const { planner, server } = setup();
    const answer = await server.inject(`${preview}?split=stable:80,canary:20.5`);
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({
      moved: 0.1,
      moves: [{ from: "stable", to: "canary", share: 0.1 }],
      after: { stable: 0.8, canary: 0.2 },
    });
    expect(planner.asked).toEqual([["shop", { stable: 80, canary: 20.5 }]]);
  });

  test.each([
    "",
    "?split=",
    "?split=stable",
    "?split=stable:",
    "?split=stable:-1",
    "?split=stable:1e9",
    "?split=stable:Infinity",
    "?split=stable:1,stable:2",
    "?split=stable:1,",
    "?split=stable:9999999999",
    "?split=stable:1&split=stable:2",
    "?split=stable:1&for=3m",
    `?split=${"a".repeat(10_001)}:1`,
  ])("%s is malformed", async (query) => {
    const { planner, server } = setup();
    expect((await server.inject(preview + query)).statusCode).toBe(400);
    expect(planner.asked).toEqual([]);
  });

  test.each([
    [{ kind: "no-release", message: "None." }, 404, "no-release"],
    [{ kind: "invalid", message: "No." }, 400, "invalid"],
    [{ kind: "busy", message: "Later." }, 503, "busy"],
  ] as const)("%j is %i %s", async (answer, status, error) => {
    const { planner, server } = setup();
    planner.preview = answer;
    const response = await server.inject(`${preview}?split=stable:1`);
    expect(response.json()).toMatchObject({ status, error, detail: answer.message });
    expect(response.headers["retry-after"]).toBe(status === 503 ? "2" : undefined);
  });
});

describe("DELETE /api/releases/:release/split", () => {
  const url = "/api/releases/shop/split";
  const end = (given: { payload?: object; headers?: Record<string, string> } = {}) => {
    const rollouts = new MemoryRollouts();
    const { server, audited } = adminOf(rollouts);
    const { headers = bearer, payload } = given;
    const answer = server.inject({ method: "DELETE", url, headers, ...(payload && { payload }) });
    return { rollouts, audited, answer };
  };

  test("ends the split that an operator set, with a reason or without, and is audited", async () => {
    const { rollouts, audited, answer } = end({ payload: { why: "enough seen", by: "alice" } });
    const response = await answer;
    expect([response.statusCode, response.headers.etag]).toEqual([200, '"8"']);
    expect(response.json()).toMatchObject({ changed: true, revision: 8, ended: { release: "shop" } });
    expect(rollouts.changes).toMatchObject([{ why: "enough seen" }]);
    expect(audited).toMatchObject([{ what: "delete split", release: "shop", why: "enough seen", outcome: "done" }]);
    expect((await end().answer).statusCode).toBe(200);
  });

  test("is refused without a token, at another revision, and where there is none", async () => {
    const refusals = [
      { given: { headers: {} }, error: "token-needed" },
      { given: { headers: { ...bearer, "if-match": '"6"' } }, error: "conflict" },
      { given: { payload: { for: "3m" } }, error: "bad-request" },
    ];
    for (const { given, error } of refusals) {
      const { rollouts, audited, answer } = end(given);
      expect([(await answer).json().error, rollouts.changes]).toEqual([error, []]);
      expect(audited).toMatchObject([{ what: "delete split", outcome: `refused: ${error}` }]);
    }
    const { server } = adminOf(new MemoryRollouts());
    const other = await server.inject({ method: "DELETE", url: url.replace("shop", "blog"), headers: bearer });
    expect([other.statusCode, other.json().error]).toEqual([404, "no-rollout"]);
  });
});

test.each([
  ["PUT", "/api/releases/shop/split", "DELETE, POST"],
  ["DELETE", "/api/plan", "POST"],
  ["POST", "/api/releases/shop/split/preview", "GET, HEAD"],
  ["DELETE", "/api/rollouts/shop/pause", "POST"],
  ["POST", "/api/nothing", "GET, HEAD"],
] as const)("%s %s is answered with what is possible there: %s", async (method, url, allow) => {
  const { server } = setup();
  const answer = await server.inject({ method, url, headers: bearer });
  expect([answer.statusCode, answer.headers.allow]).toEqual([405, allow]);
});
