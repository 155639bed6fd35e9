import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { scheduleTimeout } from "../../src/upstream/clock.ts";
import { createDnsLookup, parseResolvConf, searchOrder } from "../../src/upstream/dns-lookup.ts";
import type { DnsQuestion } from "../../src/upstream/service-spec.ts";
import { TestDnsServer } from "../kit/dns-server.ts";
import { temporaryFolder } from "../kit/served.ts";

const zone = {
  "shop.example": { A: ["10.0.0.1", "10.0.0.2"], AAAA: ["fd00::1"] },
  "four.example": { A: ["10.0.0.4"] },
  "nothing.example": { SRV: ["0 1 80 shop.example"] },
  "_http._tcp.shop.example": { SRV: ["10 1 8080 four.example", "10 9 8081 shop.example", "20 1 9999 four.example"] },
  "_gone._tcp.shop.example": { SRV: ["0 0 0 "] },
  "shop.ns.svc.local": { A: ["10.0.0.7"] },
};

const addresses = (name: string): DnsQuestion => ({ name, wanted: "addresses" });
const services = (name: string): DnsQuestion => ({ name, wanted: "services" });
const never = new AbortController().signal;

const lookup = createDnsLookup(scheduleTimeout);

async function lookUp(question: DnsQuestion, prepare: (server: TestDnsServer) => void = () => {}) {
  const server = await TestDnsServer.start(zone);
  server.ttlSeconds = 7;
  prepare(server);
  const { answer, complete } = await lookup({ question, servers: [server.address], signal: never, pending: undefined });
  return { server, answer, complete };
}

describe("createDnsLookup", () => {
  it("finds the addresses of both families, and their TTL", async () => {
    const { answer, server } = await lookUp(addresses("shop.example"));
    expect(answer).toEqual({
      kind: "found",
      records: ["10.0.0.1", "10.0.0.2", "fd00::1"].map((address) => ({ address, port: undefined })),
      ttlMs: 7000,
      unknown: [],
    });
    expect(server.asked.toSorted()).toEqual(["shop.example A", "shop.example AAAA"]);
  });

  it("finds addresses of one family if there are none of the other", async () => {
    expect((await lookUp(addresses("four.example"))).answer).toMatchObject({ kind: "found", unknown: [] });
  });

  it("finds addresses of one family if the other fails, and reports which failed", async () => {
    const { answer } = await lookUp(addresses("shop.example"), ({ moods }) => moods.set("AAAA", "servfail"));
    expect(answer).toMatchObject({
      kind: "found",
      unknown: [6],
      records: [{ address: "10.0.0.1" }, { address: "10.0.0.2" }],
    });
  });

  it("finds the hosts and ports of SRV records of the best priority", async () => {
    const { answer } = await lookUp(services("_http._tcp.shop.example"));
    expect(answer).toEqual({
      kind: "found",
      records: [
        { address: "10.0.0.4", port: 8080 },
        { address: "10.0.0.1", port: 8081 },
        { address: "10.0.0.2", port: 8081 },
        { address: "fd00::1", port: 8081 },
      ],
      ttlMs: 7000,
      unknown: [],
    });
  });

  it.each([
    ["the name does not exist", addresses("none.example")],
    ["the name has neither A nor AAAA records", addresses("nothing.example")],
    ["the service does not exist", services("_http._tcp.none.example")],
    ["the SRV target is the root, which means no service", services("_gone._tcp.shop.example")],
  ])("is empty if %s", async (_sentence, question) => {
    expect((await lookUp(question)).answer).toEqual({ kind: "empty" });
  });

  it.each([
    ["servfail", "ESERVFAIL"],
    ["refused", "EREFUSED"],
  ] as const)("fails if the name server responds with %s", async (mood, why) => {
    for (const question of [addresses("shop.example"), services("_http._tcp.shop.example")]) {
      const { answer } = await lookUp(question, (server) => {
        server.mood = mood;
      });
      expect(answer).toEqual({ kind: "failed", why });
    }
  });

  it("fails as a whole if one target of SRV records cannot be resolved", async () => {
    const { answer } = await lookUp(services("_http._tcp.shop.example"), ({ moods }) =>
      moods.set("A", "servfail").set("AAAA", "servfail"),
    );
    expect(answer).toEqual({ kind: "failed", why: "ESERVFAIL" });
  });

  it("waits for AAAA records of a name that the name server denies for A", async () => {
    const server = await TestDnsServer.start({ "six.example": { AAAA: ["fd00::6"] } });
    server.moods.set("A", "nxdomain");
    const release = server.hold("AAAA");
    const { promise: delayEnded, resolve } = Promise.withResolvers<void>();
    const lookupWithoutDelay = createDnsLookup((_delayMs, end) => {
      end();
      resolve();
      return () => {};
    });
    const question = addresses("six.example");
    const finding = lookupWithoutDelay({ question, servers: [server.address], signal: never, pending: undefined });
    await delayEnded;
    release();
    expect((await finding).answer).toMatchObject({ kind: "found", records: [{ address: "fd00::6" }] });
  });

  it("ends when it is aborted", async () => {
    const server = await TestDnsServer.start(zone);
    server.mood = "silent";
    const stop = new AbortController();
    const { signal } = stop;
    const question = addresses("shop.example");
    const finding = lookup({ question, servers: [server.address], signal, pending: undefined });
    await expect.poll(() => server.asked.length).toBeGreaterThan(0);
    stop.abort();
    expect((await finding).answer).toEqual({ kind: "failed", why: "ECANCELLED" });
  });

  it("uses the search list and the name servers of resolv.conf", async () => {
    const server = await TestDnsServer.start(zone);
    const file = join(await temporaryFolder(), "resolv.conf");
    await writeFile(file, `nameserver ${server.address}\nsearch ns.svc.local svc.local\noptions ndots:5\n`);
    const found = async (question: DnsQuestion) =>
      (await createDnsLookup(scheduleTimeout, file)({ question, servers: [], signal: never, pending: undefined }))
        .answer;
    expect(await found(addresses("shop"))).toMatchObject({ records: [{ address: "10.0.0.7" }] });
    expect(server.asked.toSorted()).toEqual(["shop.ns.svc.local A", "shop.ns.svc.local AAAA"]);
    server.asked.length = 0;
    // A name that does not exist costs the search no time although AAAA is never answered.
    server.moods.set("AAAA", "silent");
    expect(await found(addresses("shop.example"))).toMatchObject({ kind: "found" });
    expect(server.asked.filter((question) => question.endsWith(" A"))).toEqual([
      "shop.example.ns.svc.local A",
      "shop.example.svc.local A",
      "shop.example A",
    ]);
  });
});

