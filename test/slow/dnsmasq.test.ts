import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { scheduleTimeout } from "../../src/upstream/clock.ts";
import { createDnsLookup } from "../../src/upstream/dns-lookup.ts";
import { freeAfterTest, perch, upstream } from "../kit/freed.ts";
import { temporaryFolder } from "../kit/served.ts";
import { freePort } from "../kit/upstream.ts";

const soon = { timeout: 10_000, interval: 50 };
const never = new AbortController().signal;

const dnsmasq = /^Dnsmasq version/.test(spawnSync("dnsmasq", ["--version"], { encoding: "utf8" }).stdout ?? "");
if (!dnsmasq) console.info("skipped: what needs dnsmasq, which is not installed");

/** dnsmasq on loopback with these hosts only; `change` replaces them. */
async function nameServer(hosts: string, options: readonly string[] = []) {
  const file = join(await temporaryFolder(), "hosts");
  await writeFile(file, hosts);
  const port = await freePort();
  const always = [
    "--keep-in-foreground",
    "--no-resolv",
    "--no-hosts",
    "--bind-interfaces",
    "--pid-file",
    "--conf-file=/dev/null",
  ];
  const where = [
    "--listen-address=127.0.0.1",
    `--port=${port}`,
    `--addn-hosts=${file}`,
    `--user=${userInfo().username}`,
  ];
  const server = spawn("dnsmasq", [
    ...always,
    ...where,
    "--local=/example/",
    "--local-ttl=1",
    "--log-facility=-",
    ...options,
  ]);
  freeAfterTest(async () => {
    server.kill();
    if (server.exitCode === null && server.signalCode === null) await once(server, "exit");
  });
  const address = `127.0.0.1:${port}`;
  const lookup = async (name: string, wanted: "addresses" | "services" = "addresses") => {
    const input = { question: { name, wanted }, servers: [address], signal: never, pending: undefined };
    return (await createDnsLookup(scheduleTimeout)(input)).answer;
  };
  await expect.poll(async () => (await lookup("ready.example")).kind, soon).not.toBe("failed");
  const change = async (next: string) => {
    await writeFile(file, next);
    server.kill("SIGHUP");
  };
  return { address, lookup, change };
}

describe.skipIf(!dnsmasq)("with dnsmasq as the name server", () => {
  it("a name has all its addresses, also too many for a datagram", async () => {
    const addresses = Array.from({ length: 300 }, (_, at) => `10.0.${at >> 8}.${at & 255}`);
    const { lookup } = await nameServer(addresses.map((address) => `${address} many.example\n`).join(""));
    const answer = await lookup("many.example");
    const found = answer.kind === "found" ? answer.records.map(({ address }) => address) : [];
    expect(new Set(found)).toEqual(new Set(addresses));
  });

  it("names are followed by CNAME and SRV", async () => {
    const { lookup } = await nameServer("10.0.0.1 shop.example\nfd00::1 shop.example\n", [
      "--cname=alias.example,shop.example",
      "--srv-host=_http._tcp.shop.example,shop.example,8080,0,1",
      "--srv-host=_http._tcp.shop.example,shop.example,9090,1,1",
    ]);
    expect(await lookup("alias.example")).toMatchObject({ records: [{ address: "10.0.0.1" }, { address: "fd00::1" }] });
    expect(await lookup("_http._tcp.shop.example", "services")).toMatchObject({
      records: [
        { address: "10.0.0.1", port: 8080 },
        { address: "fd00::1", port: 8080 },
      ],
      ttlMs: 1000,
    });
  });

  it("an unknown name is empty, and one outside the server's domains fails", async () => {
    const { lookup } = await nameServer("10.0.0.1 shop.example\n");
    expect(await lookup("none.example")).toEqual({ kind: "empty" });
    expect(await lookup("elsewhere.test")).toMatchObject({ kind: "failed" });
  });

  it("endpoints follow the name by its TTL", async () => {
    const { port } = await upstream("one");
    const { address, change } = await nameServer("127.0.0.1 shop.example\n");
    const { origin, admin } = await perch(`
dns: { servers: ["${address}"], minTtl: 200ms }
services: { shop: { versions: { stable: { endpoints: [{ dns: shop.example, port: ${port} }] } } } }
routes: [{ name: all, service: shop }]`);
    expect((await fetch(origin)).headers.get("x-upstream")).toBe("one");
    await change("127.0.0.1 shop.example\n127.0.0.9 shop.example\n");
    const metrics = async () => (await admin("/metrics")).text();
    await expect.poll(metrics, soon).toContain(`endpoint="http://127.0.0.9:${port}"`);
    await change("127.0.0.1 shop.example\n");
    await expect.poll(metrics, soon).not.toContain(`endpoint="http://127.0.0.9:${port}"`);
  });
});
