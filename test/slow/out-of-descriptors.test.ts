import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, createServer, request, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { PerchProcess } from "../kit/process.ts";

let folder: string;
let upstream: Server;
let perch: PerchProcess;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "perch-descriptors-"));
  upstream = createServer((_request, response) => response.end("hello"));
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
});

afterEach(async () => {
  await perch.stop();
  upstream.close();
  rmSync(folder, { recursive: true, force: true });
});

const descriptors = (): string[] => readdirSync(`/proc/${perch.child.pid}/fd`);

/** The limit is on descriptor numbers; the lowest free one is used next. What the start opened for a while is closed first. */
async function lowestUnused(): Promise<number> {
  let before: string[] = [];
  const isSettled = (): boolean => {
    const same = descriptors().join() === before.join();
    before = descriptors();
    return same;
  };
  await expect.poll(isSettled, { interval: 200 }).toBe(true);
  const open = new Set(before.map(Number));
  let number = 0;
  while (open.has(number)) number++;
  return number;
}

function allowDescriptors(limit: number): void {
  execFileSync("prlimit", ["--pid", String(perch.child.pid), `--nofile=${limit}:`]);
}

/** One request, on a connection that stays open: its status and error code. */
async function ask(origin: string, agent: Agent): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  request(origin, { agent }, (response) => {
    response.resume();
    response.on("end", () => resolve(`${response.statusCode} ${response.headers["x-perch-error"] ?? ""}`.trim()));
  })
    .on("error", reject)
    .end();
  return promise;
}

/** Perch in its own process in front of the upstream, with a redirect route. */
async function serving(fastLane: string, more = ""): ReturnType<PerchProcess["serving"]> {
  const { port } = upstream.address() as AddressInfo;
  const config = join(folder, "perch.yaml");
  writeFileSync(
    config,
    `
listeners: [{ name: web, address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0" }
fastLane: ${fastLane}
${more}
services: { shop: { versions: { stable: { endpoints: ["http://127.0.0.1:${port}"] } } } }
routes:
  - { name: away, match: { path: { exact: /away } }, redirect: { path: / } }
  - { name: shop, service: shop }
`,
  );
  perch = new PerchProcess(["serve", "-c", config]);
  return perch.serving();
}

describe.each(["on", "off"])("with the fast lane %s, out of file descriptors", (fastLane) => {
  test("a request gets 503 overloaded without an upstream error, and 200 once there are descriptors", async () => {
    const { origin, admin } = await serving(fastLane);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const metrics = async () => (await fetch(`${admin}/metrics`)).text();
    await metrics();
    // A redirect: the client's connection is open, and none to the upstream.
    expect(await ask(`${origin}/away`, agent)).toBe("302");

    allowDescriptors(await lowestUnused());
    expect(await ask(origin, agent)).toBe("503 overloaded");
    allowDescriptors(1_024);
    expect(await ask(origin, agent)).toBe("200");
    expect(await metrics()).toMatch(/^perch_endpoint_up{.*} 1$/m);
    expect(await metrics()).not.toMatch(/^perch_upstream_errors_total{.*} [1-9]/m);
    agent.destroy();
  });

  test("connections are closed unread without a busy loop, and accepted once there are descriptors", async () => {
    const { origin } = await serving(fastLane);
    // A connection that closes late would leave a descriptor for one of the clients.
    const kept = new Agent({ keepAlive: true });
    expect(await ask(origin, kept)).toBe("200");

    allowDescriptors(await lowestUnused());
    const clients = Array.from({ length: 20 }, () => connect(Number(new URL(origin).port), "127.0.0.1"));
    const closed = clients.map((client) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      client.on("error", () => {}).on("close", () => resolve());
      client.resume();
      return promise;
    });
    await Promise.all(closed);
    const before = cpuTicks();
    // CPU time over a second in which nothing happens: there is no event to wait for. A busy loop takes a hundred
    // ticks.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(cpuTicks() - before).toBeLessThan(50);

    allowDescriptors(1_024);
    expect(await ask(origin, new Agent({ keepAlive: false }))).toBe("200");
    kept.destroy();
  });
});

describe("out of descriptors by connections to the admin server", () => {
  test("probes are answered", async () => {
    const { admin } = await serving("on");
    allowDescriptors(128);
    const idle = Array.from({ length: 300 }, () => connect(Number(new URL(admin).port), "127.0.0.1"));
    for (const client of idle) client.on("error", () => {}).resume();
    await expect.poll(() => idle.filter(({ closed }) => closed).length, { timeout: 10_000 }).toBeGreaterThan(150);
    for (const path of ["/livez", "/readyz", "/metrics", "/livez", "/readyz", "/metrics"]) {
      expect([path, await ask(`${admin}${path}`, new Agent({ keepAlive: false }))]).toEqual([path, "200"]);
    }
    for (const client of idle) client.destroy();
  });
});

describe.each([1, 2])(
  "with limits.connections: 0 and %d worker(s), idle clients that take every descriptor",
  (workers) => {
    test("leave room for probes, the API, a reload and the requests of those who are connected", async () => {
      const { origin, admin } = await serving("on", `limits: { connections: 0 }\nworkers: ${workers}`);
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      expect(await ask(`${origin}/away`, agent)).toBe("302");

      allowDescriptors(256);
      const clients = Array.from({ length: 600 }, () => connect(Number(new URL(origin).port), "127.0.0.1"));
      for (const client of clients) client.on("error", () => {}).resume();
      // Those above the reserve are reset; the others stay.
      await expect.poll(() => clients.filter(({ closed }) => closed).length, { timeout: 10_000 }).toBeGreaterThan(400);
      const open = clients.filter(({ closed }) => !closed).length;
      expect(open).toBeGreaterThan(50);

      for (const path of ["/livez", "/readyz", "/metrics", "/api/config"]) {
        expect([path, await ask(`${admin}${path}`, new Agent({ keepAlive: false }))]).toEqual([path, "200"]);
      }
      expect(await ask(origin, agent)).toBe("200");
      const metrics = await (await fetch(`${admin}/metrics`)).text();
      expect(metrics).toMatch(/^perch_connections_refused_total{listener="web",cause="descriptors"} [1-9]/m);

      writeFileSync(
        join(folder, "perch.yaml"),
        `${readFileSync(join(folder, "perch.yaml"), "utf8")}\n# changed\nexposeVersion: true\n`,
      );
      perch.signal("SIGHUP");
      await perch.logged("configuration reloaded");
      for (const client of clients) client.destroy();
      agent.destroy();
    });
  },
);

/** CPU time of the process, in ticks. */
function cpuTicks(): number {
  const fields = readFileSync(`/proc/${perch.child.pid}/stat`, "latin1").split(") ")[1]?.split(" ") ?? [];
  return Number(fields[11]) + Number(fields[12]);
}
