import { expect, test } from "vitest";
import { Counter, LabelCounters } from "../../src/observe/counters.ts";
import { Metrics } from "../../src/observe/metrics.ts";
import { StatsGroup } from "../../src/observe/stats-group.ts";
import { StatsRegistry } from "../../src/observe/stats-registry.ts";
import { pastCounts, sumCounts } from "../../src/observe/stats-transfer.ts";

/** Stats of which no file in `src` knows. */
class KettleStats {
  readonly brews = new LabelCounters(["tea", "coffee"]);
  readonly litres = new Counter();
}

const kettleGroup = new StatsGroup<KettleStats, [kitchen: string, kettle: string]>({
  labels: ["kitchen", "kettle"],
  make: (before) => before ?? new KettleStats(),
  metrics: [
    { name: "brews_total", help: "Brews.", type: "counter", labels: ["drink"], storage: ({ brews }) => brews },
    { name: "litres", help: "Water in it.", type: "gauge", storage: ({ litres }) => litres },
  ],
});

function kitchen() {
  const stats = new StatsRegistry();
  const generation = stats.begin();
  const kettle = generation.of(kettleGroup, "first floor", "red");
  generation.commit();
  return { stats, kettle };
}

function busy(brews: number) {
  const made = kitchen();
  for (let count = 0; count < brews; count++) made.kettle.brews.count("tea");
  made.kettle.litres.value = brews;
  return made;
}

async function expositionOf(stats: StatsRegistry): Promise<readonly string[]> {
  const metrics = new Metrics({
    stats,
    endpointStates: () => [],
    certificates: () => [],
    rollouts: undefined,
    weightRatios: () => [],
    workers: () => ({ serving: 1, restarts: 0 }),
    build: { version: "0.1.0", nodeVersion: "26.5.1" },
  });
  const { body } = await metrics.render("prometheus");
  return body.split("\n").filter((line) => /brews|litres/.test(line));
}

const declared = [
  "# HELP brews_total Brews.",
  "# TYPE brews_total counter",
  "# HELP litres Water in it.",
  "# TYPE litres gauge",
];
const labels = 'kitchen="first floor",kettle="red"';
const shown = (tea: number, litres: number) => [
  ...declared.slice(0, 2),
  `brews_total{${labels},drink="tea"} ${tea}`,
  `brews_total{${labels},drink="coffee"} 0`,
  ...declared.slice(2),
  `litres{${labels}} ${litres}`,
];

test("what a group declares is exported, without a change elsewhere", async () => {
  expect(await expositionOf(kitchen().stats)).toEqual(shown(0, 0));
  expect(await expositionOf(busy(3).stats)).toEqual(shown(3, 3));
});

test("what a group declares is sent between threads, summed and restored, without a change elsewhere", async () => {
  const sum = kitchen();
  sum.stats.restore(sumCounts([busy(2), busy(3)].map(({ stats }) => structuredClone(stats.counts()))));
  expect(await expositionOf(sum.stats)).toEqual(shown(5, 5));
  sum.stats.restore(pastCounts(busy(4).stats.counts()));
  expect(await expositionOf(sum.stats)).toEqual(shown(4, 0));
});

test("stats of a group go on over a reload that names them again, and end with one that does not", () => {
  const { stats, kettle } = busy(2);
  const [again, without] = [stats.begin(), stats.begin()];
  expect(again.of(kettleGroup, "first floor", "red")).toBe(kettle);
  expect(again.of(kettleGroup, "first floor", "blue")).not.toBe(kettle);
  again.commit();
  expect(stats.all(kettleGroup).size).toBe(2);
  without.commit();
  expect(stats.all(kettleGroup).size).toBe(0);
});
