import type { InjectOptions } from "fastify";
import { describe, expect, test } from "vitest";
import type { AccessPolicy } from "../../src/admin/access.ts";
import type { AdminView } from "../../src/admin/api.ts";
import { createAdminServer } from "../../src/admin/server.ts";
import { MemoryLive } from "./memory-live.ts";
import { MemoryPlanner } from "./memory-planner.ts";

const token = "0123456789abcdef0123456789abcdef";
const other = "fedcba9876543210fedcba9876543210";

const view: AdminView = {
  rollouts: undefined,
  live: new MemoryLive(),
  planner: new MemoryPlanner(),
  metrics: async () => ({ contentType: "text/plain", body: "" }),
  readiness: () => "ready",
  config: () => ({
    active: { file: undefined, hash: "abc123", loadedAtMs: 0, warnings: [] },
    lastError: undefined,
    restartNeeded: [],
  }),
  releases: async () => [],
  endpoints: async () => [],
  kubernetesServices: () => [],
  explain: async () => ({ kind: "explained", explanation: {} }),
};

interface Setup {
  readonly policy?: Partial<AccessPolicy>;
  readonly listenHost?: string;
}

/** A server with an additional state-changing route, since Perch has none. */
function serverWith({ policy, listenHost = "0.0.0.0" }: Setup) {
  let nowMs = 0;
  let changes = 0;
  const access: AccessPolicy = {
    tokens: [Buffer.from(other), Buffer.from(token)],
    withoutToken: "probes-and-metrics",
    ...policy,
  };
  const server = createAdminServer(view, {
    listenHost,
    access: () => access,
    nowMs: () => 0,
    monotonicMs: () => nowMs,
    audit: () => {},
    onFailure: () => {},
  });
  server.post("/api/change/:what", () => ({ changes: ++changes }));
  return {
    send: (request: InjectOptions) => server.inject({ method: "GET", remoteAddress: "10.0.0.9", ...request }),
    changes: () => changes,
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

async function status(request: InjectOptions, setup: Setup = {}): Promise<[number, string | undefined]> {
  const response = await serverWith(setup).send(request);
  return [response.statusCode, response.statusCode < 400 ? undefined : response.json().error];
}

const bearer = (sent: string) => ({ authorization: `Bearer ${sent}` });
const change = { method: "POST", url: "/api/change/x" } as const;

describe("remote reading", () => {
  const pod = { host: "10.0.0.1:9901" };
  const local = { host: "localhost:9901" };

  test.each([
    { url: "/livez", headers: pod, wanted: [200, undefined] },
    { url: "/readyz/", headers: pod, wanted: [200, undefined] },
    { url: "/metrics", headers: pod, wanted: [200, undefined] },
    { url: "/metrics?x=/api", headers: pod, wanted: [200, undefined] },
    { url: "/", headers: pod, wanted: [200, undefined] },
    { url: "/?x", headers: { ...pod, ...bearer("wrong") }, wanted: [200, undefined] },
    { url: "/assets/none.js", headers: pod, wanted: [404, "not-found"] },
    { url: "/assets", headers: pod, wanted: [401, "token-needed"] },
    { url: "/assetsx", headers: pod, wanted: [401, "token-needed"] },
    { url: "//api/config", headers: pod, wanted: [401, "token-needed"] },
    { url: "/api/live", headers: pod, wanted: [401, "token-needed"] },
    { url: "/api/decisions", headers: pod, wanted: [401, "token-needed"] },
    { url: "/api/history/shop", headers: pod, wanted: [401, "token-needed"] },
    { url: "/api/access", headers: pod, wanted: [401, "token-needed"] },
    { url: "/api/config", headers: pod, wanted: [401, "token-needed"] },
    { url: "/api/config?/livez", headers: pod, wanted: [401, "token-needed"] },
    { url: "/nowhere", headers: pod, wanted: [401, "token-needed"] },
    { url: "/api/config", headers: local, wanted: [401, "token-needed"] },
    { url: "/api/config", headers: { ...pod, ...bearer(token) }, wanted: [200, undefined] },
    { url: "/api/config", headers: { ...pod, ...bearer(other) }, wanted: [200, undefined] },
    { url: "/api/config", headers: { ...pod, authorization: `bearer  ${token}` }, wanted: [200, undefined] },
    { url: "/api/config", headers: { ...pod, ...bearer(token.slice(1)) }, wanted: [401, "wrong-token"] },
    { url: "/api/config", headers: { ...pod, ...bearer("") }, wanted: [401, "wrong-token"] },
    { url: "/api/config", headers: { ...pod, ...bearer(`${token} ${other}`) }, wanted: [401, "wrong-token"] },
    { url: "/api/config", headers: { ...pod, authorization: `Basic ${token}` }, wanted: [401, "wrong-token"] },
    { url: `/api/config?access_token=${token}`, headers: pod, wanted: [401, "token-needed"] },
  ])("GET $url with $headers gets $wanted", async ({ url, headers, wanted }) => {
    expect(await status({ url, headers })).toEqual(wanted);
  });

  test("is answered with a challenge for a bearer token", async () => {
    const response = await serverWith({}).send({ url: "/api/config" });
    expect(response.headers["www-authenticate"]).toBe('Bearer realm="perch admin"');
  });

  test("needs no token with anyone-may-read, but a wrong token is rejected", async () => {
    const setup: Setup = { policy: { withoutToken: "anyone-may-read", tokens: [] } };
    expect(await status({ url: "/api/config" }, setup)).toEqual([200, undefined]);
    expect(await status({ url: "/api/config", headers: bearer(token) }, setup)).toEqual([401, "wrong-token"]);
  });

  test.each(["127.0.0.1", "::1", "::ffff:127.0.0.1"])(
    "does not include loopback (%s), such as kubectl port-forward",
    async (remoteAddress) => {
      expect(await status({ url: "/api/config", remoteAddress, headers: local })).toEqual([200, undefined]);
    },
  );
});

describe("state-changing requests without a token (CWE-306)", () => {
  test.each([
    { headers: {}, remoteAddress: "10.0.0.9", wanted: [401, "token-needed"] },
    { headers: { host: "localhost" }, remoteAddress: "127.0.0.1", wanted: [401, "token-needed"] },
    { headers: bearer("wrong"), remoteAddress: "127.0.0.1", wanted: [401, "wrong-token"] },
  ])("$headers from $remoteAddress gets $wanted", async ({ headers, remoteAddress, wanted }) => {
    const server = serverWith({ policy: { withoutToken: "anyone-may-read" } });
    const response = await server.send({ ...change, headers, remoteAddress });
    expect([response.statusCode, response.json().error]).toEqual(wanted);
    expect(server.changes()).toBe(0);
  });

  test("succeed with a token", async () => {
    const server = serverWith({});
    expect((await server.send({ ...change, headers: bearer(token) })).json()).toEqual({ changes: 1 });
  });

  test("are always rejected if no token is configured", async () => {
    const setup: Setup = { policy: { tokens: [], withoutToken: "anyone-may-read" } };
    expect(await status({ ...change }, setup)).toEqual([403, "no-token-configured"]);
    expect(await status({ ...change, headers: bearer("") }, setup)).toEqual([401, "wrong-token"]);
  });
});

describe("cross-site request forgery (CWE-352)", () => {
  const mine = { host: "localhost:9901", ...bearer(token) };

  test.each([
    { what: "another site's form", headers: { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" } },
    { what: "another port's script", headers: { "sec-fetch-site": "same-site", "sec-fetch-mode": "cors" } },
    {
      what: "another site's form that navigates",
      headers: { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" },
    },
    { what: "an older browser", headers: { origin: "https://evil.example" } },
    { what: "a sandboxed page", headers: { origin: "null" } },
    { what: "another port of this host", headers: { origin: "http://localhost:3000" } },
    { what: "a host with this host as its prefix", headers: { origin: "http://localhost:9901.evil.example" } },
    { what: "this host as a user name", headers: { origin: "http://localhost:9901@evil.example" } },
  ])("from $what is rejected even with a token", async ({ headers }) => {
    const server = serverWith({});
    const response = await server.send({ ...change, headers: { ...mine, ...headers } });
    expect([response.statusCode, response.json().error]).toEqual([403, "cross-site"]);
    expect(server.changes()).toBe(0);
  });

  test.each([
    { what: "this server's own pages", headers: { "sec-fetch-site": "same-origin", origin: "http://localhost:9901" } },
    { what: "an address typed into the browser", headers: { "sec-fetch-site": "none" } },
    { what: "a program that is not a browser", headers: {} },
  ])("is not assumed for $what", async ({ headers }) => {
    expect(await status({ ...change, headers: { ...mine, ...headers } })).toEqual([200, undefined]);
  });
});

describe("cross-site reading (CWE-346)", () => {
  const local = { remoteAddress: "127.0.0.1", url: "/api/config" };

  test.each([
    { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script" },
    { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe" },
    { origin: "https://evil.example" },
  ])("with %j is refused", async (headers) => {
    for (const url of ["/api/config", "/api/live", "/", "/assets/app.js"]) {
      const request = { ...local, url, headers: { host: "localhost", ...headers } };
      expect([url, ...(await status(request))]).toEqual([url, 403, "cross-site"]);
    }
  });

  test("a followed link is answered, but other sites cannot read the response", async () => {
    const visit = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
    const response = await serverWith({}).send({ ...local, headers: { host: "localhost", ...visit } });
    expect(response.statusCode).toBe(200);
    expect(response.headers).not.toHaveProperty("access-control-allow-origin");
    expect(response.headers).toMatchObject({
      "content-security-policy": expect.stringContaining("frame-ancestors 'none'"),
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-resource-policy": "same-origin",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
    });
  });
});

describe("DNS rebinding (CWE-350)", () => {
  test.each([
    { listenHost: "127.0.0.1", host: "localhost:9901", wanted: 200 },
    { listenHost: "127.0.0.1", host: "127.0.0.1:9901", wanted: 200 },
    { listenHost: "127.0.0.1", host: "127.8.9.1", wanted: 200 },
    { listenHost: "::1", host: "[::1]:9901", wanted: 200 },
    { listenHost: "127.0.0.1", host: "LOCALHOST.", wanted: 200 },
    { listenHost: "127.0.0.1", host: "perch.localhost:9901", wanted: 200 },
    { listenHost: "127.0.0.1", host: "evil.example:9901", wanted: 403 },
    { listenHost: "127.0.0.1", host: "localhost.evil.example", wanted: 403 },
    { listenHost: "127.0.0.1", host: "127.0.0.1.evil.example", wanted: 403 },
    { listenHost: "127.0.0.1", host: "notlocalhost", wanted: 403 },
    { listenHost: "127.0.0.1", host: "10.0.0.1", wanted: 403 },
    { listenHost: "127.0.0.1", host: "localhost@evil.example", wanted: 403 },
    { listenHost: "::1", host: "evil.example", wanted: 403 },
    { listenHost: "localhost", host: "evil.example", wanted: 403 },
    // Reachable from other hosts: the name alone is neither a reason to reject nor a reason to trust.
    { listenHost: "0.0.0.0", host: "evil.example:9901", wanted: 401 },
    { listenHost: "0.0.0.0", host: "10.0.0.1:9901", wanted: 401 },
    { listenHost: "0.0.0.0", host: "localhost:9901", wanted: 200 },
  ])("on $listenHost, from loopback, Host: $host gets $wanted", async ({ listenHost, host, wanted }) => {
    const request = { url: "/api/config", remoteAddress: "127.0.0.1", headers: { host } };
    expect((await status(request, { listenHost }))[0]).toBe(wanted);
  });

  test.each(["/", "/assets/app.js", "/api/live"])("to %s is refused, too", async (url) => {
    const request = { url, remoteAddress: "127.0.0.1", headers: { host: "evil.example:9901" } };
    expect(await status(request, { listenHost: "127.0.0.1" })).toEqual([403, "forbidden-host"]);
  });
});

describe("exhaustion by requests (CWE-770)", () => {
  test("by one caller gets 429; its probes and other callers are still served", async () => {
    const server = serverWith({});
    const flood = await Promise.all(Array.from({ length: 60 }, () => server.send({ url: "/metrics" })));
    expect(flood.filter(({ statusCode }) => statusCode === 200).length).toBe(50);
    expect(flood.at(-1)?.headers["retry-after"]).toBe("1");
    expect((await server.send({ url: "/readyz" })).statusCode).toBe(200);
    expect((await server.send({ url: "/metrics", remoteAddress: "10.0.0.10" })).statusCode).toBe(200);
    server.pass(100);
    expect((await server.send({ url: "/metrics" })).statusCode).toBe(200);
    expect((await server.send({ url: "/metrics" })).statusCode).toBe(429);
  });

  test("from many addresses of one IPv6 network gets 429 as well; another network is served", async () => {
    const server = serverWith({});
    const from = (network: string, host: number) =>
      server.send({ url: "/metrics", remoteAddress: `2001:db8:0:${network}::${host.toString(16)}` });
    const flood = await Promise.all(Array.from({ length: 60 }, (_, host) => from("1", host + 1)));
    expect(flood.filter(({ statusCode }) => statusCode === 429).length).toBe(10);
    expect((await from("2", 1)).statusCode).toBe(200);
  });

  test("a body over four kilobytes is rejected", async () => {
    const request = { ...change, headers: bearer(token), payload: { text: "x".repeat(5_000) } };
    expect((await serverWith({}).send(request)).statusCode).toBe(413);
  });
});
