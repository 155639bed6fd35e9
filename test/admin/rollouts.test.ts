import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { askedRevisions, requiredRevision } from "../../src/admin/if-match.ts";
import { freeAfterTest, rawClient } from "../kit/freed.ts";
import { adminOf, bearer, MemoryRollouts } from "./memory-rollouts.ts";

type Headers = Readonly<Record<string, string>>;

function setup() {
  const rollouts = new MemoryRollouts();
  const { server, audited } = adminOf(rollouts);
  const post = (url: string, payload?: object | string, headers: Headers = {}) =>
    server.inject({
      method: "POST",
      url,
      headers: { ...bearer, ...headers },
      ...(payload !== undefined && { payload }),
    });
  return { rollouts, server, audited, post };
}

const json = { "content-type": "application/json" };
const pause = "/api/rollouts/shop/pause";
const step = "/api/rollouts/shop/step";

describe("a verb", () => {
  test("changes once, then answers that nothing changed, and both are audited", async () => {
    const { post, audited } = setup();
    const first = await post(pause, { why: "lunch", by: "alice" });
    const second = await post(pause);
    expect([first.json().changed, second.json().changed, second.headers.etag]).toEqual([true, false, '"8"']);
    expect(first.json().rollout).toMatchObject({ phase: "paused", since: "1970-01-01T00:00:00.000Z" });
    const what = { from: "127.0.0.1", what: "pause", release: "shop", status: 200 };
    const who = expect.stringMatching(/^token [0-9a-f]{6} \(alice\)$/);
    expect(audited).toEqual([
      { ...what, who, why: "lunch", outcome: "done" },
      { ...what, who: expect.stringMatching(/^token [0-9a-f]{6}$/), why: "", outcome: "unchanged" },
    ]);
  });

  test("has the caller's name and reason in the change itself", async () => {
    const { post, rollouts } = setup();
    await post(pause, { why: "lunch", by: "alice" });
    expect(rollouts.changes).toEqual([
      { why: "lunch", by: expect.stringMatching(/^token [0-9a-f]{6} \(alice\)$/), ifRevision: undefined },
    ]);
  });

  test.each([{}, { why: "" }, { why: "  " }])(
    "that nobody gives a reason for says so in the change: %j",
    async (body) => {
      const { post, rollouts } = setup();
      await post(pause, body);
      expect(rollouts.changes).toMatchObject([
        { why: expect.stringMatching(/^token [0-9a-f]{6} asked for it and gave no reason$/) },
      ]);
    },
  );

  test("of two people who step at once reaches one; the other learns that the revision is another", async () => {
    const { post, rollouts } = setup();
    const both = await Promise.all([
      post(step, { by: "alice" }, { "if-match": '"7"' }),
      post(step, { by: "bob" }, { "if-match": '"7"' }),
    ]);
    expect(both.map(({ statusCode }) => statusCode).sort()).toEqual([200, 412]);
    expect(rollouts.changes.length).toBe(1);
  });

  test("without a rollout anywhere is 404", async () => {
    const answer = await adminOf(undefined).server.inject({ method: "POST", url: pause, headers: bearer });
    expect([answer.statusCode, answer.json().error]).toEqual([404, "no-rollout"]);
  });
});

