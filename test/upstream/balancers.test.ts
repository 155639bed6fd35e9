import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { attributeUnit } from "../../src/decide/unit.ts";
import { type Affinity, createBalancer, type PickContext } from "../../src/upstream/balancers.ts";
import type { RandomFraction } from "../../src/upstream/clock.ts";
import type { Endpoint } from "../../src/upstream/endpoint.ts";
import { type Balance, balances } from "../../src/upstream/service-spec.ts";
import { seededRandom } from "../decide/shop-release.ts";
import { endpoints } from "./endpoints.ts";

/** Reproducible random fractions. */
function fairFraction(seed = 1): RandomFraction {
  const random = seededRandom(seed);
  return () => (random.int32() >>> 0) / 2 ** 32;
}

/** Returns these numbers in turn, repeatedly. */
function fractions(...values: number[]): RandomFraction {
  let next = 0;
  return () => values[next++ % values.length] ?? 0;
}

function wanted(parts: Partial<PickContext> = {}): PickContext {
  return { nowMs: 0, tried: [], affinity: undefined, randomFraction: fairFraction(), ...parts };
}

const users = Array.from({ length: 20_000 }, (_, at): Affinity => attributeUnit(`user-${at + 1}`));

/** How often each endpoint is picked by successive requests of different users. */
function tally(balance: Balance, all: readonly Endpoint[], requests: number, busy = false): number[] {
  const balancer = createBalancer(balance);
  const randomFraction = fairFraction();
  const counts = new Map<Endpoint, number>(all.map((endpoint) => [endpoint, 0]));
  for (let at = 0; at < requests; at++) {
    const picked = balancer.pick(all, wanted({ affinity: users[at % users.length], randomFraction }));
    if (picked === undefined) continue;
    counts.set(picked, (counts.get(picked) ?? 0) + 1);
    if (busy) picked.inFlight++;
  }
  return [...counts.values()];
}

/** Whether every count is within 5 standard deviations of an even share. */
function isEven(counts: readonly number[], requests: number): boolean {
  const share = 1 / counts.length;
  const deviation = Math.sqrt(requests * share * (1 - share));
  return counts.every((count) => Math.abs(count - requests * share) <= 5 * deviation);
}

/** Endpoints, some of which are paused or were tried. */
const scene = fc.record({
  count: fc.integer({ min: 1, max: 9 }),
  pausedBits: fc.nat(511),
  triedBits: fc.nat(511),
  inFlight: fc.array(fc.nat(20), { minLength: 9, maxLength: 9 }),
  latency: fc.array(fc.nat(500), { minLength: 9, maxLength: 9 }),
  fraction: fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 1, maxLength: 20 }),
});

describe.each(balances)("balance: %s", (balance) => {
  it("picks a usable endpoint if there is one, and never one that is paused or was tried", () => {
    fc.assert(
      fc.property(scene, ({ count, pausedBits, triedBits, inFlight, latency, fraction }) => {
        const all = endpoints(count);
        all.forEach((endpoint, at) => {
          endpoint.inFlight = inFlight[at] ?? 0;
          endpoint.latency.observe(latency[at] ?? 0, 0);
          if ((pausedBits >> at) & 1) endpoint.health.refused(0);
        });
        const tried = all.filter((_, at) => (triedBits >> at) & 1);
        const usable = all.filter((endpoint) => endpoint.available(0) && !tried.includes(endpoint));
        const balancer = createBalancer(balance);
        for (const affinity of [undefined, users[inFlight[0] ?? 0]]) {
          const picked = balancer.pick(all, wanted({ tried, affinity, randomFraction: fractions(...fraction) }));
          if (usable.length === 0) expect(picked).toBeUndefined();
          else expect(usable).toContain(picked);
        }
      }),
    );
  });

  it("picks nothing without endpoints", () => {
    expect(createBalancer(balance).pick([], wanted())).toBeUndefined();
  });

  it("distributes requests evenly over identical endpoints", () => {
    for (const count of [2, 3, 7, 20]) {
      expect(isEven(tally(balance, endpoints(count), 20_000), 20_000), `${count}`).toBe(true);
    }
  });

  it("uses the current list, whatever it was before", () => {
    const balancer = createBalancer(balance);
    for (const count of [5, 1, 3, 0, 2]) {
      const all = endpoints(count);
      for (let at = 0; at < 10; at++) {
        const picked = balancer.pick(all, wanted({ affinity: users[at] }));
        if (count > 0) expect(all).toContain(picked);
        else expect(picked).toBeUndefined();
      }
    }
  });
});

