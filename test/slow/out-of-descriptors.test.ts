import { execFileSync } from "node:child_process";
import { once } from "node:events";
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

/** The limit is on their numbers, of which the lowest that is free is taken. */
function lowestUnused(): number {
  const open = new Set(readdirSync(`/proc/${perch.child.pid}/fd`).map(Number));
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

/** A Perch of its own in front of the upstream, with a route that it answers by itself. */
async function serving(fastLane: string): ReturnType<PerchProcess["serving"]> {
  const { port } = upstream.address() as AddressInfo;
  const config = join(folder, "perch.yaml");
  writeFileSync(
    config,
    `
listeners: [{ name: web, address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0" }
fastLane: ${fastLane}
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
  test("a request is told that Perch is overloaded, no endpoint is blamed, and all is well once there are some", async () => {
    const { origin, admin } = await serving(fastLane);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const metrics = async () => (await fetch(`${admin}/metrics`)).text();
    await metrics();
    // Answered by Perch alone: the client's connection stands, and none to the upstream.
    expect(await ask(`${origin}/away`, agent)).toBe("302");

    allowDescriptors(lowestUnused());
    expect(await ask(origin, agent)).toBe("503 overloaded");
    allowDescriptors(1_024);
    expect(await ask(origin, agent)).toBe("200");
    expect(await metrics()).toMatch(/^perch_endpoint_up{.*} 1$/m);
    expect(await metrics()).not.toMatch(/^perch_upstream_errors_total{.*} [1-9]/m);
    agent.destroy();
  });

  test("connections are closed unread without a busy loop, and accepted again once there are some", async () => {
    const { origin } = await serving(fastLane);
    const fresh = () => new Agent({ keepAlive: false });
    expect(await ask(origin, fresh())).toBe("200");

    allowDescriptors(lowestUnused());
    const clients = Array.from({ length: 20 }, () => connect(Number(new URL(origin).port), "127.0.0.1"));
    const closed = clients.map((client) => once(client.on("error", () => {}).resume(), "close"));
    await Promise.all(closed);
    const before = cpuTicks();
    // CPU time over a second in which nothing happens: there is no event to wait for. A busy loop takes a hundred ticks.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(cpuTicks() - before).toBeLessThan(50);

    allowDescriptors(1_024);
    expect(await ask(origin, fresh())).toBe("200");
  });
});

/** What the process has used of a CPU, in ticks. */
function cpuTicks(): number {
  const fields = readFileSync(`/proc/${perch.child.pid}/stat`, "latin1").split(") ")[1]?.split(" ") ?? [];
  return Number(fields[11]) + Number(fields[12]);
}
