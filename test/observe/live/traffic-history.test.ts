import { describe, expect, it } from "vitest";
import { Histogram } from "../../../src/observe/histogram.ts";
import {
  bucketsAt,
  countsLength,
  failedAt,
  requestsAt,
  type TrafficCounts,
} from "../../../src/observe/live/traffic-counts.ts";
import { type FollowedRelease, TrafficHistory } from "../../../src/observe/live/traffic-history.ts";

const startMs = 1_767_225_600_000;

const shop: FollowedRelease = {
  release: "shop",
  versions: [
    { version: "stable", configuredShare: 0.9 },
    { version: "canary", configuredShare: 0.1 },
  ],
  rules: [{ rule: "qa" }, { rule: "beta" }],
};
const shopOnly = [shop];

interface Counted {
  readonly requests: number;
  readonly failed?: number;
  /** Of every request. */
  readonly ms?: number;
}

/** One data plane that counts, looked at when the test says so; the time is in seconds since the start. */
function followed(releases: readonly FollowedRelease[] = shopOnly) {
  const history = new TrafficHistory(startMs);
  const sums = new Map<string, { histogram: Histogram; failed: number }>();
  const hits = new Map<string, number>();
  let following = releases;
  const counts = (): TrafficCounts => {
    const versions = new Map(
      Array.from(sums, ([version, { histogram, failed }]) => {
        const counted = new Float64Array(countsLength);
        counted[requestsAt] = histogram.count;
        counted[failedAt] = failed;
        histogram.addTo(counted, bucketsAt);
        return [version, counted];
      }),
    );
    return new Map([["shop", { versions, ruleHits: new Map(hits) }]]);
  };
  return {
    history,
    follow(next: readonly FollowedRelease[]) {
      following = next;
    },
    count(version: string, { requests, failed = 0, ms = 30 }: Counted) {
      const sum = sums.get(version) ?? { histogram: new Histogram(), failed: 0 };
      sums.set(version, sum);
      for (let request = 0; request < requests; request++) sum.histogram.observe(ms / 1_000);
      sum.failed += failed;
    },
    hit: (rule: string) => void hits.set(rule, (hits.get(rule) ?? 0) + 1),
    restart: () => sums.clear(),
    look: (second: number) => history.record(startMs + second * 1_000, counts(), following),
    /** Requests of the newest slots, the oldest first. */
    seconds: (count: number, version = "stable") => requests(history.series("shop")?.seconds.versions[version], count),
    tens: (count: number, version = "stable") => requests(history.series("shop")?.tens.versions[version], count),
    minute: (version = "stable") => history.versions("shop")[version]?.minute,
  };
}

type Points = readonly (readonly [requests: number, ...unknown[]] | null)[];
const requests = (points: Points | undefined, count: number) =>
  points?.slice(-count).map((point) => point?.[0] ?? null);

describe("the history of a version", () => {
  it("has what was counted in each second, with failures, quantiles and the share in force", () => {
    const plane = followed();
    plane.count("stable", { requests: 100, failed: 3, ms: 30 });
    plane.look(0);
    plane.look(1);
    plane.count("stable", { requests: 5 });
    plane.look(2);
    expect(plane.seconds(4)).toEqual([null, 100, null, 5]);
    const series = plane.history.series("shop")?.seconds;
    expect(series?.versions["stable"]?.at(-3)).toEqual([100, 3, 37.5, 48.75, 49.75, 0.9]);
    expect(series).toMatchObject({ slotMs: 1_000, newestMs: startMs + 2_000 });
    expect(plane.history.versions("shop")["stable"]?.point?.[0]).toBe(5);
  });

  it("has as many slots as it says, for versions without requests too", () => {
    const plane = followed();
    plane.look(0);
    const { seconds, tens } = plane.history.series("shop") ?? {};
    expect([seconds?.versions["stable"]?.length, tens?.versions["canary"]?.length]).toEqual([300, 360]);
    expect(plane.history.versions("shop")["canary"]).toEqual({
      point: null,
      minute: { spanMs: 1_000, requests: 0, failed: 0, p50: null, p95: null, p99: null },
      fiveMinutes: { spanMs: 1_000, requests: 0, failed: 0, p50: null, p95: null, p99: null },
    });
  });

  it("has slots of ten seconds, of which the newest goes on, for longer than the seconds", () => {
    const plane = followed();
    for (let second = 0; second < 400; second++) {
      plane.count("stable", { requests: 1 });
      plane.look(second);
    }
    plane.count("stable", { requests: 7, ms: 700 });
    plane.look(400);
    expect(plane.tens(3)).toEqual([10, 10, 7]);
    expect(plane.tens(42)?.slice(0, 2)).toEqual([null, 10]);
    expect(plane.seconds(300)?.filter((count) => count === 1).length).toBe(299);
    expect(plane.history.series("shop")?.tens).toMatchObject({ slotMs: 10_000, newestMs: startMs + 400_000 });
  });

  it("sums the last minutes, and says how much time that is", () => {
    const plane = followed();
    for (let second = 0; second < 33; second++) {
      plane.count("stable", { requests: 10, failed: 1, ms: 700 });
      plane.look(second);
    }
    const young = plane.minute();
    expect(young).toMatchObject({ spanMs: 33_000, requests: 330, failed: 33, p50: [750, 723.026, 776.974] });
    for (let second = 33; second < 400; second++) plane.look(second);
    expect(plane.minute()).toMatchObject({ spanMs: 60_000, requests: 0, p99: null });
    expect(plane.history.versions("shop")["stable"]?.fiveMinutes).toMatchObject({ spanMs: 300_000, requests: 0 });
  });
});

