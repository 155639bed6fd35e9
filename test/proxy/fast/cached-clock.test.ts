import { describe, expect, it } from "vitest";
import { CachedClock } from "../../../src/proxy/fast/cached-clock.ts";

/** A clock of a system whose time the test moves, and how often the system was asked. */
function cachedClock() {
  const system = { monotonicMs: 10.5, nowMs: 1_000 };
  const asked = { monotonic: 0, now: 0 };
  const clock = new CachedClock({
    monotonicMs: () => {
      asked.monotonic++;
      return system.monotonicMs;
    },
    nowMs: () => {
      asked.now++;
      return system.nowMs;
    },
  });
  const pass = (ms: number) => {
    system.monotonicMs += ms;
    system.nowMs += ms;
  };
  const setWall = (ms: number) => {
    system.nowMs = ms;
  };
  return { clock, asked, pass, setWall };
}

describe("a cached clock", () => {
  it("is the system's clock between events", () => {
    const { clock, pass } = cachedClock();
    pass(1);
    expect([clock.monotonicMs(), clock.nowMs()]).toEqual([11.5, 1_001]);
    pass(1);
    expect([clock.monotonicMs(), clock.nowMs()]).toEqual([12.5, 1_002]);
  });

  it("stands still within an event, for which the system is asked once", () => {
    const { clock, asked, pass } = cachedClock();
    clock.freeze();
    expect([clock.monotonicMs(), clock.nowMs()]).toEqual([10.5, 1_000]);
    pass(7);
    expect([clock.monotonicMs(), clock.nowMs()]).toEqual([10.5, 1_000]);
    expect(asked).toEqual({ monotonic: 1, now: 1 });
  });

  it("asks for the wall clock only where it is used", () => {
    const { clock, asked } = cachedClock();
    clock.freeze();
    clock.monotonicMs();
    clock.unfreeze();
    expect(asked).toEqual({ monotonic: 1, now: 0 });
  });

  it("derives the wall clock from the monotonic one for 20 ms, then asks again", () => {
    const { clock, asked, pass } = cachedClock();
    clock.freeze();
    expect(clock.nowMs()).toBe(1_000);
    clock.unfreeze();
    pass(19);
    clock.freeze();
    expect([clock.nowMs(), asked.now]).toEqual([1_019, 1]);
    clock.unfreeze();
    pass(1);
    clock.freeze();
    expect([clock.nowMs(), asked.now]).toEqual([1_020, 2]);
  });

  it("follows a wall clock that was set back", () => {
    const { clock, pass, setWall } = cachedClock();
    clock.freeze();
    clock.nowMs();
    clock.unfreeze();
    pass(30);
    setWall(500);
    clock.freeze();
    expect(clock.nowMs()).toBe(500);
  });

  it("has moved on after an event, and in the next one", () => {
    const { clock, pass } = cachedClock();
    clock.freeze();
    clock.nowMs();
    pass(5);
    clock.unfreeze();
    expect([clock.monotonicMs(), clock.nowMs()]).toEqual([15.5, 1_005]);
    pass(5);
    clock.freeze();
    expect([clock.monotonicMs(), clock.nowMs()]).toEqual([20.5, 1_010]);
  });
});
