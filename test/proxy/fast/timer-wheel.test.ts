import { expect, it, test } from "vitest";
import { Deadline, TimerWheel } from "../../../src/proxy/fast/timer-wheel.ts";

/** A wheel whose clock the test moves, a tick at a time, and deadlines that say when they fired. */
function wheel() {
  let nowMs = 5_000;
  const fired: string[] = [];
  const deadlines = new TimerWheel(() => nowMs);
  return {
    deadlines,
    fired,
    deadline: (name: string) => new Deadline({ onDeadline: () => fired.push(`${name} ${nowMs - 5_000}`) }),
    pass: (ms: number) => {
      const until = nowMs + ms;
      while (nowMs < until) {
        nowMs = Math.min(until, nowMs + 100);
        deadlines.advance();
      }
    },
    jump: (ms: number) => {
      nowMs += ms;
      deadlines.advance();
    },
  };
}

it("fires once, not before its time, and at most two ticks late", () => {
  for (const ms of [1, 99, 100, 101, 1_000, 12_700, 12_800, 12_900, 60_000]) {
    const { deadlines, deadline, pass, fired } = wheel();
    deadlines.arm(deadline("one"), ms);
    pass(ms - 1);
    expect(fired).toEqual([]);
    pass(201);
    expect(fired).toHaveLength(1);
    pass(100_000);
    expect(fired).toHaveLength(1);
  }
});

it("a later time counts from when it was armed anew, however often", () => {
  const { deadlines, deadline, pass, fired } = wheel();
  const one = deadline("one");
  for (let i = 0; i < 100; i++) {
    deadlines.arm(one, 1_000);
    pass(900);
  }
  expect(fired).toEqual([]);
  pass(300);
  expect(fired).toEqual(["one 90200"]);
});

it("an earlier time outranks the later one, and is not followed by it", () => {
  const { deadlines, deadline, pass, fired } = wheel();
  const one = deadline("one");
  deadlines.arm(one, 10_000);
  deadlines.arm(one, 500);
  pass(60_000);
  expect(fired).toEqual(["one 600"]);
});

it("earlier, later, earlier again, across turns of the wheel", () => {
  const { deadlines, deadline, pass, fired } = wheel();
  const one = deadline("one");
  for (let i = 0; i < 50; i++) {
    deadlines.arm(one, 75_000);
    pass(500);
    deadlines.arm(one, 1_000);
    pass(500);
  }
  deadlines.arm(one, 75_000);
  pass(74_900);
  expect(fired).toEqual([]);
  pass(400);
  expect(fired).toHaveLength(1);
});

it("no limit: neither zero nor a disarmed one ever fires, and either can be armed again", () => {
  const { deadlines, deadline, pass, fired } = wheel();
  const zero = deadline("zero");
  const disarmed = deadline("disarmed");
  deadlines.arm(zero, 500);
  deadlines.arm(zero, 0);
  deadlines.arm(disarmed, 500);
  disarmed.disarm();
  pass(30_000);
  expect(fired).toEqual([]);
  deadlines.arm(zero, 100);
  deadlines.arm(disarmed, 100);
  pass(1_000);
  expect(fired.sort()).toEqual(["disarmed 30200", "zero 30200"]);
});

it("a cancelled one never fires and lets go of its owner", () => {
  const { deadlines, deadline, pass, fired } = wheel();
  const one = deadline("one");
  deadlines.arm(one, 500);
  one.cancel();
  expect(one.owner).toBeUndefined();
  pass(30_000);
  expect(fired).toEqual([]);
});

it("one that arms itself again when it fires fires again", () => {
  const { deadlines, pass, fired } = wheel();
  const again = new Deadline({
    onDeadline: () => {
      fired.push("again");
      deadlines.arm(again, 1_000);
    },
  });
  deadlines.arm(again, 1_000);
  pass(12_200);
  expect(fired).toHaveLength(11);
});

it("a process that stood still misses none, also past a whole turn of the wheel", () => {
  const { deadlines, deadline, jump, fired } = wheel();
  for (const ms of [100, 5_000, 12_700, 40_000, 100_000]) deadlines.arm(deadline(String(ms)), ms);
  jump(50_000);
  expect(fired.map((one) => one.split(" ")[0])).toEqual(["100", "5000", "12700", "40000"]);
  jump(60_000);
  expect(fired).toHaveLength(5);
});

it("thousands, armed at any times for any times, each fire in theirs", () => {
  const { deadlines, pass } = wheel();
  let nowMs = 0;
  let wrong = 0;
  let fired = 0;
  for (let i = 0; i < 5_000; i++) {
    const ms = (i * 7_919) % 90_000;
    const armedMs = nowMs;
    if (ms === 0) continue;
    const deadline = new Deadline({
      onDeadline: () => {
        fired++;
        if (nowMs - armedMs < ms || nowMs - armedMs > ms + 300) wrong++;
      },
    });
    deadlines.arm(deadline, ms);
    if (i % 10 === 0) {
      nowMs += 100;
      pass(100);
    }
  }
  for (let i = 0; i < 1_000; i++) {
    nowMs += 100;
    pass(100);
  }
  expect([fired, wrong]).toEqual([4_999, 0]);
});

test("a deadline armed in a turn that began late (a stall, a throttled container) still has all its time", () => {
  let nowMs = 0;
  let fired = 0;
  const deadlines = new TimerWheel(() => nowMs);
  const deadline = new Deadline({ onDeadline: () => fired++ });
  // The process stood still for three seconds; what it reads first comes before the timer's turn.
  nowMs += 3_000;
  deadlines.arm(deadline, 1_000);
  deadlines.advance();
  expect(fired).toBe(0);
  nowMs += 900;
  deadlines.advance();
  expect(fired).toBe(0);
});