describe("time that was not looked at", () => {
  it("a late look leaves out its seconds, and counts their requests in the one that it is for", () => {
    const plane = followed();
    plane.look(0);
    plane.count("stable", { requests: 4 });
    plane.look(3);
    expect(plane.seconds(4)).toEqual([null, null, null, 4]);
    expect(plane.minute()?.spanMs).toBe(4_000);
  });

  it.each([
    {
      sentence: "the process slept for a minute",
      to: 62,
      seconds: [null, null],
      tens: [2, null, null, null, null, null, null],
    },
    { sentence: "the clock jumped forward by a year", to: 31_536_000, seconds: [null, null], tens: [null, null] },
    { sentence: "the clock jumped back by two seconds", to: 0, seconds: [null, null], tens: [null, 2] },
    { sentence: "the clock jumped back by an hour", to: -3_600, seconds: [null, null], tens: [null, null] },
  ])("what was counted while $sentence belongs to no slot", ({ to, seconds, tens }) => {
    const plane = followed();
    for (const second of [0, 1, 2]) {
      if (second > 0) plane.count("stable", { requests: 1 });
      plane.look(second);
    }
    plane.count("stable", { requests: 50 });
    plane.look(to);
    expect([plane.seconds(2), plane.tens(tens.length)]).toEqual([seconds, tens]);
    plane.count("stable", { requests: 3 });
    plane.look(to + 1);
    expect(plane.seconds(1)).toEqual([3]);
  });

  it("shows nothing of a later time once the clock that was set back comes there again", () => {
    const plane = followed();
    for (let second = 0; second < 20; second++) {
      plane.count("stable", { requests: 1 });
      plane.look(second);
    }
    for (let second = 5; second < 20; second++) plane.look(second);
    expect(plane.seconds(15)).toEqual(Array(15).fill(null));
    expect(plane.seconds(20)?.slice(0, 5)).toEqual([1, 1, 1, 1, 1]);
  });
});

describe("sums that fall", () => {
  it("give no second, and no negative one; the next one counts from there", () => {
    const plane = followed();
    plane.count("stable", { requests: 100 });
    plane.look(0);
    plane.restart();
    plane.count("stable", { requests: 40 });
    plane.look(1);
    plane.count("stable", { requests: 2 });
    plane.look(2);
    expect(plane.seconds(3)).toEqual([100, null, 2]);
  });
});

describe("rules", () => {
  it("have all hits, and the second in which they rose last", () => {
    const plane = followed();
    plane.hit("qa");
    plane.look(0);
    expect(plane.history.rules("shop")).toEqual({ qa: [1, startMs] });
    plane.look(1);
    plane.hit("qa");
    plane.hit("beta");
    plane.look(2);
    plane.look(3);
    expect(plane.history.rules("shop")).toEqual({ qa: [2, startMs + 2_000], beta: [1, startMs + 2_000] });
  });
});

describe("what a reload removes", () => {
  it("goes away, and does not come back with it", () => {
    const plane = followed();
    plane.count("stable", { requests: 1 });
    plane.count("canary", { requests: 1 });
    plane.hit("qa");
    plane.look(0);
    plane.follow([{ ...shop, versions: shop.versions.slice(0, 1), rules: [{ rule: "beta" }] }]);
    plane.look(1);
    expect(Object.keys(plane.history.series("shop")?.seconds.versions ?? {})).toEqual(["stable"]);
    expect([plane.seconds(2), plane.history.rules("shop")]).toEqual([[1, null], {}]);
    plane.follow(shopOnly);
    plane.look(2);
    expect(plane.seconds(3, "canary")).toEqual([null, null, null]);
    plane.follow([]);
    plane.look(3);
    expect([plane.history.series("shop"), plane.history.versions("shop")]).toEqual([undefined, {}]);
  });

  it("is not mistaken for what every object has", () => {
    const plane = followed();
    plane.look(0);
    expect(plane.history.series("constructor")).toBeUndefined();
  });
});
