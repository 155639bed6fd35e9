/** All shapes, all proxies, several rounds: rounds are outermost, so that a machine that changes favours no proxy. */
import type { ProxyName } from "../proxies.ts";
import { nativePeerNames } from "../proxies.ts";
import { median, type Spread, spreadOf } from "../spread.ts";
import type { User } from "../users.ts";
import {
  type Figures,
  measureIdleMemory,
  measureLatency,
  measureThroughput,
  type Sample,
  type Window,
} from "./measurements.ts";
import type { Shape } from "./shapes.ts";
import { learnUsers, playScene, type Scene, type Stage } from "./stage.ts";
import { UpstreamsEnded } from "./upstreams.ts";

export interface SideBySideSettings {
  readonly proxies: readonly ProxyName[];
  readonly shapes: readonly Shape[];
  readonly rounds: number;
  readonly throughput: Window;
  readonly latency: Window;
  /** Requests per second where latency is measured. Default: by the capacity of the proxies. */
  readonly requestsPerSecond: number | undefined;
}

export type FigureSpreads = { readonly [Figure in keyof Figures]?: Spread };

export interface Row {
  readonly shape: string;
  readonly proxy: ProxyName;
  /** Empty where the row is invalid or not applicable. */
  readonly figures: FigureSpreads;
  /** The rate at which latency was measured. */
  readonly fixedRequestsPerSecond: number | undefined;
  /** Why the row is invalid; empty where every response was right. */
  readonly void: readonly string[];
  readonly notes: readonly string[];
}

/** Below saturation: half the throughput of the slowest native peer, and well below that of the slowest of all. */
const shareOfNativePeers = 0.5;
const shareOfAll = 0.7;

export async function runSideBySide(
  stage: Stage,
  settings: SideBySideSettings,
  say: (line: string) => void,
): Promise<readonly Row[]> {
  const crowds = new Map<ProxyName, readonly User[]>();
  const drafts = settings.shapes.map((shape) => settings.proxies.map((proxy) => new RowDraft(shape, proxy)));
  for (const proxy of settings.proxies) {
    try {
      crowds.set(proxy, await learnUsers(stage, proxy));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      for (const draft of drafts.flat().filter((one) => one.proxy === proxy)) draft.faults.add(why);
      say(`${proxy} is void: ${why}`);
    }
  }
  try {
    await measureRounds(stage, settings, drafts, crowds, say);
  } catch (error) {
    // The measurements so far still count.
    if (!(error instanceof UpstreamsEnded)) throw error;
    process.exitCode = 1;
    say(`The run ends here: ${error.message}`);
  }
  return drafts.flat().map((draft) => draft.row());
}

async function measureRounds(
  stage: Stage,
  settings: SideBySideSettings,
  drafts: readonly (readonly RowDraft[])[],
  crowds: ReadonlyMap<ProxyName, readonly User[]>,
  say: (line: string) => void,
): Promise<void> {
  for (let round = 0; round < settings.rounds; round++) {
    for (const rows of drafts) {
      // Back and forth.
      const order = (round % 2 === 0 ? rows : rows.toReversed()).filter(({ isOpen }) => isOpen);
      const report = (row: RowDraft, sample: Sample) => say(progress(round, settings.rounds, row, sample));
      await measureRows(stage, settings, order, crowds, report);
    }
  }
}

