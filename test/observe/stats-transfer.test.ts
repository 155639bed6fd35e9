import { describe, expect, it } from "vitest";
import { StatsRegistry } from "../../src/observe/stats-registry.ts";
import { noCounts, pastCounts, sumCounts } from "../../src/observe/stats-transfer.ts";

function registry() {
  const stats = new StatsRegistry();
  const generation = stats.begin();
  const request = generation.request("all", "shop", "stable");
  const upstream = generation.upstream("shop", "stable");
  const release = generation.release("shop", ["stable", "constructor"], ["east"]);
  const attribute = generation.attribute("region", ["unparsable", "repeated"]);
  const mirror = generation.mirror("shop", "canary");
  generation.commit();
  return { stats, request, upstream, release, attribute, mirror };
}

/** Everything that can be counted, so many times. */
function busy(times: number, nowMs = 1_000_000) {
  const made = registry();
  for (let i = 0; i < times; i++) {
    made.request.count(200, "GET");
    made.request.count(499, "BREW");
    made.request.duration.observe(0.004);
    made.upstream.ttfb.observe(40);
    made.upstream.inFlight.value++;
    made.upstream.fallbacks.value++;
    made.upstream.error("upstream-reset");
    made.upstream.retry("success");
    made.upstream.pending.value++;
    made.upstream.overload("queue-full");
    made.release.decided("constructor", "split", nowMs);
    made.release.ruleHit("east");
    made.release.pinRejected("forged");
    made.release.pinFlips.value++;
    made.attribute.error("repeated");
    made.mirror.ended("2xx");
    made.mirror.duration.observe(0.5);
    made.mirror.inFlight.value++;
    made.stats.spans.count("exported", 3);
  }
  return made;
}

describe("counts of several workers", () => {
  it("sum up to what one would have counted, also after they were sent", () => {
    const sum = registry();
    sum.stats.restore(sumCounts([structuredClone(busy(2).stats.counts()), structuredClone(busy(5).stats.counts())]));
    expect(sum.stats.counts()).toEqual(busy(7).stats.counts());
    expect([...sum.request.series()]).toEqual([...busy(7).request.series()]);
    expect(sum.request.duration.sum).toBeCloseTo(0.028, 9);
    expect(sum.release.versions.get("constructor")?.window.total(60_000, 1_000_000)).toBe(7);
  });

  it("sum up where one has counted nothing, and where nobody has", () => {
    const one = busy(3).stats.counts();
    expect(sumCounts([registry().stats.counts(), one])).toEqual(one);
    expect(sumCounts([one, noCounts])).toEqual(one);
    expect(sumCounts([])).toEqual(noCounts);
  });

  it("replace what was there, and leave stats without counts at zero", () => {
    const made = busy(3);
    made.stats.restore(noCounts);
    expect(made.stats.counts()).toEqual(registry().stats.counts());
    made.request.count(200, "GET");
    expect([...made.request.series()]).toEqual([{ code: "200", method: "GET", value: 1 }]);
  });

  it("keep the latest exemplar of each bucket, whichever worker has it", () => {
    const [one, two, sum] = [busy(1), busy(1), registry()];
    one.request.duration.exemplify(0.004, "a", 2_000);
    two.request.duration.exemplify(0.003, "b", 1_000);
    two.request.duration.exemplify(31, "c", 1_500);
    for (const order of [
      [one, two],
      [two, one],
      [one, two, busy(1)],
    ]) {
      sum.stats.restore(sumCounts(order.map(({ stats }) => structuredClone(stats.counts()))));
      expect([3, 4, 15].map((bucket) => sum.request.duration.exemplar(bucket)?.traceId)).toEqual(["a", undefined, "c"]);
    }
  });

  it("of what is no longer configured are left out", () => {
    const other = new StatsRegistry();
    const generation = other.begin();
    generation.release("shop", ["stable"], []);
    generation.commit();
    other.restore(busy(1).stats.counts());
    expect(Array.from(other.releases(), ({ versions }) => [...versions.keys()])).toEqual([["stable"]]);
    expect([...other.requests()]).toEqual([]);
  });

  it("keep decisions of the last minutes only", () => {
    const sum = registry();
    const [old, fresh] = [busy(4, 10_000), busy(2, 400_000)];
    sum.stats.restore(sumCounts([old.stats.counts(), fresh.stats.counts()]));
    expect(sum.release.versions.get("constructor")?.window.total(300_000, 400_000)).toBe(2);
  });

  it("of those that ended have nothing in flight, and do not pile up", () => {
    const ended = Array.from({ length: 100 }, (_, i) => busy(1, i * 10_000).stats.counts());
    const past = pastCounts(sumCounts(ended));
    const [upstream, release] = [[...past.upstreams.values()][0], past.releases.get("shop")];
    expect([upstream?.inFlight, upstream?.fallbacks]).toEqual([0, 100]);
    expect(release?.versions.get("constructor")?.byReason.split).toBe(100);
    expect(Array.from(release?.versions.get("constructor")?.window.keys() ?? [])).toEqual(
      Array.from({ length: 30 }, (_, i) => 70 + i),
    );
  });
});