describe("a change that is refused is a problem (RFC 9457), and audited", () => {
  const long = "x".repeat(501);
  const wrong = { authorization: `Bearer ${"f".repeat(32)}` };
  test.each([
    { url: pause, headers: { "if-match": '"6"' }, payload: { why: "w" }, status: 412, error: "conflict" },
    { url: "/api/rollouts/shop/promote", payload: { why: "w" }, status: 409, error: "wrong-phase" },
    { url: "/api/rollouts/blog/pause", payload: { why: "w" }, status: 404, error: "no-rollout" },
    { url: pause, payload: { why: "w", what: 1 }, status: 400, error: "bad-request" },
    { url: pause, payload: { why: long }, why: long.slice(1), status: 400, error: "bad-request" },
    { url: pause, payload: { why: "a\nb" }, why: "a\ufffdb", status: 400, error: "bad-request" },
    { url: pause, payload: { why: "a\u001b[31mb" }, why: "a\ufffd[31mb", status: 400, error: "bad-request" },
    { url: pause, payload: { why: "a\u009bb\u202e" }, why: "a\ufffdb\ufffd", status: 400, error: "bad-request" },
    { url: pause, payload: { why: "w", by: "eve) (token 000000" }, status: 400, error: "bad-request" },
    { url: pause, payload: { why: 7 }, why: "", status: 400, error: "bad-request" },
    { url: pause, payload: '{"why": "w"', headers: json, why: "", status: 400, error: "bad-request" },
    { url: pause, payload: '{"__proto__": 1}', headers: json, why: "", status: 400, error: "bad-request" },
    { url: pause, payload: "[]", headers: json, why: "", status: 400, error: "bad-request" },
    { url: pause, payload: { why: "x".repeat(5000) }, why: "", status: 413, error: "body-too-large" },
    { url: pause, headers: { "if-match": "7" }, payload: { why: "w" }, status: 400, error: "invalid" },
    {
      url: "/api/releases/shop/split",
      payload: { split: { a: 1 }, for: "x", why: "w" },
      status: 400,
      error: "invalid",
    },
    { url: "/api/releases/shop/split", payload: { split: { a: -1 }, why: "w" }, status: 400, error: "bad-request" },
    { url: "/api/releases/shop/split", payload: { split: {}, why: "w" }, status: 400, error: "bad-request" },
    { url: "/api/releases/shop/split", why: "", status: 400, error: "bad-request" },
    { url: pause, headers: wrong, payload: { why: "w" }, why: "", status: 401, error: "wrong-token" },
    { url: pause, headers: { authorization: "" }, why: "", status: 401, error: "wrong-token" },
    { url: pause, headers: { host: "evil.example" }, why: "", status: 403, error: "forbidden-host" },
    { url: pause, headers: { origin: "https://evil.example" }, why: "", status: 403, error: "cross-site" },
    { url: "/api/rollouts/shop/explode", why: "", status: 405, error: "method-not-allowed" },
  ])(
    "$url with $payload, $headers is $status $error",
    async ({ url, payload, headers = {}, why = "w", status, error }) => {
      const { post, audited, rollouts } = setup();
      const answer = await post(url, payload, headers);
      expect(answer.headers["content-type"]).toContain("application/problem+json");
      const problem = { type: "about:blank", title: expect.any(String), status, detail: expect.any(String), error };
      expect(answer.json()).toMatchObject(problem);
      expect([answer.statusCode, rollouts.changes]).toEqual([status, []]);
      expect(audited).toEqual([expect.objectContaining({ why, status, outcome: `refused: ${error}` })]);
    },
  );

  test("no token is ever in the audit log", async () => {
    const { post, audited, server } = setup();
    const secret = "f".repeat(32);
    await post(pause, { why: "w" });
    await post(pause, {}, { authorization: `Bearer ${secret}` });
    await post(`/api/rollouts/shop/explode?token=${secret}`, {});
    await server.inject({ method: "POST", url: `/api/rollouts/shop/pause?access_token=${secret}` });
    expect(audited.map(({ who }) => who)).toEqual([
      expect.stringMatching(/^token [0-9a-f]{6}$/),
      "a wrong token",
      expect.stringMatching(/^token [0-9a-f]{6}$/),
      "nobody",
    ]);
    const log = JSON.stringify(audited);
    expect(log).not.toContain(secret);
    expect(log).not.toContain(bearer.authorization.slice(7));
  });

  test("reading is not audited", async () => {
    const { server, audited } = setup();
    for (const method of ["GET", "HEAD"] as const) {
      expect((await server.inject({ method, url: "/api/rollouts/shop" })).statusCode).toBe(200);
      expect((await server.inject({ method, url: "/api/rollouts/blog" })).statusCode).toBe(404);
    }
    expect(audited).toEqual([]);
  });
});

describe("cross-site request forgery (CWE-352) of a change", () => {
  test.each(["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain;json"])(
    "%s, which a form of another site can send, is refused even with a token",
    async (type) => {
      const { post, rollouts } = setup();
      const answer = await post(pause, '{"why":"w"}', { "content-type": type });
      expect([answer.statusCode, answer.json().error]).toEqual([415, "wrong-content-type"]);
      expect(rollouts.changes).toEqual([]);
    },
  );
});

