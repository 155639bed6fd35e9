/**
 * All shapes, one after the other. In each, every proxy is started and warmed up once, and then they are measured in
 * turns, back and forth, so that a machine that changes favours none.
 */
import type { ProxyName } from "../proxies.ts";
import { median, type Spread, spreadOf } from "../spread.ts";
import type { User } from "../users.ts";
import type { Contender } from "./contenders.ts";
import {
  type Figures,
  measureFixed,
  measureIdleMemory,
  measureSaturated,
  type Sample,
  type Window,
  warmUp,
} from "./measurements.ts";
import type { Shape } from "./shapes.ts";
import { learnUsers, orVoid, Scene, type Stage } from "./stage.ts";
import { UpstreamsEnded } from "./upstreams.ts";

export interface SideBySideSettings {
  readonly contenders: readonly Contender[];
  /** Whose pins those without their own get; it need not take part. */
  readonly pinSource: Contender;
  readonly shapes: readonly Shape[];
  readonly rounds: number;
  /** Of each process, before its first measurement. */
  readonly warmUpMs: number;
  readonly saturated: Window;
  readonly fixed: Window;
  /** Where CPU time and latency are measured. Default: by the capacity of the proxies. */
  readonly requestsPerSecond: number | undefined;
}

export type FigureSpreads = { readonly [Figure in keyof Figures]?: Spread };

export interface Row {
  readonly shape: string;
  /** The name of the contender. */
  readonly proxy: string;
  readonly isPerch: boolean;
  /** Over the rounds. Empty where the row is invalid or not applicable. */
  readonly figures: FigureSpreads;
  /** As multiples of the base's in the same round. */
  readonly ratios: FigureSpreads;
  readonly fixedRequestsPerSecond: number | undefined;
  /** Why the row is invalid; empty where every response was right. */
  readonly void: readonly string[];
  readonly notes: readonly string[];
}

/** Below saturation of those that are compared with one another. */
const shareOfSlowest = 0.6;
const comparedProxies: readonly ProxyName[] = ["nginx", "haproxy", "perch-fast"];
/** What the others are multiples of. */
export const base: ProxyName = "nginx";

export async function runSideBySide(
  stage: Stage,
  settings: SideBySideSettings,
  say: (line: string) => void,
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  try {
    const crowds = await learnCrowds(stage, settings, say);
    for (const shape of settings.shapes) {
      const drafts = settings.contenders.map((contender) => new RowDraft(shape, contender));
      const baseDraft = drafts.find(({ contender }) => contender.name === base);
      try {
        await measureShape(stage, settings, shape, drafts, crowds, say);
      } finally {
        rows.push(...drafts.map((draft) => draft.row(baseDraft)));
      }
    }
  } catch (error) {
    // The measurements so far still count.
    if (!(error instanceof UpstreamsEnded)) throw error;
    process.exitCode = 1;
    say(`The run ends here: ${error.message}`);
  }
  return rows;
}

/** The users of each contender. */
async function learnCrowds(
  stage: Stage,
  { contenders, pinSource }: SideBySideSettings,
  say: (line: string) => void,
): Promise<ReadonlyMap<Contender, readonly User[]>> {
  const shared = contenders.some(({ pins }) => pins === "shared") ? await learnUsers(stage, pinSource) : [];
  const crowds = new Map<Contender, readonly User[]>();
  for (const contender of contenders) {
    const isShared = contender.pins === "shared" || (contender === pinSource && shared.length > 0);
    crowds.set(contender, isShared ? shared : await learnUsers(stage, contender));
    say(`${contender.name}: ${stage.users} users have their pins`);
  }
  return crowds;
}

async function measureShape(
  stage: Stage,
  settings: SideBySideSettings,
  shape: Shape,
  drafts: readonly RowDraft[],
  crowds: ReadonlyMap<Contender, readonly User[]>,
  say: (line: string) => void,
): Promise<void> {
  const rounds = Math.min(settings.rounds, shape.maxRounds);
  const open = async (draft: RowDraft): Promise<Scene | undefined> => {
    const scene = await Scene.open(stage, draft.contender, shape, crowds.get(draft.contender) ?? [], draft);
    try {
      await scene.judge();
      if (draft.isOpen) await warmUp(stage, shape, scene, settings.warmUpMs);
      return scene;
    } catch (error) {
      await scene.proxy.stop();
      throw error;
    }
  };
  const measureAll = async (round: number, kind: string, measure: (draft: RowDraft) => Promise<Sample>) => {
    for (const draft of (round % 2 === 0 ? drafts : drafts.toReversed()).filter(({ isOpen }) => isOpen)) {
      const sample = (await orVoid(draft, () => measure(draft))) ?? {};
      draft.add(round, sample);
      const result = draft.isOpen ? describe(sample) : `void: ${[...draft.faults].join("; ")}`;
      say(`${shape.name}  round ${round + 1}/${rounds}  ${kind}  ${draft.contender.name}: ${result}`);
    }
  };
  if (shape.measures.includes("idle")) {
    for (let round = 0; round < rounds; round++) {
      await measureAll(round, "idle", async (draft) => {
        const scene = await open(draft);
        try {
          return scene === undefined ? {} : await measureIdleMemory(stage, shape, scene);
        } finally {
          await scene?.close();
        }
      });
    }
    return;
  }
  const scenes = new Map<RowDraft, Scene>();
  const sceneOf = (draft: RowDraft): Scene => {
    const scene = scenes.get(draft);
    if (scene === undefined) throw new Error("it does not run");
    return scene;
  };
  try {
    for (const draft of drafts.filter(({ isOpen }) => isOpen)) {
      const scene = await orVoid(draft, () => open(draft));
      if (scene !== undefined) scenes.set(draft, scene);
    }
    for (let round = 0; round < rounds; round++) {
      if (shape.measures.includes("saturated")) {
        await measureAll(round, "saturated", (draft) =>
          measureSaturated(stage, shape, sceneOf(draft), settings.saturated),
        );
      }
      if (!shape.measures.includes("fixed")) continue;
      // The same in all rounds, for all proxies.
      const rate =
        drafts[0]?.fixedRequestsPerSecond ??
        shape.requestsPerSecond ??
        settings.requestsPerSecond ??
        rateBelowSaturation(drafts);
      for (const draft of drafts) draft.fixedRequestsPerSecond = rate;
      await measureAll(round, `at ${rate}/s`, (draft) =>
        measureFixed(stage, shape, sceneOf(draft), settings.fixed, rate),
      );
    }
  } finally {
    for (const [draft, scene] of scenes) await orVoid(draft, () => scene.close());
  }
}

