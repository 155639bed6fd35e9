import { describe, expect, it } from "vitest";
import { releaseGroup } from "../../src/observe/release-stats.ts";
import { requestGroup } from "../../src/observe/request-stats.ts";
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
  const listener = generation.listener("web", { tls: true, proxyProtocol: true });
  const name = generation.name("shop.example.com");
  const rateLimit = generation.rateLimit("all", "shared");
  const redis = generation.redis("redis:6379");
  const fault = generation.fault("all");
  generation.commit();
  return { stats, request, upstream, release, attribute, mirror, listener, name, rateLimit, redis, fault };
}

/** Everything that can be counted, so many times. */
function busy(times: number, nowMs = 1_000_000) {
  const made = registry();
  for (let i = 0; i < times; i++) {
    made.request.count(200, "GET");
    made.request.count(499, "BREW");
    made.request.countGrpc(14);
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
    made.listener.open.value++;
    made.listener.refused("address");
    made.listener.handshakeFailed("cipher");
    made.listener.rejected("untrusted");
    made.name.resolved("empty");
    made.rateLimit.rejected.value++;
    made.rateLimit.fallbacks.value++;
    made.redis.connections.value++;
    made.fault.injected.count("delay");
    made.stats.handovers.handedOver("head");
    made.stats.jwks.fetched("failure");
    made.stats.shed.shed("loop-delay");
    made.stats.refusals.refused("bad-request", "invalid-host");
    made.stats.spans.count("exported", 3);
  }
  return made;
}

describe("counts of several workers", () => {
  it("sum up to what one would have counted, also after they were sent", () => {
    const sum = registry();
    sum.stats.restore(sumCounts([structuredClone(busy(2).stats.counts()), structuredClone(busy(5).stats.counts())]));
    expect(sum.stats.counts()).toEqual(busy(7).stats.counts());
    expect(seriesOf(sum.stats)).toEqual(seriesOf(busy(7).stats));
    expect(sum.request.duration.sum).toBeCloseTo(0.028, 9);
    expect(sum.release.versions.get("constructor")?.drawn.total(60_000, 1_000_000)).toBe(7);
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
    // The last one counted, whose counter must not be the one that was replaced.
    made.request.count(499, "BREW");
    expect([...made.request.byCodeAndMethod.series()]).toEqual([{ labels: ["499", "other"], value: 1 }]);
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
    expect(Array.from(other.all(releaseGroup).values(), ({ versions }) => [...versions.keys()])).toEqual([["stable"]]);
    expect([...other.all(requestGroup)]).toEqual([]);
  });

  it("keep decisions of the last minutes only", () => {
    const sum = registry();
    const [old, fresh] = [busy(4, 10_000), busy(2, 400_000)];
    sum.stats.restore(sumCounts([old.stats.counts(), fresh.stats.counts()]));
    expect(sum.release.versions.get("constructor")?.drawn.total(300_000, 400_000)).toBe(2);
  });

  it("of those that ended have nothing in flight, and do not pile up", () => {
    const ended = Array.from({ length: 100 }, (_, i) => busy(1, i * 10_000).stats.counts());
    const past = registry();
    past.stats.restore(pastCounts(sumCounts(ended)));
    const { upstream, listener, mirror, release } = past;
    expect([upstream.inFlight, upstream.pending, listener.open, mirror.inFlight].map(({ value }) => value)).toEqual([
      0, 0, 0, 0,
    ]);
    expect([upstream.fallbacks.value, listener.refusals.by.address.value]).toEqual([100, 100]);
    const decisions = release.versions.get("constructor");
    expect(decisions?.byReason.by.split.value).toBe(100);
    const slots = Array.from(decisions?.drawn.counts()?.values() ?? [], ({ slot }) => slot);
    expect(slots.sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => 70 + i));
  });

  it("of those that ended hold as many window slots as one window", () => {
    const ended = Array.from({ length: 100 }, (_, i) => busy(1, i * 10_000).stats.counts());
    const decisions = sumCounts(ended).totals.get("perch_decisions_total")?.get("shop") as ReadonlyMap<string, unknown>;
    expect(decisions.get("constructor")).toMatchObject({ drawn: { size: 30 } });
  });

  it("leave out what the main thread alone counts", () => {
    const made = registry();
    made.stats.reloads.loaded(1_000, "a1b2");
    made.stats.reloads.rejected();
    made.stats.accessLog.dropped.value = 4;
    expect(made.stats.counts()).toEqual(noCounts);
    made.stats.restore(busy(1).stats.counts());
    expect([made.stats.reloads.results.by.failure.value, made.stats.accessLog.dropped.value]).toEqual([1, 4]);
  });
});

/** Everything that the exposition would show. */
const seriesOf = (stats: StatsRegistry) =>
  stats.metrics().map(({ name, samples }) => ({ name, samples: [...samples()] }));