describe("paths that are not what they seem (CWE-22)", () => {
  test.each([
    "/api/rollouts/shop%2Fpause",
    "/api/rollouts//pause",
    "/api/rollouts/shop/pause%00",
    "/API/rollouts/shop/pause",
    "/api/rollouts/shop/pause;x",
    "//api/rollouts/shop/pause",
    "/livez#/api/rollouts/shop/pause",
    `/api/rollouts/${"s".repeat(200)}/pause`,
    "/api/rollouts/__proto__/pause",
    "/api/rollouts/%0d%0aX-Evil:1/pause",
  ])("POST %s changes nothing, with a token or without", async (url) => {
    const { post, server, rollouts } = setup();
    const answers = [await post(url), await server.inject({ method: "POST", url })];
    for (const { statusCode, headers } of answers) {
      expect(statusCode).toBeGreaterThanOrEqual(400);
      expect(statusCode).toBeLessThan(500);
      expect(headers).not.toHaveProperty("x-evil");
    }
    expect(rollouts.changes).toEqual([]);
  });
});

test.each(["/livez/../api/rollouts/shop/pause", "/api/rollouts/../rollouts/shop/pause", "/api/rollouts/./shop/pause"])(
  "POST %s, sent as it is, changes nothing",
  async (path) => {
    const { server, rollouts } = setup();
    await server.listen({ host: "127.0.0.1", port: 0 });
    freeAfterTest(() => server.close());
    const client = await rawClient((server.server.address() as AddressInfo).port);
    const { authorization } = bearer;
    client.send(
      `POST ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${authorization}\r\nContent-Length: 0\r\n\r\n`,
    );
    expect(await client.read((received) => received.includes("\r\n\r\n"))).toMatch(/^HTTP\/1\.1 40[45] /);
    expect(rollouts.changes).toEqual([]);
  },
);

describe("If-Match", () => {
  test.each([
    { sent: undefined, wanted: undefined },
    { sent: "*", wanted: undefined },
    { sent: '"7"', wanted: 7 },
    { sent: '  "7" ', wanted: 7 },
    { sent: '"6", "7"', wanted: 7 },
    { sent: '"6","5"', wanted: 6 },
    { sent: 'W/"7"', wanted: -1 },
    { sent: 'W/"7", "7"', wanted: 7 },
    { sent: '"abc"', wanted: -1 },
    { sent: '""', wanted: -1 },
    { sent: '"7,8"', wanted: -1 },
    { sent: "7", wanted: "malformed" },
    { sent: '"7', wanted: "malformed" },
    { sent: '"7",', wanted: "malformed" },
    { sent: '"7" "8"', wanted: "malformed" },
    { sent: '*, "7"', wanted: "malformed" },
    { sent: "", wanted: "malformed" },
    { sent: 'w/"7"', wanted: "malformed" },
  ])("$sent asks for $wanted while the revision is 7", ({ sent, wanted }) => {
    const asked = askedRevisions(sent);
    expect(asked === "malformed" ? asked : requiredRevision(asked, 7)).toBe(wanted);
  });

  test("of any text never throws, and is met only by a list that has the revision", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('"', ",", " ", "W/", "7", "8", "*") }), (sent) => {
        const asked = askedRevisions(sent);
        if (asked === "malformed" || asked === "anything") return;
        expect(requiredRevision(asked, 7) === 7).toBe(/(?:^|[^/"])"7"/.test(sent));
      }),
      { seed: 7, numRuns: 500 },
    );
  });
});

test("a split is set for a while", async () => {
  const { post, audited } = setup();
  const answer = await post("/api/releases/shop/split", { split: { stable: 100 }, for: "1m", why: "calm" });
  expect(answer.json().split).toMatchObject({ split: { stable: 100 }, until: "1970-01-01T00:01:00.000Z", why: "calm" });
  expect(audited).toEqual([expect.objectContaining({ what: "split", release: "shop", outcome: "done" })]);
});

test("the revision is the ETag of what is read", async () => {
  const { server } = setup();
  for (const url of ["/api/rollouts", "/api/rollouts/shop"]) {
    expect((await server.inject(url)).headers.etag).toBe('"7"');
    const head = await server.inject({ method: "HEAD", url });
    expect([head.statusCode, head.headers.etag, head.body]).toEqual([200, '"7"', ""]);
  }
});
