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

/** Checks whose clock the test moves and whose answers it gives. */
class Scene {
  nowMs = 0;
  readonly asked: { readonly atMs: number; readonly signal: AbortSignal; answer(result: ProbeResult): void }[] = [];
  readonly endpoint = new Endpoint("shop", "stable", addressOf("http://127.0.0.1:9000"));
  readonly checks: HealthChecks;
  readonly #timers = new Set<{ readonly dueMs: number; readonly callback: () => void }>();

  constructor(fraction = 0.5) {
    const clock = {
      nowMs: () => this.nowMs,
      monotonicMs: () => this.nowMs,
      wake: (callback: () => void, ms: number) => {
        const timer = { dueMs: this.nowMs + ms, callback };
        this.#timers.add(timer);
        return () => void this.#timers.delete(timer);
      },
    };
    const probe = (_address: unknown, _spec: unknown, signal: AbortSignal) => {
      const { promise, resolve } = Promise.withResolvers<ProbeResult>();
      this.asked.push({ atMs: this.nowMs, signal, answer: resolve });
      return promise;
    };
    this.checks = new HealthChecks({ clock, probe, randomFraction: () => fraction });
    this.checks.configure([{ name: "shop", health: spec }]);
    this.checks.added(this.endpoint);
  }

  get timers(): number {
    return this.#timers.size;
  }

  async pass(ms: number): Promise<void> {
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
    this.asked.at(-1)?.answer({ passed, why: passed ? "200" : "503" });
    await turn();
  }

  get times(): number[] {
    return this.asked.map(({ atMs }) => atMs);
  }
}

describe("checks", () => {
  it("begin at once and come at the interval, from start to start", async () => {
    const scene = new Scene();
    for (let i = 0; i < 3; i++) {
      await scene.pass(i === 0 ? 250 : 900);
      await scene.pass(100);
      await scene.answer(true);
    }
    expect(scene.times).toEqual([250, 1_250, 2_250]);
    expect(scene.endpoint.up).toBe(true);
  });

  it.each([
    [0, [0, 900]],
    [0.999, [499.5, 1_599.3]],
  ])("are spread by chance: at %f", async (fraction, wanted) => {
    const scene = new Scene(fraction);
    await scene.pass(500);
    await scene.answer(true);
    await scene.pass(1_200);
    expect(scene.times.map((ms) => Math.round(ms * 10) / 10)).toEqual(wanted);
  });

  it("never pile up: one that is late ends by its timeout, and the next comes after it", async () => {
    const scene = new Scene();
    await scene.pass(250);
    await scene.pass(300);
    expect(scene.asked[0]?.signal.aborted).toBe(true);
    expect(scene.endpoint.health.condition).toEqual({ state: "failing", why: "timeout", sinceMs: 550 });
    await scene.pass(10_000);
    expect(scene.asked.filter(({ signal }) => !signal.aborted).length).toBeLessThanOrEqual(1);
    expect(scene.times.slice(0, 3)).toEqual([250, 1_250, 2_250]);
  });

  it("end when the endpoint retires, with the one under way, and its late answer counts for nothing", async () => {
    const scene = new Scene();
    await scene.pass(250);
    scene.checks.retired(scene.endpoint);
    expect(scene.asked[0]?.signal.aborted).toBe(true);
    await scene.answer(false);
    await scene.pass(10_000);
    expect([scene.asked.length, scene.endpoint.up]).toEqual([1, true]);
    expect(scene.timers).toBe(0);
  });

  it("go on over a reload with the same settings, and begin anew with others", async () => {
    const scene = new Scene();
    await scene.pass(250);
    await scene.answer(false);
    scene.checks.configure([{ name: "shop", health: { ...spec } }]);
    await scene.pass(999);
    expect(scene.asked).toHaveLength(1);
    scene.checks.configure([{ name: "shop", health: { ...spec, timeoutMs: 500 } }]);
    expect(scene.endpoint.up).toBe(false);
    await scene.pass(500);
    expect(scene.asked).toHaveLength(2);
    scene.checks.configure([{ name: "shop", health: undefined }]);
    await turn();
    expect([scene.endpoint.up, scene.timers]).toEqual([true, 0]);
  });

  it("hold no timer and no check once they are stopped", async () => {
    const scene = new Scene();
    await scene.pass(250);
    scene.checks.stop();
    await turn();
    expect([scene.timers, scene.asked[0]?.signal.aborted]).toEqual([0, true]);
  });
});
