import { describe, expect, it } from "vitest";
import { type Condition, EndpointHealth } from "../../src/upstream/endpoint-health.ts";

const outlier = { consecutiveFailures: 3, failures: "5xx", ejectForMs: 10_000, maxEjectedShare: 1 } as const;
const after = { healthyAfter: 2, unhealthyAfter: 3 };
const passed = { passed: true, why: "200" };
const failed = { passed: false, why: "503" };

function health() {
  const changes: Condition[] = [];
  const made = new EndpointHealth((condition) => changes.push(condition));
  /** Milliseconds until a request may be sent. */
  const pauseMs = (nowMs: number) => {
    let ms = 0;
    while (!made.available(nowMs + ms) && ms < 1_000_000) ms += 500;
    return ms;
  };
  const failTimes = (count: number, nowMs: number) => {
    for (let i = 0; i < count; i++) if (made.failed(nowMs, outlier)) made.eject(nowMs, outlier, "status-500");
  };
  return { made, changes, pauseMs, failTimes };
}

describe("an endpoint that refuses connections", () => {
  it("pauses for 1 s, doubling up to 30 s with each further refusal, and starts over after it was reached", () => {
    const { made, pauseMs } = health();
    let nowMs = 0;
    const pauses: number[] = [];
    for (let i = 0; i < 7; i++) {
      made.begun(nowMs);
      made.refused(nowMs);
      expect(made.up).toBe(false);
      pauses.push(pauseMs(nowMs));
      nowMs += pauseMs(nowMs);
    }
    expect(pauses).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    made.reached(nowMs);
    expect(made.up).toBe(true);
    made.refused(nowMs);
    expect(pauseMs(nowMs)).toBe(1000);
  });

  it("pauses once if many requests in flight fail in the same outage", () => {
    const { made, changes } = health();
    for (let i = 0; i < 50; i++) made.refused(i, "connect-timeout");
    expect([made.available(999), made.available(1000)]).toEqual([false, true]);
    expect(changes).toEqual([{ state: "refused", why: "connect-timeout", sinceMs: 0 }]);
  });

  it("gets one trial at a time, and the next one after 5 s if the first has no outcome", () => {
    const { made } = health();
    made.refused(0);
    made.begun(1000);
    expect([made.available(1000), made.available(5999), made.available(6000)]).toEqual([false, false, true]);
    made.refused(1500);
    expect([made.available(3499), made.available(3500)]).toEqual([false, true]);
  });
});

describe("an endpoint that fails requests", () => {
  it("is ejected after consecutive failures without a success between them", () => {
    const { made, failTimes, changes } = health();
    failTimes(2, 0);
    made.succeeded(0);
    failTimes(2, 0);
    expect(made.up).toBe(true);
    failTimes(1, 0);
    expect([made.up, made.available(9_999), made.available(10_000)]).toEqual([false, false, true]);
    expect(changes).toEqual([{ state: "ejected", why: "status-500", sinceMs: 0 }]);
  });

  it("is ejected longer each time while its trials fail, at most 300 s", () => {
    const { made, failTimes, pauseMs } = health();
    failTimes(3, 0);
    let nowMs = 0;
    const pauses: number[] = [];
    for (let i = 0; i < 32; i++) {
      pauses.push(pauseMs(nowMs));
      nowMs += pauseMs(nowMs);
      made.begun(nowMs);
      failTimes(1, nowMs);
    }
    expect([...pauses.slice(0, 3), ...pauses.slice(-3)]).toEqual([10_000, 20_000, 30_000, 300_000, 300_000, 300_000]);
  });

  it("returns after a successful trial, not after the success of a request sent before", () => {
    const { made, failTimes } = health();
    failTimes(3, 0);
    made.succeeded(1);
    failTimes(5, 2);
    expect([made.up, made.available(9_999)]).toEqual([false, false]);
    made.begun(10_000);
    expect(made.available(10_000)).toBe(false);
    made.succeeded(10_100);
    expect(made.up).toBe(true);
  });

  it("is ejected for a shorter time again after it was healthy for a while", () => {
    const { made, failTimes, pauseMs } = health();
    const ejectAndReturn = (nowMs: number) => {
      failTimes(3, nowMs);
      const ms = pauseMs(nowMs);
      made.begun(nowMs + ms);
      made.succeeded(nowMs + ms);
      return ms;
    };
    expect(ejectAndReturn(0)).toBe(10_000);
    expect(ejectAndReturn(10_000)).toBe(20_000);
    expect(ejectAndReturn(30_000 + 15_000)).toBe(20_000);
    expect(ejectAndReturn(65_000 + 1_000_000)).toBe(10_000);
  });
});

describe("an endpoint with health checks", () => {
  it("is failing at once if its first check fails", () => {
    const first = health().made;
    first.checked(0, failed, after);
    expect([first.up, first.available(1e15)]).toEqual([false, false]);
  });

  it("changes state after several consecutive checks", () => {
    const { made, changes } = health();
    const states = [passed, failed, failed, passed, failed, failed, failed, passed, failed, passed, passed].map(
      (result, nowMs) => {
        made.checked(nowMs, result, after);
        return made.condition.state;
      },
    );
    const up = "up";
    const out = "failing";
    expect(states).toEqual([up, up, up, up, up, up, out, out, out, out, up]);
    expect(changes).toEqual([
      { state: "failing", why: "503", sinceMs: 6 },
      { state: "up", why: "200", sinceMs: 10 },
    ]);
  });

  it("is no longer refused after a passing check, but stays ejected", () => {
    const { made, failTimes } = health();
    made.refused(0);
    made.checked(0, passed, after);
    expect(made.up).toBe(true);
    failTimes(3, 0);
    made.checked(1, passed, after);
    expect(made.condition.state).toBe("ejected");
  });

  it("is up again once its checks are removed", () => {
    const { made } = health();
    made.checked(0, failed, after);
    made.unchecked(1);
    expect(made.up).toBe(true);
  });
});
