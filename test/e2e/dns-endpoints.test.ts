import type { ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import { TestDnsServer } from "../kit/dns-server.ts";
import { perch } from "../kit/freed.ts";
import { lanes } from "../kit/one-service.ts";
import { type PodServer, podServers } from "../kit/pod-servers.ts";
import { changeablePerch, freePorts } from "../kit/served.ts";

const soon = { timeout: 10_000, interval: 10 };

/** Answers are cached for 100 ms. */
const quickDns = (server: TestDnsServer) => `dns: { servers: ["${server.address}"], minTtl: 100ms, maxTtl: 100ms }`;

const shopAt = (server: TestDnsServer, endpoint: string, fastLane = "on") => `
fastLane: ${fastLane}
${quickDns(server)}
services: { shop: { balance: round-robin, versions: { stable: { endpoints: [${endpoint}] } } } }
routes: [{ name: all, service: shop }]`;

async function bodies(origin: string, count: number): Promise<string[]> {
  const seen: string[] = [];
  for (let at = 0; at < count; at++) seen.push(await (await fetch(origin)).text());
  return seen;
}

/** The addresses that are up in `/metrics`. */
async function upSeries(admin: (path: string) => Promise<Response>): Promise<string[]> {
  const text = await (await admin("/metrics")).text();
  return Array.from(
    text.matchAll(/^perch_endpoint_up\{.*endpoint="http:\/\/([^"]*):\d+"\} 1$/gm),
    ([, host]) => host ?? "",
  );
}

describe.each(lanes)("endpoints by DNS, in the $lane lane", ({ fastLane }) => {
  it("are all addresses of a name, and follow it: those that stay keep connections, those removed drain", async () => {
    const held: ServerResponse[] = [];
    const all = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
    const {
      port,
      pods: [one, two, three],
    } = await podServers(all, (request, response) => {
      if (request.url === "/held") held.push(response);
      else response.end(request.socket.localAddress);
    });
    const server = await TestDnsServer.start({ "shop.example": { A: ["127.0.0.1", "127.0.0.2"] } });
    const { origin, admin } = await perch(shopAt(server, `{ dns: shop.example, port: ${port} }`, fastLane));
    expect((await bodies(origin, 4)).toSorted()).toEqual(["127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.2"]);
    expect(await upSeries(admin)).toEqual(["127.0.0.1", "127.0.0.2"]);

    const held1 = fetch(`${origin}/held`);
    const held2 = fetch(`${origin}/held`);
    await expect.poll(() => held.length, soon).toBe(2);
    const connectionsBefore = one?.connections();
    server.zone = { "shop.example": { A: ["127.0.0.1", "127.0.0.3"] } };
    await expect.poll(() => upSeries(admin), soon).toEqual(["127.0.0.1", "127.0.0.3"]);
    expect((await bodies(origin, 4)).toSorted()).toEqual(["127.0.0.1", "127.0.0.1", "127.0.0.3", "127.0.0.3"]);

    for (const response of held) response.end("in the end");
    expect(await (await held1).text()).toBe("in the end");
    expect(await (await held2).text()).toBe("in the end");
    const open = (pod: PodServer | undefined) =>
      new Promise((resolve) => pod?.server.getConnections((_error, count) => resolve(count)));
    await expect.poll(() => open(two), soon).toBe(0);
    expect(await open(one)).toBeGreaterThan(0);
    // At most one more, since the held request had the first.
    expect(one?.connections()).toBeLessThanOrEqual((connectionsBefore ?? 0) + 1);
    expect(three?.connections()).toBe(1);
  });

  it("with SRV records have their own ports", async () => {
    const first = await podServers(["127.0.0.1"], (_request, response) => void response.end("first"));
    const second = await podServers(["127.0.0.1"], (_request, response) => void response.end("second"));
    const server = await TestDnsServer.start({
      "_http._tcp.shop.example": { SRV: [`0 1 ${first.port} pod.example`, `0 1 ${second.port} pod.example`] },
      "pod.example": { A: ["127.0.0.1"] },
    });
    const { origin } = await perch(shopAt(server, "{ dns: _http._tcp.shop.example }", fastLane));
    expect((await bodies(origin, 4)).toSorted()).toEqual(["first", "first", "second", "second"]);
  });

  it("are none until the name resolves: 503, then 200", async () => {
    const { port } = await podServers(["127.0.0.1"]);
    const server = await TestDnsServer.start();
    const { origin, metric } = await perch(shopAt(server, `{ dns: shop.example, port: ${port} }`, fastLane));
    const refused = await fetch(origin);
    expect([refused.status, refused.headers.get("x-perch-error")]).toEqual([503, "no-healthy-endpoint"]);
    expect(await metric('perch_dns_resolutions_total{name="shop.example",outcome="empty"}')).toBeGreaterThan(0);
    server.zone = { "shop.example": { A: ["127.0.0.1"] } };
    await expect.poll(async () => (await fetch(origin)).status, soon).toBe(200);
  });
});

describe("endpoints by DNS", () => {
  it.each([
    { silent: "AAAA", zone: { A: ["127.0.0.1"] } },
    { silent: "A", zone: { AAAA: ["::1"] } },
  ] as const)("serve the first request after a start, although no name server answers $silent", async (family) => {
    const [address] = "A" in family.zone ? family.zone.A : family.zone.AAAA;
    const { port } = await podServers([address]);
    const server = await TestDnsServer.start({ "shop.example": family.zone });
    server.ttlSeconds = 0;
    server.moods.set(family.silent, "silent");
    const { origin } = await perch(shopAt(server, `{ dns: shop.example, port: ${port} }`));
    const response = await fetch(origin);
    expect([response.status, await response.text()]).toEqual([200, address]);
  });

  it("may be IPv6, beside others", async () => {
    const { port } = await podServers(["::1", "127.0.0.1"]);
    const server = await TestDnsServer.start({ "shop.example": { AAAA: ["::1"] } });
    const endpoints = `{ dns: shop.example, port: ${port} }, "http://127.0.0.1:${port}"`;
    const { origin } = await perch(shopAt(server, endpoints));
    expect((await bodies(origin, 4)).toSorted()).toEqual(["127.0.0.1", "127.0.0.1", "::1", "::1"]);
  });

  it("count once where two names, or a name and an address, are the same", async () => {
    const { port } = await podServers(["127.0.0.1"]);
    const zone = { "a.example": { A: ["127.0.0.1"] }, "b.example": { A: ["127.0.0.1"] } };
    const server = await TestDnsServer.start(zone);
    const endpoints = ["{ dns: a.example, port: 80 }", "{ dns: b.example, port: 80 }", '"http://127.0.0.1"']
      .join(", ")
      .replaceAll("80", `${port}`)
      .replace("127.0.0.1", `127.0.0.1:${port}`);
    const { origin, admin } = await perch(shopAt(server, endpoints));
    expect(await bodies(origin, 2)).toEqual(["127.0.0.1", "127.0.0.1"]);
    expect(await upSeries(admin)).toEqual(["127.0.0.1"]);
  });

  it.each(["servfail", "silent"] as const)("stay while the name server is %s", { tags: ["slow"] }, async (mood) => {
    const { port } = await podServers(["127.0.0.1"]);
    const server = await TestDnsServer.start({ "shop.example": { A: ["127.0.0.1"] } });
    const { origin, metric } = await perch(shopAt(server, `{ dns: shop.example, port: ${port} }`));
    server.mood = mood;
    const failures = () => metric('perch_dns_resolutions_total{name="shop.example",outcome="failure"}');
    await expect.poll(failures, soon).toBeGreaterThan(0);
    expect(await bodies(origin, 2)).toEqual(["127.0.0.1", "127.0.0.1"]);
  });

  it("of a canary that does not resolve: the default serves", async () => {
    const { port } = await podServers(["127.0.0.1"]);
    const server = await TestDnsServer.start({ "shop.example": { A: ["127.0.0.1"] } });
    const { origin, metric } = await perch(`
${quickDns(server)}
services:
  shop:
    versions:
      stable: { endpoints: [{ dns: shop.example, port: ${port} }] }
      canary: { endpoints: [{ dns: canary.example, port: ${port} }] }
releases: { shop: { split: { canary: 1, stable: 0 } } }
routes: [{ name: all, service: shop, release: shop }]`);
    expect((await fetch(origin)).status).toBe(200);
    expect(await metric('perch_fallbacks_total{service="shop",version="canary"}')).toBe(1);
  });

  it("are not looked up after a reload removes them, and their series are gone", { tags: ["slow"] }, async () => {
    const { port } = await podServers(["127.0.0.1", "127.0.0.2"]);
    const zone = { "one.example": { A: ["127.0.0.1"] }, "two.example": { A: ["127.0.0.2"] } };
    const server = await TestDnsServer.start(zone);
    const at = (name: string) => freePorts + shopAt(server, `{ dns: ${name}, port: ${port} }`);
    const { perch: started, change } = await changeablePerch(at("one.example"));
    expect(await bodies(started.origin, 2)).toEqual(["127.0.0.1", "127.0.0.1"]);
    await change(at("two.example"));
    expect(await bodies(started.origin, 3)).toEqual(["127.0.0.2", "127.0.0.2", "127.0.0.2"]);
    const asked = server.asked.length;
    await expect.poll(() => server.asked.length, soon).toBeGreaterThan(asked + 4);
    expect(server.asked.slice(asked).filter((question) => question.startsWith("one."))).toEqual([]);
    expect(await started.metric('perch_dns_resolutions_total{name="one.example",outcome="success"}')).toBeUndefined();
  });

  it("are awaited by the reload that adds them, while the old ones serve", async () => {
    const { port } = await podServers(["127.0.0.1", "127.0.0.2"]);
    const zone = { "one.example": { A: ["127.0.0.1"] }, "two.example": { A: ["127.0.0.2"] } };
    const server = await TestDnsServer.start(zone);
    const at = (name: string) => freePorts + shopAt(server, `{ dns: ${name}, port: ${port} }`);
    const { perch: started, change } = await changeablePerch(at("one.example"));
    const release = server.hold();
    const changed = change(at("two.example"));
    await expect.poll(() => server.asked, soon).toContain("two.example A");
    expect(await bodies(started.origin, 2)).toEqual(["127.0.0.1", "127.0.0.1"]);
    release();
    await changed;
    expect(await bodies(started.origin, 2)).toEqual(["127.0.0.2", "127.0.0.2"]);
  });

  it("get health checks as they appear", { tags: ["slow"] }, async () => {
    const { port } = await podServers(["127.0.0.1", "127.0.0.2"], (request, response) => {
      const { localAddress } = request.socket;
      response.statusCode = localAddress === "127.0.0.2" && request.url === "/healthz" ? 503 : 200;
      response.end(localAddress);
    });
    const server = await TestDnsServer.start({ "shop.example": { A: ["127.0.0.1"] } });
    const checked = shopAt(server, `{ dns: shop.example, port: ${port} }`).replace(
      "balance:",
      "health: { path: /healthz, interval: 1s }, balance:",
    );
    const { origin, admin, metric } = await perch(checked);
    expect(await bodies(origin, 2)).toEqual(["127.0.0.1", "127.0.0.1"]);
    server.zone = { "shop.example": { A: ["127.0.0.1", "127.0.0.2"] } };
    const up = (address: string) =>
      metric(`perch_endpoint_up{service="shop",version="stable",endpoint="http://${address}:${port}"}`);
    await expect.poll(() => up("127.0.0.2"), soon).toBe(0);
    expect(await bodies(origin, 4)).toEqual(["127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1"]);
    expect(await (await admin("/api/endpoints")).text()).toContain(`"endpoint": "http://127.0.0.2:${port}"`);
  });

  it("are resolved in every worker, and shown by the main thread", { tags: ["slow"] }, async () => {
    const { port } = await podServers(["127.0.0.1", "127.0.0.2"]);
    const server = await TestDnsServer.start({ "shop.example": { A: ["127.0.0.1"] } });
    const { origin, admin, metric } = await perch(
      `workers: 2\n${shopAt(server, `{ dns: shop.example, port: ${port} }`)}`,
    );
    expect(await bodies(origin, 4)).toEqual(["127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1"]);
    server.zone = { "shop.example": { A: ["127.0.0.2"] } };
    await expect.poll(() => upSeries(admin), soon).toEqual(["127.0.0.2"]);
    await expect.poll(async () => new Set(await bodies(origin, 10)), soon).toEqual(new Set(["127.0.0.2"]));
    const successes = () => metric('perch_dns_resolutions_total{name="shop.example",outcome="success"}');
    expect(await successes()).toBeGreaterThanOrEqual(4);
  });

  it("are explained with their current addresses", async () => {
    const server = await TestDnsServer.start({ "shop.example": { A: ["127.0.0.1", "127.0.0.2"] } });
    const { admin } = await perch(shopAt(server, "{ dns: shop.example, port: 8080 }"));
    const { trail } = (await (await admin("/api/explain?url=http://a.example/")).json()) as {
      trail: { stage: string; detail: string }[];
    };
    expect(trail.map(({ detail }) => detail).join("\n")).toContain(
      "http://127.0.0.1:8080, http://127.0.0.2:8080 (http://shop.example:8080 by DNS)",
    );
  });
});
