import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { Deadline, LoopTicks, TimerWheel } from "../../../src/proxy/fast/timer-wheel.ts";
import { listening } from "../../kit/freed.ts";

/** A wheel whose clock the test moves by ticks, and deadlines that record when they fired. */
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

describe("the timer wheel", () => {
  it("after a stall of the process, lets what arrived in time be read before a deadline fires", async () => {
    const events: string[] = [];
    const server = createServer();
    const accepted = once(server, "connection") as Promise<[Socket]>;
    const socket = connect(await listening(server), "127.0.0.1");
    const [peer] = await accepted;
    const deadlines = new TimerWheel(() => performance.now());
    deadlines.start();
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.on("data", () => events.push("data"));
    await once(socket, "connect");
    deadlines.schedule(50, () => {
      events.push("deadline");
      resolve();
    });
    peer.write("x");
    const until = performance.now() + 400;
    while (performance.now() < until);
    await promise;
    deadlines.stop();
    expect(events).toEqual(["data", "deadline"]);
  });

  it("fires a deadline once, not before its time, and at most two ticks late", () => {
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

  it("counts a later time from the last arming, however many there were", () => {
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

  it("fires at the earlier time, and not again at the later one", () => {
    const { deadlines, deadline, pass, fired } = wheel();
    const one = deadline("one");
    deadlines.arm(one, 10_000);
    deadlines.arm(one, 500);
    pass(60_000);
    expect(fired).toEqual(["one 600"]);
  });

  it("takes times that move earlier and later across turns of the wheel", () => {
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

  it("never fires a deadline of 0 ms or one that is disarmed, and both can be armed again", () => {
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

  it("never fires a cancelled deadline, which lets go of its owner", () => {
    const { deadlines, deadline, pass, fired } = wheel();
    const one = deadline("one");
    deadlines.arm(one, 500);
    one.cancel();
    expect(one.owner).toBeUndefined();
    pass(30_000);
    expect(fired).toEqual([]);
  });

  it("fires a deadline again that arms itself when it fires", () => {
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

  it("misses none in a process that was stopped for more than a turn of the wheel", () => {
    const { deadlines, deadline, jump, fired } = wheel();
    for (const ms of [100, 5_000, 12_700, 40_000, 100_000]) deadlines.arm(deadline(String(ms)), ms);
    jump(50_000);
    expect(fired.map((one) => one.split(" ")[0])).toEqual(["100", "5000", "12700", "40000"]);
    jump(60_000);
    expect(fired).toHaveLength(5);
  });

  it("fires each of thousands, armed at any times for any times, in its own", () => {
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

  it("gives a deadline all its time that is armed behind a stall (a throttled container)", () => {
    let nowMs = 0;
    let fired = 0;
    const deadlines = new TimerWheel(() => nowMs);
    const deadline = new Deadline({ onDeadline: () => fired++ });
    // The process was stopped for three seconds; what it reads first comes before the timer fires.
    nowMs += 3_000;
    deadlines.arm(deadline, 1_000);
    deadlines.advance();
    expect(fired).toBe(0);
    nowMs += 900;
    deadlines.advance();
    expect(fired).toBe(0);
  });
});

describe("ticks of the event loop", () => {
  it("are equal for events of one tick and differ from the next", async () => {
    const ticks = new LoopTicks(() => {});
    ticks.eventHandled();
    const first = ticks.current;
    ticks.eventHandled();
    expect(ticks.current).toBe(first);
    await nextTurn();
    ticks.eventHandled();
    expect(ticks.current).not.toBe(first);
  });

  it("end once asked for, and call back once", async () => {
    let ended = 0;
    const ticks = new LoopTicks(() => ended++);
    expect(ticks.current).toBe(-1);
    ticks.eventHandled();
    await nextTurn();
    expect(ended).toBe(1);
  });

  it("are unknown outside of events, for what is written there may be answered in the next poll", async () => {
    const ticks = new LoopTicks(() => {});
    ticks.eventHandled();
    await nextTurn();
    expect(ticks.current).toBe(-1);
    ticks.eventHandled();
    expect(ticks.current).toBeGreaterThanOrEqual(0);
  });

  it("are unknown past as many events as may belong to two ticks", async () => {
    const ticks = new LoopTicks(() => {});
    for (let i = 0; i < 512; i++) ticks.eventHandled();
    expect(ticks.current).toBeGreaterThanOrEqual(0);
    ticks.eventHandled();
    expect(ticks.current).toBe(-1);
    await nextTurn();
    ticks.eventHandled();
    expect(ticks.current).toBeGreaterThanOrEqual(0);
  });
});
