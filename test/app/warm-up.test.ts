/** @module-tag slow */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { defaultWarmUp, warmUp } from "../../src/app/warm-up.ts";
import { createLogger } from "../../src/observe/log.ts";
import { PostedLines } from "../../src/workers/worker-thread.ts";
import { freeAfterTest, upstream } from "../kit/freed.ts";
import { lanes, requestsTotal, shopAt } from "../kit/one-service.ts";
import { startPerch, type TestPerchOptions } from "../kit/perch.ts";
import { freePort, readiness } from "../kit/readiness.ts";
import { freePorts, perchProcess, temporaryFolder } from "../kit/served.ts";
import { snapshotOf } from "../kit/snapshot.ts";

/** Nobody has this address (RFC 5737), so nothing can listen on it. */
const nowhere = { ...defaultWarmUp, host: "192.0.2.1" };

/** The lines of a warm-up's log. */
async function warmedUp(fastLane: string, spec = defaultWarmUp): Promise<Record<string, unknown>[]> {
  const lines: Record<string, unknown>[] = [];
  const to = { write: (line: string) => lines.push(JSON.parse(line)) };
  const log = createLogger({ level: "debug", nowMs: () => Date.now(), to });
  const { config } = snapshotOf(shopAt("http://127.0.0.1:9", `fastLane: ${fastLane}`));
  await warmUp(spec, config, new PostedLines(() => {}), log);
  return lines;
}

const openSockets = () => process.getActiveResourcesInfo().filter((kind) => kind.startsWith("TCP")).length;

describe("a warm-up", () => {
  it.each(lanes)("answers requests in the $lane lane, and leaves nothing open", async ({ fastLane }) => {
    // Those of the test before close in their own time.
    await expect.poll(openSockets).toBe(0);
    const lines = await warmedUp(fastLane);
    expect(lines).toMatchObject([{ level: "debug", msg: "warmed up" }]);
    expect(lines[0]?.["requests"]).toBeGreaterThan(20);
    await expect.poll(openSockets).toBe(0);
  });

  it("ends at its time limit", async () => {
    const [line] = await warmedUp("on", { ...defaultWarmUp, limitMs: 1 });
    expect(line).toMatchObject({ msg: "warmed up", requests: 0 });
  });

  it("that fails says so at debug, and rejects nothing", async () => {
    const lines = await warmedUp("on", nowhere);
    expect(lines).toMatchObject([{ level: "debug", err: { code: "EADDRNOTAVAIL" } }]);
  });
});

describe("an app that warms up", () => {
  const startOn = async (ports: { readonly admin: number; readonly web: number }, options: TestPerchOptions) => {
    const stable = await upstream("stable");
    const text = `listeners: [{ name: web, address: "127.0.0.1:${ports.web}" }]
admin: { address: "127.0.0.1:${ports.admin}" }
${shopAt(stable.origin)}`;
    const starting = startPerch("", { source: { kind: "text", name: "test.yaml", text }, ...options });
    freeAfterTest(async () => (await starting).stop());
    return starting;
  };

  it("accepts and is ready only afterwards", async () => {
    const ports = { admin: await freePort(), web: await freePort() };
    const starting = startOn(ports, { warmUp: defaultWarmUp });
    const starts = "503 not ready: starting, not every listener accepts connections yet";
    await expect.poll(() => readiness(ports.admin), { timeout: 10_000, interval: 1 }).toBe(starts);
    await expect(fetch(`http://127.0.0.1:${ports.web}`)).rejects.toThrow("fetch failed");
    await starting;
    expect(await readiness(ports.admin)).toBe("200 ok");
    expect((await fetch(`http://127.0.0.1:${ports.web}`)).status).toBe(200);
  });

  it("starts where the warm-up fails", async () => {
    const ports = { admin: await freePort(), web: await freePort() };
    await startOn(ports, { warmUp: nowhere });
    expect((await fetch(`http://127.0.0.1:${ports.web}`)).status).toBe(200);
  });
});

const slow = { tags: ["slow"] };

describe("perch serve warms up", () => {
  // Two threads that warm up take seconds.
  for (const [workers, options] of [
    [1, {}],
    [2, slow],
  ] as const) {
    it(
      `with ${workers} workers: before it serves, each thread, and nothing of it is counted or logged`,
      options,
      async () => {
        const stable = await upstream("stable");
        const file = join(await temporaryFolder(), "perch.yaml");
        await writeFile(file, `${freePorts}workers: ${workers}\n${shopAt(stable.origin)}`);
        const perch = perchProcess(["serve", "-c", file, "--log-level", "debug"]);
        const { origin, admin } = await perch.serving();
        const told = perch.stderr
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line).msg);
        expect(told).toEqual([...Array(workers).fill("warmed up"), "serving"]);
        expect(await counted(admin)).toEqual([]);
        await (await fetch(origin)).text();
        await expect.poll(() => counted(admin)).toContain(`${requestsTotal(200)} 1`);
        expect(stable.seen).toHaveLength(1);
        perch.signal("SIGTERM");
        await perch.exited;
        expect(perch.stdout.trim().split("\n")).toHaveLength(1);
      },
    );
  }
});

/** The counters that are not zero. */
async function counted(admin: string): Promise<readonly string[]> {
  const text = await (await fetch(`${admin}/metrics`)).text();
  return text.split("\n").filter((line) => /^perch_\w+_(total|count)\b.* [1-9]/.test(line));
}