function rateBelowSaturation(drafts: readonly RowDraft[]): number {
  const rateOf = ({ samples }: RowDraft) => median(samples.flatMap(({ requestsPerSecond }) => requestsPerSecond ?? []));
  const compared = drafts.filter(({ contender }) => comparedProxies.includes(contender.proxy));
  const rates = (compared.length > 0 ? compared : drafts).flatMap((draft) => rateOf(draft) ?? []);
  return rates.length === 0 ? 1_000 : Math.max(10, Math.floor((shareOfSlowest * Math.min(...rates)) / 10) * 10);
}

/** A row under construction. */
class RowDraft {
  readonly contender: Contender;
  /** By round. */
  readonly samples: Sample[] = [];
  readonly faults = new Set<string>();
  readonly notes = new Set<string>();
  fixedRequestsPerSecond: number | undefined;
  readonly #shape: Shape;
  readonly #absence: string | undefined;

  constructor(shape: Shape, contender: Contender) {
    this.#shape = shape;
    this.contender = contender;
    this.#absence = shape.without(contender.proxy);
    if (this.#absence !== undefined) this.notes.add(`not measured: ${this.#absence}`);
  }

  /** An invalid row is not measured further. */
  get isOpen(): boolean {
    return this.#absence === undefined && this.faults.size === 0;
  }

  add(round: number, sample: Sample): void {
    this.samples[round] = { ...this.samples[round], ...sample };
  }

  row(baseDraft: RowDraft | undefined): Row {
    const { contender, samples, faults, notes, fixedRequestsPerSecond } = this;
    const names = new Set(samples.flatMap((sample) => Object.keys(sample) as (keyof Figures)[]));
    const figures = [...names].map((name) => [name, spreadOf(samples.flatMap((sample) => sample[name] ?? []))]);
    const ratios = [...names].map((name) => [name, spreadOf(this.#ratios(name, baseDraft))]);
    const isVoid = faults.size > 0;
    return {
      shape: this.#shape.name,
      proxy: contender.name,
      isPerch: contender.pins === "own" && contender.proxy.startsWith("perch"),
      figures: isVoid ? {} : Object.fromEntries(figures),
      ratios: isVoid || baseDraft === undefined || baseDraft.faults.size > 0 ? {} : Object.fromEntries(ratios),
      fixedRequestsPerSecond,
      void: [...faults],
      notes: [...notes],
    };
  }

  #ratios(name: keyof Figures, baseDraft: RowDraft | undefined): readonly number[] {
    return this.samples.flatMap((sample, round) => {
      const value = sample[name];
      const baseValue = baseDraft?.samples[round]?.[name];
      return value === undefined || baseValue === undefined || baseValue === 0 ? [] : [value / baseValue];
    });
  }
}

function describe(sample: Sample): string {
  const { cpuUsPerRequest, saturatedCpuUsPerRequest, requestsPerSecond, p50Ms, p99Ms, p999Ms } = sample;
  if (requestsPerSecond !== undefined) {
    return `${saturatedCpuUsPerRequest?.toFixed(1) ?? "?"} µs CPU a request, ${Math.round(requestsPerSecond)} requests/s`;
  }
  if (p50Ms !== undefined) {
    const latencies = [p50Ms, p99Ms, p999Ms].map((ms) => ms?.toFixed(3)).join(", ");
    return `${cpuUsPerRequest?.toFixed(1) ?? "?"} µs CPU a request; p50, p99, p99.9 ${latencies} ms`;
  }
  if (sample.idleConnectionKiB !== undefined) return `${sample.idleConnectionKiB.toFixed(1)} KiB an idle connection`;
  return "not measured";
}
