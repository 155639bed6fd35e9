/** @module-tag slow */
import { writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Point, TickBody } from "../../src/admin/live/live-bodies.ts";
import type { LiveView } from "../../src/admin/live/live-view.ts";
import type { DecisionLine } from "../../src/observe/live/decision-tail.ts";
import { freeAfterTest, perch, upstream } from "../kit/freed.ts";
import { shopYaml } from "../kit/one-service.ts";
import type { TestPerch } from "../kit/perch.ts";
import { freePorts, perchOn, renameOver, soon, temporaryFolder } from "../kit/served.ts";
import { bringFault, faultyWorker } from "../workers/fault-channel.ts";

const attributes = "attributes: { userId: { type: string, from: [{ header: x-user }] } }";
const release = "split: { stable: 100, canary: 0 }, rules: [{ name: qa, when: { userId: qa }, use: canary }]";

/** A stable version, and a canary that fails and is slow. */
async function shop(more: string) {
  const stable = await upstream("stable");
  const canary = await upstream("canary", (_request, response) => {
    setTimeout(() => response.writeHead(500).end(), 60);
  });
  return shopYaml({ stable: stable.origin, canary: canary.origin, release, more: `${attributes}\n${more}` });
}

/** Each on a connection of its own, so that workers share them. */
async function send(started: TestPerch, count: number, user: string, method = "GET"): Promise<void> {
  for (let request = 0; request < count; request++) {
    const response = await fetch(started.origin, { method, headers: { "x-user": user, connection: "close" } });
    await response.arrayBuffer();
  }
}

/** All ticks, from now on. */
function ticksOf(live: LiveView): readonly TickBody[] {
  const ticks: TickBody[] = [];
  const end = live.onTick(() => {
    const tick = live.tick();
    if (tick !== undefined) ticks.push(tick);
  });
  freeAfterTest(async () => end());
  return ticks;
}

/** The sums of all seconds and of all slots of ten seconds. */
function historyOf(live: LiveView, version: string) {
  const { seconds, tens } = live.history("shop") ?? {};
  const sum = (points: readonly (Point | null)[] = []) =>
    [0, 1].map((at) => points.reduce((all, point) => all + (point?.[at] ?? 0), 0));
  return [sum(seconds?.versions[version]), sum(tens?.versions[version])];
}

describe.each([1, 2])("what is live, with %d serving threads", (workers) => {
  it("requests are in the ticks and in the history, with failures, durations and hits of rules", async () => {
    const beganMs = Date.now();
    const started = await perch(await shop(`workers: ${workers}`));
    const { live } = started.app;
    const ticks = ticksOf(live);
    await send(started, 20, "someone");
    await send(started, 5, "qa");
    await expect
      .poll(() => historyOf(live, "stable"), soon)
      .toEqual([
        [20, 0],
        [20, 0],
      ]);
    await expect
      .poll(() => historyOf(live, "canary"), soon)
      .toEqual([
        [5, 5],
        [5, 5],
      ]);
    const versions = live.tick()?.releases["shop"]?.versions;
    expect(versions?.["stable"]?.minute).toMatchObject({ requests: 20, failed: 0 });
    expect(versions?.["canary"]?.fiveMinutes).toMatchObject({ requests: 5, failed: 5 });
    const [ms, low, high] = versions?.["canary"]?.minute.p50 ?? [];
    expect([ms, low, high].every((each) => each !== undefined && each >= 50)).toBe(true);
    expect(live.history("shop")).toMatchObject({ release: "shop", instance: live.instance });
    expect(live.history("another")).toBeUndefined();

    const [hits, lastMs] = live.ruleHits()["shop"]?.["qa"] ?? [];
    expect(hits).toBe(5);
    expect(lastMs).toBeGreaterThan(beganMs - 1_000);
    expect(lastMs).toBeLessThanOrEqual(Date.now());
    const ofRules = ticks.filter(({ releases }) => releases["shop"]?.rules["qa"] !== undefined);
    expect(ofRules.at(-1)).toMatchObject({ atMs: lastMs, releases: { shop: { rules: { qa: [5, lastMs] } } } });
    expect(new Set(ticks.map(({ atMs }) => atMs % 1_000))).toEqual(new Set([0]));
  });

  it("decisions are sampled while somebody listens, and not before or after", async () => {
    const started = await perch(await shop(`workers: ${workers}`));
    const { live } = started.app;
    await send(started, 1, "someone", "PUT");
    const lines: DecisionLine[] = [];
    const end = live.onDecisions((batch) => void lines.push(...batch.lines));
    const grows = async () => {
      const before = lines.length;
      await expect.poll(() => send(started, 1, "qa").then(() => lines.length), soon).toBeGreaterThan(before);
    };
    await grows();
    end();
    await send(started, 1, "someone", "DELETE");
    live.onDecisions((batch) => void lines.push(...batch.lines));
    await grows();
    expect(new Set(lines.map(({ method }) => method))).toEqual(new Set(["GET"]));
    expect(lines[0]).toMatchObject({ route: "all", version: "canary", reason: "rule", rule: "qa", status: 500 });
  });
});

it("a release has a history before its first second is over", async () => {
  const { app } = await perch(await shop(""));
  const { seconds } = app.live.history("shop") ?? {};
  expect(seconds?.versions).toEqual({ stable: Array(300).fill(null), canary: Array(300).fill(null) });
  expect(app.live.history("no-such-release")).toBeUndefined();
});

