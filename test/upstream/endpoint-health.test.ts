import { describe, expect, it } from "vitest";
import { type Condition, EndpointHealth } from "../../src/upstream/endpoint-health.ts";

const outlier = { consecutiveFailures: 3, failures: "5xx", ejectForMs: 10_000, maxEjectedShare: 1 } as const;
const after = { healthyAfter: 2, unhealthyAfter: 3 };
const passed = { passed: true, why: "200" };
const failed = { passed: false, why: "503" };

function health() {
  const changes: Condition[] = [];
  const made = new EndpointHealth((condition) => changes.push(condition));
  /** Milliseconds until a request would be let through. */
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
  it("pauses for a second, twice as long at each further refusal, at most 30 s, and forgets when reached", () => {
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

  it("pauses once for an outage that many requests in flight learn of together", () => {
    const { made, changes } = health();
    for (let i = 0; i < 50; i++) made.refused(i, "connect-timeout");
    expect([made.available(999), made.available(1000)]).toEqual([false, true]);
    expect(changes).toEqual([{ state: "refused", why: "connect-timeout", sinceMs: 0 }]);
  });

  it("is tried by one request at a time, and by the next one where nothing comes of that", () => {
    const { made } = health();
    made.refused(0);
    made.begun(1000);
    expect([made.available(1000), made.available(5999), made.available(6000)]).toEqual([false, false, true]);
    made.refused(1500);
    expect([made.available(3499), made.available(3500)]).toEqual([false, true]);
  });
});

describe("an endpoint that answers badly", () => {
  it("is ejected after so many failures in a row, and by no success between them", () => {
    const { made, failTimes, changes } = health();
    failTimes(2, 0);
    made.succeeded(0);
    failTimes(2, 0);
    expect(made.up).toBe(true);
    failTimes(1, 0);
    expect([made.up, made.available(9_999), made.available(10_000)]).toEqual([false, false, true]);
    expect(changes).toEqual([{ state: "ejected", why: "status-500", sinceMs: 0 }]);
  });

  it("is out longer each time, at most 300 s, while its trials fail", () => {
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

  it("returns by one good answer to its trial, not by one to a request from before", () => {
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

  it("is out for less again after it did well for a while", () => {
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

describe("an endpoint that is checked", () => {
  it("is judged by its first check at once", () => {
    const first = health().made;
    first.checked(0, failed, after);
    expect([first.up, first.available(1e15)]).toEqual([false, false]);
  });

  it("takes several checks in a row to be thought otherwise of", () => {
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

  it("is reached again by a check that passes, and stays ejected", () => {
    const { made, failTimes } = health();
    made.refused(0);
    made.checked(0, passed, after);
    expect(made.up).toBe(true);
    failTimes(3, 0);
    made.checked(1, passed, after);
    expect(made.condition.state).toBe("ejected");
  });

  it("is as before once it is checked no more", () => {
    const { made } = health();
    made.checked(0, failed, after);
    made.unchecked(1);
    expect(made.up).toBe(true);
  });
});