const pod = `# written by the kubelet
nameserver 10.96.0.10
search shop.svc.cluster.local svc.cluster.local. cluster.local
options ndots:5 edns0`;

describe("parseResolvConf", () => {
  it.each([
    [
      "the file of a Pod",
      pod,
      { servers: ["10.96.0.10"], domains: ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"], dots: 5 },
    ],
    ["an empty file", "", { servers: [], domains: [], dots: 1 }],
    [
      "the last of several search lines",
      "search a.example\nsearch b.example",
      { servers: [], domains: ["b.example"], dots: 1 },
    ],
    ["the root domain", "search .", { servers: [], domains: [], dots: 1 }],
    ["invalid options", "options ndots: ndots:x rotate\nnameserver", { servers: [], domains: [], dots: 1 }],
  ])("parses %s", (_sentence, text, wanted) => {
    expect(parseResolvConf(text)).toEqual(wanted);
  });
});

describe("searchOrder", () => {
  const inPod = parseResolvConf(pod);
  it.each([
    ["a short name", "shop", ["shop.shop.svc.cluster.local", "shop.svc.cluster.local", "shop.cluster.local", "shop"]],
    [
      "a name with many dots",
      "a.b.c.d.e.f",
      [
        "a.b.c.d.e.f",
        "a.b.c.d.e.f.shop.svc.cluster.local",
        "a.b.c.d.e.f.svc.cluster.local",
        "a.b.c.d.e.f.cluster.local",
      ],
    ],
    ["a name with a trailing dot", "shop.example.", ["shop.example"]],
  ])("of %s", (_sentence, name, wanted) => {
    expect(searchOrder(name, inPod)).toEqual(wanted);
  });
});
