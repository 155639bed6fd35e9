import { describe, expect, it } from "vitest";
import { Endpoint } from "../../src/upstream/endpoint.ts";
import { HealthChecks } from "../../src/upstream/health-checks.ts";
import type { ProbeResult } from "../../src/upstream/probes.ts";
import { addressOf, type HealthSpec } from "../../src/upstream/service-spec.ts";

const spec: HealthSpec = {
  probe: { kind: "tcp" },
  protocol: "http1",
  tls: undefined,
  intervalMs: 1_000,
  timeoutMs: 300,
  healthyAfter: 1,
  unhealthyAfter: 1,
};

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Checks with a clock that the test moves and probes that it answers. */
class Scene {
  nowMs = 0;
  readonly probes: { readonly atMs: number; readonly signal: AbortSignal; answer(result: ProbeResult): void }[] = [];
  readonly endpoint = new Endpoint("shop", "stable", addressOf("http://127.0.0.1:9000"));
  readonly checks: HealthChecks;
  readonly #timers = new Set<{ readonly dueMs: number; readonly callback: () => void }>();

  constructor(fraction = 0.5) {
    const timers = {
      nowMs: () => this.nowMs,
      monotonicMs: () => this.nowMs,
      schedule: (ms: number, callback: () => void) => {
        const timer = { dueMs: this.nowMs + ms, callback };
        this.#timers.add(timer);
        return () => void this.#timers.delete(timer);
      },
    };
    const probe = (_address: unknown, _spec: unknown, signal: AbortSignal) => {
      const { promise, resolve } = Promise.withResolvers<ProbeResult>();
      this.probes.push({ atMs: this.nowMs, signal, answer: resolve });
      return promise;
    };
    this.checks = new HealthChecks({ timers, probe, randomFraction: () => fraction });
    this.checks.configure([{ name: "shop", health: spec }]);
    this.checks.added(this.endpoint);
  }

  get timers(): number {
    return this.#timers.size;
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const next = [...this.#timers].sort((a, b) => a.dueMs - b.dueMs)[0];
      if (next === undefined || next.dueMs > untilMs) break;
      this.nowMs = next.dueMs;
      this.#timers.delete(next);
      next.callback();
      await turn();
    }
    this.nowMs = untilMs;
  }

  async answer(passed: boolean): Promise<void> {
    this.probes.at(-1)?.answer({ passed, why: passed ? "200" : "503" });
    await turn();
  }

  get times(): number[] {
    return this.probes.map(({ atMs }) => atMs);
  }
}

describe("health checks", () => {
  it("start at once and repeat at the interval, from start to start", async () => {
    const scene = new Scene();
    for (let i = 0; i < 3; i++) {
      await scene.advance(i === 0 ? 250 : 900);
      await scene.advance(100);
      await scene.answer(true);
    }
    expect(scene.times).toEqual([250, 1_250, 2_250]);
    expect(scene.endpoint.up).toBe(true);
  });

  it.each([
    [0, [0, 900]],
    [0.999, [499.5, 1_599.3]],
  ])("have jitter: at %f", async (fraction, wanted) => {
    const scene = new Scene(fraction);
    await scene.advance(500);
    await scene.answer(true);
    await scene.advance(1_200);
    expect(scene.times.map((ms) => Math.round(ms * 10) / 10)).toEqual(wanted);
  });

  it("do not overlap: a slow one ends with its timeout before the next one", async () => {
    const scene = new Scene();
    await scene.advance(250);
    await scene.advance(300);
    expect(scene.probes[0]?.signal.aborted).toBe(true);
    expect(scene.endpoint.health.condition).toEqual({ state: "failing", why: "timeout", sinceMs: 550 });
    await scene.advance(10_000);
    expect(scene.probes.filter(({ signal }) => !signal.aborted).length).toBeLessThanOrEqual(1);
    expect(scene.times.slice(0, 3)).toEqual([250, 1_250, 2_250]);
  });

  it("end when the endpoint is retired: the running one is aborted, and its late result is ignored", async () => {
    const scene = new Scene();
    await scene.advance(250);
    scene.checks.retired(scene.endpoint);
    expect(scene.probes[0]?.signal.aborted).toBe(true);
    await scene.answer(false);
    await scene.advance(10_000);
    expect([scene.probes.length, scene.endpoint.up]).toEqual([1, true]);
    expect(scene.timers).toBe(0);
  });

  it("continue across a reload with the same settings, and restart with others", async () => {
    const scene = new Scene();
    await scene.advance(250);
    await scene.answer(false);
    scene.checks.configure([{ name: "shop", health: { ...spec } }]);
    await scene.advance(999);
    expect(scene.probes).toHaveLength(1);
    scene.checks.configure([{ name: "shop", health: { ...spec, timeoutMs: 500 } }]);
    expect(scene.endpoint.up).toBe(false);
    await scene.advance(500);
    expect(scene.probes).toHaveLength(2);
    scene.checks.configure([{ name: "shop", health: undefined }]);
    await turn();
    expect([scene.endpoint.up, scene.timers]).toEqual([true, 0]);
  });

  it("leave no timer and no running check after stop", async () => {
    const scene = new Scene();
    await scene.advance(250);
    scene.checks.stop();
    await turn();
    expect([scene.timers, scene.probes[0]?.signal.aborted]).toEqual([0, true]);
  });
});
