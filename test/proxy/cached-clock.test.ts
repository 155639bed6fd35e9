import { expect, it } from "vitest";
import { CachedClock } from "../../src/proxy/cached-clock.ts";

function clockOfATest() {
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

it("between events it is the system's clock", () => {
  const { clock, pass } = clockOfATest();
  pass(1);
  expect([clock.monotonicMs(), clock.nowMs()]).toEqual([11.5, 1_001]);
  pass(1);
  expect([clock.monotonicMs(), clock.nowMs()]).toEqual([12.5, 1_002]);
});

it("within an event both stand still, and the system is asked once", () => {
  const { clock, asked, pass } = clockOfATest();
  clock.freeze();
  expect([clock.monotonicMs(), clock.nowMs()]).toEqual([10.5, 1_000]);
  pass(7);
  expect([clock.monotonicMs(), clock.nowMs()]).toEqual([10.5, 1_000]);
  expect(asked).toEqual({ monotonic: 1, now: 1 });
});

it("the wall clock is asked only where somebody wants to know", () => {
  const { clock, asked } = clockOfATest();
  clock.freeze();
  clock.monotonicMs();
  clock.unfreeze();
  expect(asked).toEqual({ monotonic: 1, now: 0 });
});

it("what the wall clock says is told from the monotonic one for a while, and then looked at again", () => {
  const { clock, asked, pass } = clockOfATest();
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

it("a wall clock that was set back is believed", () => {
  const { clock, pass, setWall } = clockOfATest();
  clock.freeze();
  clock.nowMs();
  clock.unfreeze();
  pass(30);
  setWall(500);
  clock.freeze();
  expect(clock.nowMs()).toBe(500);
});

it("after an event, and in the next one, time has passed", () => {
  const { clock, pass } = clockOfATest();
  clock.freeze();
  clock.nowMs();
  pass(5);
  clock.unfreeze();
  expect([clock.monotonicMs(), clock.nowMs()]).toEqual([15.5, 1_005]);
  pass(5);
  clock.freeze();
  expect([clock.monotonicMs(), clock.nowMs()]).toEqual([20.5, 1_010]);
});