it("a worker that dies takes no request out of the history, and the one after it is watched as well", {
  tags: ["slow"],
}, async () => {
  const started = await perch(await shop("workers: 2"), { worker: { entry: faultyWorker } });
  const { live } = started.app;
  const lines: DecisionLine[] = [];
  live.onDecisions((batch) => void lines.push(...batch.lines));
  await send(started, 10, "someone");
  await expect.poll(() => historyOf(live, "stable")[0], soon).toEqual([10, 0]);
  bringFault("all", { kind: "throw" });
  await expect.poll(() => started.metric("perch_worker_restarts_total"), soon).toBe(2);
  await expect.poll(async () => (await started.admin("/readyz")).status, soon).toBe(200);
  const before = lines.length;
  await expect
    .poll(
      () =>
        send(started, 1, "qa").then(
          () => lines.length,
          () => 0,
        ),
      soon,
    )
    .toBeGreaterThan(before);
  await expect.poll(() => historyOf(live, "canary")[0]?.[0], soon).toBeGreaterThan(0);
  expect(historyOf(live, "stable")[0]).toEqual([10, 0]);
});

describe("the log of what happens", () => {
  const token = "0123456789abcdef0123456789abcdef";

  /** Perch on a file, with an upstream whose health checks the test decides. */
  async function running() {
    const state = { well: true };
    const stable = await upstream("stable", ({ url }: IncomingMessage, response: ServerResponse) => {
      response.writeHead(url === "/healthz" && !state.well ? 503 : 200).end();
    });
    const folder = await temporaryFolder();
    const file = join(folder, "perch.yaml");
    await writeFile(join(folder, "tokens"), `${token}\n`);
    const text = (more: string) => {
      const service = "health: { path: /healthz, interval: 100ms, healthyAfter: 1, unhealthyAfter: 1 }";
      const ports = freePorts.replace(`"127.0.0.1:0" }\n`, `"127.0.0.1:0", tokenFile: tokens }\n`);
      return ports + shopYaml({ stable: stable.origin, service, release: "split: { stable: 1 }", more });
    };
    await writeFile(file, text(""));
    const started = await perchOn(file);
    const entries = (kind: string) =>
      started.app.live
        .logAfter(0)
        .filter((entry) => entry.kind === kind)
        .map(({ type, level, text: told }) => [type, level, told] as const);
    return { started, state, origin: stable.origin, entries, write: (more: string) => renameOver(file, text(more)) };
  }

  it("has endpoints that go down and come back", async () => {
    const { state, origin, entries } = await running();
    state.well = false;
    const down = ["failing", "warn", `endpoint ${origin} of shop/stable is failing: status 503`];
    await expect.poll(() => entries("endpoint"), soon).toEqual([down]);
    state.well = true;
    const up = ["up", "info", expect.stringContaining(`endpoint ${origin} of shop/stable is up again`)];
    await expect.poll(() => entries("endpoint"), soon).toEqual([down, up]);
  });

  it("has reloads, with the problems of one that was rejected", async () => {
    const { started, entries, write } = await running();
    await write("exposeVersion: true");
    // The release has no secretFile, which is warned of.
    const reloaded = ["reloaded", "warn", expect.stringMatching(/^configuration reloaded: \w{12} → \w{12}$/)];
    const begun = ["started", "info", expect.stringMatching(/^Perch \S+ started with configuration \w{12}$/)];
    await expect.poll(() => entries("config"), soon).toEqual([begun, reloaded]);
    await write("exposeVersion: true\nworkers: 3");
    await expect.poll(() => entries("config").length, soon).toBe(3);
    expect(entries("config")[2]).toEqual([
      "reloaded",
      "warn",
      expect.stringContaining("restart Perch to apply changes to workers"),
    ]);
    await write("exposeVersions: on");
    await expect.poll(() => entries("config").length, soon).toBe(4);
    const rejected = started.app.live.logAfter(0).at(-1);
    expect(rejected).toMatchObject({ kind: "config", type: "rejected", level: "error", by: "configuration" });
    expect(rejected?.detail).toContain('unknown key "exposeVersions"');
    expect(rejected?.detail).toContain("^");
  });

  it("has who asked for changes, but not those whom anyone can make it refuse", async () => {
    const { started, entries } = await running();
    const post = (authorization: string) =>
      fetch(`${started.adminOrigin}/api/rollouts/shop/pause`, {
        method: "POST",
        headers: { authorization, "content-type": "application/json" },
        body: JSON.stringify({ why: "the test asks", by: "alice" }),
      });
    expect((await post("Bearer nobody's")).status).toBe(401);
    expect((await post(`Bearer ${token}`)).status).toBe(404);
    expect(entries("audit")).toEqual([["pause", "warn", "pause of shop: refused: no-rollout"]]);
    const entry = started.app.live.logAfter(0).at(-1);
    expect(entry).toMatchObject({ release: "shop", detail: "the test asks", by: expect.stringContaining("(alice)") });
  });

  it("has the transitions of rollouts", async () => {
    const { stable, canary } = { stable: await upstream("stable"), canary: await upstream("canary") };
    const rollout = `rollout: { id: "2", candidate: canary, steps: [{ weight: 25, hold: 1h }] }`;
    const yaml = shopYaml({
      stable: stable.origin,
      canary: canary.origin,
      release: `split: { stable: 1 }, ${rollout}`,
    });
    const { live } = (await perch(yaml)).app;
    const entries = live.logAfter(0).filter(({ kind }) => kind === "rollout");
    expect(entries.at(-1)).toMatchObject({ release: "shop", weight: 25, phase: "progressing", step: 1, level: "info" });
    expect(live.releases()).toMatchObject([{ baseline: "stable", candidate: "canary", isDirected: true }]);
  });
});
