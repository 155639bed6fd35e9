import { spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { perch, rawClient, rawUpstream, upstream } from "../kit/freed.ts";
import { requestsInFlight, requestsTotal, shopAt } from "../kit/one-service.ts";
import type { TestPerch } from "../kit/perch.ts";
import { portClosed, type RawClient } from "../kit/raw-client.ts";
import { freePorts, renameOver, servePerch, soon, temporaryFolder } from "../kit/served.ts";
import { Visitor } from "../kit/visitor.ts";
import { bringFault, faultyWorker } from "../workers/fault-channel.ts";

const twoWorkers = (origin: string) => shopAt(origin, "workers: 2");

const plainGet = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";
const answered = (received: string) => received.endsWith("\r\n0\r\n\r\n") || received.endsWith("late");
const total = requestsTotal(200);
const restarts = "perch_worker_restarts_total";

const clients = (count: number, port: number) => Promise.all(Array.from({ length: count }, () => rawClient(port)));

async function ask(asking: RawClient): Promise<string> {
  asking.received = "";
  asking.send(plainGet);
  return asking.read(answered);
}

const readiness = async (started: TestPerch) => (await (await started.admin("/readyz")).text()).trim();

/** Perch with workers that fail on command. */
async function faultyPerch(origin: string, options: Parameters<typeof perch>[1] = {}) {
  const started = await perch(twoWorkers(origin), { worker: { entry: faultyWorker, heapMb: 64 }, ...options });
  return { started, whole: () => expect.poll(() => started.metric("perch_workers"), soon).toBe(2) };
}

/** Perch with two workers on a file. */
async function filed(text: string, entry?: URL) {
  const file = join(await temporaryFolder(), "perch.yaml");
  await writeFile(file, freePorts + text);
  const worker = entry === undefined ? {} : { entry };
  const started = await perch("", { source: { kind: "file", path: file }, worker });
  const count = (result: string) => started.metric(`perch_config_reloads_total{result="${result}"}`);
  const change = async (next: string, result: "success" | "failure") => {
    const before = (await count(result)) ?? 0;
    await renameOver(file, freePorts + next);
    await expect.poll(() => count(result), { ...soon, interval: 2 }).toBe(before + 1);
  };
  return { started, change };
}

describe("requests", () => {
  it("are distributed over the workers, and their metrics are those of one process", async () => {
    const stable = await upstream("stable");
    const { started } = await faultyPerch(stable.origin);
    const all = await clients(64, started.port);
    for (const answer of await Promise.all(all.map(ask))) expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(await started.metric(total)).toBe(64);
    const series = 'perch_request_duration_seconds_count{route="all",service="shop",version="stable"}';
    expect(await started.metric(series)).toBe(64);
    expect(await started.metric(requestsInFlight)).toBe(0);
    expect([await started.metric("perch_workers"), await started.metric(restarts)]).toEqual([2, 0]);

    bringFault(1, { kind: "throw" });
    await expect.poll(() => started.metric(restarts), soon).toBe(1);
    const lost = all.filter(({ socket }) => socket.closed || socket.readableEnded).length;
    expect(lost).toBeGreaterThan(0);
    expect(lost).toBeLessThan(64);
  });

  it("are counted in metrics that pass promtool", async ({ skip }) => {
    const stable = await upstream("stable");
    const started = await perch(twoWorkers(stable.origin));
    await fetch(started.origin);
    const checked = spawnSync("promtool", ["check", "metrics"], {
      input: await (await started.admin("/metrics")).text(),
      encoding: "utf8",
    });
    skip(checked.error !== undefined, "promtool is not installed");
    expect(checked.stdout + checked.stderr).toBe("");
  });

  it("get one decision from all workers, with a generated secret, and all decisions are reported", async () => {
    const [stable, canary] = [await upstream("stable"), await upstream("canary")];
    const started = await perch(`
workers: 3
exposeVersion: true
services:
  shop: { versions: { stable: { endpoints: ["${stable.origin}"] }, canary: { endpoints: ["${canary.origin}"] } } }
releases: { shop: { split: { stable: 50, canary: 50 } } }
routes: [{ name: all, service: shop, release: shop }]
`);
    for (let user = 0; user < 8; user++) {
      const visitor = new Visitor();
      const first = (await visitor.get(started.origin)).headers;
      expect(first["set-cookie"]).toHaveLength(1);
      // Each on a new connection, for which the kernel chooses a worker.
      for (let i = 0; i < 12; i++) {
        const { headers } = await visitor.get(started.origin);
        expect([headers["x-perch-version"], headers["set-cookie"]]).toEqual([first["x-perch-version"], undefined]);
      }
    }
    expect(await started.metric('perch_pins_rejected_total{release="shop",cause="forged"}')).toBe(0);
    const { releases } = (await (await started.admin("/api/releases")).json()) as {
      releases: { versions: { lastFiveMinutes: { decisions: number } }[] }[];
    };
    const decisions = releases[0]?.versions.map(({ lastFiveMinutes }) => lastFiveMinutes.decisions) ?? [];
    expect(decisions.reduce((sum, count) => sum + count, 0)).toBe(8 * 13);
  });

  it("to an endpoint that refuses mark it as down, although only one worker noticed", async () => {
    const started = await perch(twoWorkers("http://127.0.0.1:9"));
    const up = 'perch_endpoint_up{service="shop",version="stable",endpoint="http://127.0.0.1:9"}';
    expect(await started.metric(up)).toBe(1);
    expect((await fetch(started.origin)).status).toBe(502);
    expect(await started.metric(up)).toBe(0);
  });
});

describe("starting", () => {
  it("reports a port in use, also by another Perch with workers", async () => {
    const { port } = await perch(twoWorkers("http://127.0.0.1:9"));
    const text = `${twoWorkers("http://127.0.0.1:9")}
listeners: [{ name: web, address: "127.0.0.1:${port}" }]
admin: { address: "127.0.0.1:0" }
`;
    await expect(perch("", { source: { kind: "text", name: "test.yaml", text } })).rejects.toThrow(
      `perch: listener "web" cannot listen on 127.0.0.1:${port}: the port is in use (EADDRINUSE)`,
    );
  });

  it("fails with the reason where a worker cannot start", async () => {
    const entry = new URL("data:text/javascript,throw new Error('no worker of ours')");
    const failure = perch(twoWorkers("http://127.0.0.1:9"), { worker: { entry } });
    await expect(failure).rejects.toThrow(/perch: worker 1 failed to start: [\s\S]*no worker of ours/);
  });

  it("a changed number of workers waits for the next start", async () => {
    const { started, change } = await filed(twoWorkers("http://127.0.0.1:9"));
    await change(twoWorkers("http://127.0.0.1:9").replace("workers: 2", "workers: 3"), "success");
    expect(await (await started.admin("/api/config")).json()).toMatchObject({ restartNeeded: ["workers"] });
    expect(await started.metric("perch_workers")).toBe(2);
  });
});

describe("a reload", () => {
  it("under load fails no request, and from its end on only the new configuration answers", async () => {
    const [one, two] = [await upstream("one"), await upstream("two")];
    const { started, change } = await filed(twoWorkers(one.origin));
    let wanted: { readonly name: string } | undefined;
    let over = false;
    let count = 0;
    const wrong: string[] = [];
    const load = async (agent: Agent | false) => {
      while (!over) {
        // Only a request that begins and ends under one committed configuration must be its own.
        const before = wanted;
        const body = await get(started.origin, agent).catch(String);
        count++;
        if (!/^hello from (one|two)\n$/.test(body)) wrong.push(body);
        if (before !== undefined && before === wanted && body !== `hello from ${before.name}\n`) wrong.push(body);
      }
    };
    const agent = () => new Agent({ keepAlive: true, maxSockets: 1 });
    const running = [...Array.from({ length: 8 }, agent), false as const, false as const].map(load);
    for (let i = 0; i < 8; i++) {
      const { name, origin } = i % 2 === 0 ? { name: "two", origin: two.origin } : { name: "one", origin: one.origin };
      wanted = undefined;
      await change(twoWorkers(origin), "success");
      wanted = { name };
      const until = count + 200;
      await expect.poll(() => count, soon).toBeGreaterThan(until);
    }
    over = true;
    await Promise.all(running);
    expect(wrong).toEqual([]);
  });

  it("of a bad file changes nothing in any worker", async () => {
    const one = await upstream("one");
    const { started, change } = await filed(twoWorkers(one.origin));
    await change(`${twoWorkers("http://127.0.0.1:9")}nonsense: 1\n`, "failure");
    for (const answer of await Promise.all((await clients(32, started.port)).map(ask))) {
      expect(answer).toContain("hello from one\n");
    }
  });

  it("that one worker cannot prepare changes nothing in the others, and is reported", async () => {
    const [one, two] = [await upstream("one"), await upstream("two")];
    const { started, change } = await filed(twoWorkers(one.origin), faultyWorker);
    bringFault(2, { kind: "exit-when-preparing" });
    await change(twoWorkers(two.origin), "failure");
    const { active, lastError } = (await (await started.admin("/api/config")).json()) as {
      active: { hash: string };
      lastError: { text: string };
    };
    expect(lastError.text).toContain("not every worker could prepare the configuration: worker 2: exited with code 7");
    await expect.poll(() => started.metric("perch_workers"), soon).toBe(2);
    // The replacement has the active configuration, not the file's.
    for (const answer of await Promise.all((await clients(32, started.port)).map(ask))) {
      expect(answer).toContain("hello from one\n");
    }
    const successes = () => started.metric('perch_config_reloads_total{result="success"}');
    const before = (await successes()) ?? 0;
    started.app.reload();
    // The reload counts once every worker has switched; until then one may serve what /api/config does not show yet.
    await expect.poll(successes, soon).toBe(before + 1);
    expect(await (await started.admin("/api/config")).json()).not.toMatchObject({ active });
    for (const answer of await Promise.all((await clients(32, started.port)).map(ask))) {
      expect(answer).toContain("hello from two\n");
    }
  });

  it("reaches a worker that replaces another", async () => {
    const [one, two] = [await upstream("one"), await upstream("two")];
    const { started, change } = await filed(twoWorkers(one.origin), faultyWorker);
    await change(twoWorkers(two.origin), "success");
    bringFault("all", { kind: "throw" });
    await expect.poll(() => started.metric(restarts), soon).toBe(2);
    await expect.poll(() => started.metric("perch_workers"), soon).toBe(2);
    for (const answer of await Promise.all((await clients(32, started.port)).map(ask))) {
      expect(answer).toContain("hello from two\n");
    }
  });
});

describe("a worker that ends", () => {
  it.each([
    { why: "an uncaught error", fault: "throw" },
    { why: "a full heap", fault: "out-of-memory" },
  ] as const)("by $why is replaced and counted, and no counter decreases", async ({ fault }) => {
    const stable = await upstream("stable");
    const { started, whole } = await faultyPerch(stable.origin);
    const sent = await Promise.all((await clients(32, started.port)).map(ask));
    expect(sent).toHaveLength(32);
    expect(await started.metric(total)).toBe(32);
    bringFault(2, { kind: fault });
    const seen: (number | undefined)[] = [];
    const look = async () => {
      seen.push(await started.metric(total));
      return started.metric(restarts);
    };
    await expect.poll(look, { ...soon, timeout: 18_000 }).toBe(1);
    await whole();
    expect(new Set(seen)).toEqual(new Set([32]));
    for (const answer of await Promise.all((await clients(32, started.port)).map(ask))) {
      expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    }
    expect(await started.metric(total)).toBe(64);
  });

  it("has written its requests to the access log", async () => {
    const stable = await upstream("stable");
    const file = join(await temporaryFolder(), "access.log");
    const worker = { entry: faultyWorker };
    const started = await perch(twoWorkers(stable.origin), { worker, accessLogTo: file });
    await Promise.all((await clients(16, started.port)).map(ask));
    bringFault("all", { kind: "throw" });
    await expect.poll(() => started.metric(restarts), soon).toBe(2);
    await started.stop();
    expect((await readFile(file, "utf8")).match(/"msg":"request"/g)).toHaveLength(16);
  });

  it("leaves Perch unready where it was the last", async () => {
    const { started, whole } = await faultyPerch("http://127.0.0.1:9");
    expect(await readiness(started)).toBe("ok");
    bringFault("all", { kind: "throw" });
    await expect.poll(() => readiness(started), { ...soon, interval: 2 }).toBe("not ready: no worker serves");
    await whole();
    expect(await readiness(started)).toBe("ok");
  });

  it("is logged with the reason", async () => {
    const main = new URL("../workers/faulty-perch.ts", import.meta.url).pathname;
    const started = await servePerch(twoWorkers("http://127.0.0.1:9"), [], main);
    started.process.signal("SIGUSR2");
    expect(await started.process.logged("worker exited")).toMatchObject({
      level: "error",
      worker: 1,
      why: expect.stringContaining("Error: a fault of the test\n    at "),
      againInMs: 100,
    });
    expect(await started.process.logged("worker restarted")).toMatchObject({ level: "info", worker: 1 });
  });

  it("does not delay metrics while it is busy: its last counts are used", async () => {
    const stable = await upstream("stable");
    const { started } = await faultyPerch(stable.origin);
    await Promise.all((await clients(16, started.port)).map(ask));
    expect(await started.metric(total)).toBe(16);
    bringFault("all", { kind: "busy", forMs: 1_500 });
    const began = performance.now();
    expect(await started.metric(total)).toBe(16);
    expect(performance.now() - began).toBeLessThan(1_200);
  });
});

describe("draining", () => {
  it("lets requests in flight finish in every worker", async () => {
    const { promise: allAsked, resolve } = Promise.withResolvers<void>();
    let asked = 0;
    const slow = await rawUpstream((_, received) => {
      if (received.endsWith("\r\n\r\n") && ++asked === 32) resolve();
    });
    const started = await perch(twoWorkers(slow.origin));
    const waiting = await clients(32, started.port);
    for (const one of waiting) one.send(plainGet);
    await allAsked;
    const drained = started.app.drain("test");
    await portClosed(started.port);
    for (const socket of slow.sockets) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate");
    for (const one of waiting) {
      expect(await one.read()).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\nConnection: close\r\n[\s\S]*late$/);
    }
    await drained;
    expect(await started.metric(total)).toBe(32);
  });

  it("answers clients that had connected and were not accepted yet", async () => {
    const stable = await upstream("stable");
    const { started } = await faultyPerch(stable.origin);
    await ask(await rawClient(started.port));
    bringFault("all", { kind: "busy", forMs: 500 });
    const waiting = await clients(64, started.port);
    for (const one of waiting) one.send(plainGet);
    const drained = started.app.drain("test");
    for (const one of waiting) expect(await one.read()).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    await drained;
  });

  it("disconnects clients that are accepted after its timeout", async () => {
    const silent = await rawUpstream(() => {});
    const { started } = await faultyPerch(silent.origin, { drainTimeoutMs: 1 });
    bringFault("all", { kind: "busy", forMs: 500 });
    const waiting = await clients(64, started.port);
    for (const one of waiting) one.send(plainGet);
    await started.app.drain("test");
    for (const one of waiting) expect(await one.read()).toBe("");
  });

  it("aborts requests at its timeout", async () => {
    const { promise: asked, resolve } = Promise.withResolvers<void>();
    const silent = await rawUpstream(() => resolve());
    const started = await perch(twoWorkers(silent.origin), { drainTimeoutMs: 50 });
    const waiting = await rawClient(started.port);
    waiting.send(plainGet);
    await asked;
    await started.app.drain("test");
    expect(await waiting.read()).toBe("");
  });
});

function get(origin: string, agent: Agent | false): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const sent = request(origin, { agent }, (response) => {
    let body = "";
    response.on("data", (chunk: Buffer) => {
      body += chunk;
    });
    response.on("end", () => resolve(body)).on("error", reject);
  });
  sent.on("error", reject).end();
  return promise;
}