describe("p2c", () => {
  const pick = (all: readonly Endpoint[], randomFraction: RandomFraction, nowMs = 0) =>
    createBalancer("p2c").pick(all, wanted({ randomFraction, nowMs }));

  it("picks the less loaded of the two drawn", () => {
    const [a, b, c] = endpoints(3) as [Endpoint, Endpoint, Endpoint];
    a.inFlight = 5;
    b.inFlight = 1;
    c.inFlight = 9;
    expect(pick([a, b, c], fractions(0, 0))).toBe(b);
    expect(pick([a, b, c], fractions(0, 0.6))).toBe(a);
  });

  it("always compares two different endpoints", () => {
    const [a, b] = endpoints(2) as [Endpoint, Endpoint];
    a.inFlight = 1;
    for (const first of [0, 0.3, 0.6, 0.99]) {
      for (const second of [0, 0.5, 0.99]) expect(pick([a, b], fractions(first, second))).toBe(b);
    }
  });

  it("picks the faster of two that are equally busy, and a slow one again after a while", () => {
    const [slow, fast] = endpoints(2) as [Endpoint, Endpoint];
    slow.latency.observe(400, 0);
    fast.latency.observe(10, 0);
    expect(pick([slow, fast], fractions(0))).toBe(fast);
    // The slow one is worth it once the queue at the fast one is long enough.
    fast.inFlight = 39;
    expect(pick([slow, fast], fractions(0))).toBe(slow);
    fast.inFlight = 0;
    for (let nowMs = 0; nowMs <= 60_000; nowMs += 1000) fast.latency.observe(10, nowMs);
    expect(pick([slow, fast], fractions(0), 60_000)).toBe(slow);
  });

  it("sends a new endpoint one request, and no second until it has responded", () => {
    const [known, fresh] = endpoints(2) as [Endpoint, Endpoint];
    known.latency.observe(10, 0);
    expect(pick([known, fresh], fractions(0))).toBe(fresh);
    fresh.inFlight++;
    known.inFlight = 30;
    expect(pick([known, fresh], fractions(0))).toBe(known);
  });

  it("is not attracted to an endpoint that resets every connection at once", () => {
    const [good, broken] = endpoints(2) as [Endpoint, Endpoint];
    const randomFraction = fairFraction();
    let failures = 0;
    for (let nowMs = 0; nowMs < 10_000; nowMs += 10) {
      const picked = pick([good, broken], randomFraction, nowMs);
      if (picked === good) good.latency.observe(20, nowMs);
      else {
        broken.latency.failed(nowMs);
        failures++;
      }
    }
    expect(failures).toBeLessThan(20);
  });
});

describe("round-robin", () => {
  it("picks each endpoint exactly as often", () => {
    const counts = tally("round-robin", endpoints(7), 7 * 13);
    expect(counts).toEqual(Array.from({ length: 7 }, () => 13));
  });

  it("distributes the turns of a paused endpoint evenly over the others", () => {
    const all = endpoints(4);
    all[1]?.health.refused(0);
    expect(tally("round-robin", all, 3 * 20)).toEqual([20, 0, 20, 20]);
  });

  it("starts at random, so that workers do not all start at the same endpoint", () => {
    const all = endpoints(4);
    const firsts = [0, 0.3, 0.6, 0.9].map((fraction) =>
      createBalancer("round-robin").pick(all, wanted({ randomFraction: () => fraction })),
    );
    expect(new Set(firsts).size).toBe(4);
  });
});

describe("least-in-flight", () => {
  it("keeps the requests in flight within one of each other", () => {
    const all = endpoints(5);
    tally("least-in-flight", all, 5 * 40 + 3, true);
    expect(all.map(({ inFlight }) => inFlight).sort()).toEqual([40, 40, 41, 41, 41]);
  });
});

describe("hash", () => {
  const pick = (all: readonly Endpoint[], affinity: Affinity, tried: readonly Endpoint[] = []) =>
    createBalancer("hash").pick(all, wanted({ affinity, tried, randomFraction: () => 0 }));

  it("sends a user to the same endpoint in any order of the list", () => {
    const all = endpoints(5);
    const mixed = [...all].reverse();
    for (const user of users.slice(0, 500)) expect(pick(mixed, user)).toBe(pick(all, user));
  });

  it("sends a user to the same endpoint on every replica: it depends on the address alone", () => {
    const [one, other] = [endpoints(5), endpoints(5)];
    for (const user of users.slice(0, 500)) expect(pick(other, user)?.origin).toBe(pick(one, user)?.origin);
  });

  it("moves only the users of a removed endpoint, evenly to the others", () => {
    const all = endpoints(5);
    const left = all.slice(1);
    const moved = new Map<Endpoint | undefined, number>();
    for (const user of users) {
      const before = pick(all, user);
      const after = pick(left, user);
      if (before !== all[0]) expect(after).toBe(before);
      else moved.set(after, (moved.get(after) ?? 0) + 1);
    }
    const counts = [...moved.values()];
    expect(counts).toHaveLength(4);
    expect(
      isEven(
        counts,
        counts.reduce((sum, count) => sum + count, 0),
      ),
    ).toBe(true);
  });

  it("falls back to the same second best if the best is paused or was tried", () => {
    const all = endpoints(5);
    for (const user of users.slice(0, 200)) {
      const best = pick(all, user) as Endpoint;
      const next = pick(all, user, [best]);
      expect(next).toBe(
        pick(
          all.filter((endpoint) => endpoint !== best),
          user,
        ),
      );
      best.health.refused(0);
      expect(pick(all, user)).toBe(next);
      best.health.reached(0);
    }
  });
});