async function measureRows(
  stage: Stage,
  settings: SideBySideSettings,
  rows: readonly RowDraft[],
  crowds: ReadonlyMap<ProxyName, readonly User[]>,
  report: (row: RowDraft, sample: Sample) => void,
): Promise<void> {
  const measureAll = async (measure: (row: RowDraft, scene: Scene) => Promise<Sample>) => {
    for (const row of rows.filter(({ isOpen }) => isOpen)) {
      let sample: Sample = {};
      const outcome = await playScene(stage, row.proxy, row.shape, crowds.get(row.proxy) ?? [], async (scene) => {
        sample = await measure(row, scene);
      });
      row.add(sample, outcome);
      report(row, sample);
    }
  };
  const [first] = rows;
  if (first === undefined) return;
  const { measures } = first.shape;
  if (measures === "idle memory") {
    await measureAll((row, scene) => measureIdleMemory(stage, row.shape, scene));
    return;
  }
  await measureAll((row, scene) => measureThroughput(stage, row.shape, scene, settings.throughput));
  if (measures !== "throughput and latency") return;
  // The same in all rounds, for all proxies.
  const requestsPerSecond = first.fixedRequestsPerSecond ?? settings.requestsPerSecond ?? rateBelowSaturation(rows);
  for (const row of rows) row.fixedRequestsPerSecond = requestsPerSecond;
  await measureAll((row, scene) => measureLatency(stage, row.shape, scene, { ...settings.latency, requestsPerSecond }));
}

function rateBelowSaturation(rows: readonly RowDraft[]): number {
  const rates = (some: readonly RowDraft[]) =>
    some.map(({ samples }) => median(samples.flatMap((sample) => sample.requestsPerSecond ?? [])) ?? Infinity);
  const native = rows.filter(({ proxy }) => nativePeerNames.some((name) => name === proxy));
  const rate = Math.min(shareOfNativePeers * Math.min(...rates(native)), shareOfAll * Math.min(...rates(rows)));
  return Number.isFinite(rate) ? Math.max(10, Math.floor(rate / 10) * 10) : 1_000;
}

/** A row under construction. */
class RowDraft {
  readonly shape: Shape;
  readonly proxy: ProxyName;
  readonly samples: Sample[] = [];
  readonly faults = new Set<string>();
  readonly notes = new Set<string>();
  fixedRequestsPerSecond: number | undefined;
  readonly #absence: string | undefined;

  constructor(shape: Shape, proxy: ProxyName) {
    this.shape = shape;
    this.proxy = proxy;
    this.#absence = shape.without(proxy);
    if (this.#absence !== undefined) this.notes.add(`not measured: ${this.#absence}`);
  }

  /** An invalid row is not measured further. */
  get isOpen(): boolean {
    return this.#absence === undefined && this.faults.size === 0;
  }

  add(sample: Sample, outcome: { readonly faults: readonly string[]; readonly notes: readonly string[] }): void {
    this.samples.push(sample);
    for (const fault of outcome.faults) this.faults.add(fault);
    for (const note of outcome.notes) this.notes.add(note);
  }

  row(): Row {
    const { shape, proxy, samples, faults, notes, fixedRequestsPerSecond } = this;
    const names = new Set(samples.flatMap((sample) => Object.keys(sample) as (keyof Figures)[]));
    const spreads = [...names].map((name) => [name, spreadOf(samples.flatMap((sample) => sample[name] ?? []))]);
    return {
      shape: shape.name,
      proxy,
      figures: faults.size > 0 ? {} : Object.fromEntries(spreads),
      fixedRequestsPerSecond,
      void: [...faults],
      notes: [...notes],
    };
  }
}

function progress(round: number, rounds: number, row: RowDraft, sample: Sample): string {
  const result = row.faults.size > 0 ? `void: ${[...row.faults].join("; ")}` : describe(sample);
  return `round ${round + 1}/${rounds}  ${row.shape.name}  ${row.proxy}: ${result}`;
}

function describe(sample: Sample): string {
  const { cpuUsPerRequest, requestsPerSecond, p50Ms, p99Ms, p999Ms, idleConnectionKiB } = sample;
  if (requestsPerSecond !== undefined) {
    return `${cpuUsPerRequest?.toFixed(1) ?? "?"} µs CPU a request, ${Math.round(requestsPerSecond)} requests/s`;
  }
  if (p50Ms !== undefined)
    return `p50 ${p50Ms.toFixed(3)} ms, p99 ${p99Ms?.toFixed(3)} ms, p99.9 ${p999Ms?.toFixed(3)} ms`;
  if (idleConnectionKiB !== undefined) return `${idleConnectionKiB.toFixed(1)} KiB an idle connection`;
  return "not measured";
}
