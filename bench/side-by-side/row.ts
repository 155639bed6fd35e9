/** The figures of one proxy in one shape. */
import type { ProxyName } from "../proxies.ts";
import { isPerch } from "../proxies.ts";
import { type Spread, spreadOf } from "../spread.ts";
import type { Contender } from "./contenders.ts";
import type { Figures, Sample } from "./measurements.ts";
import type { Shape } from "./shapes.ts";

/** What the others are multiples of. */
export const base: ProxyName = "nginx";

/** Where others took more of the proxy's core, they also took its caches, and it slept and woke at other times. */
const othersAtMost = 0.25;
/** Figures of the window in which others were watched. */
const watchedFigures: ReadonlySet<keyof Figures> = new Set(["cpuUsPerRequest", "p50Ms", "p99Ms", "p999Ms"]);

type FigureSpreads = { readonly [Figure in keyof Figures]?: Spread };

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

/** A row under construction. */
export class RowDraft {
  readonly shape: Shape;
  readonly contender: Contender;
  /** By round. */
  readonly samples: Sample[] = [];
  readonly faults: Set<string>;
  readonly notes = new Set<string>();
  fixedRequestsPerSecond: number | undefined;
  readonly #absence: string | undefined;

  /** Faults of before its first measurement void it from the start. */
  constructor(shape: Shape, contender: Contender, faults: ReadonlySet<string>) {
    this.faults = new Set(faults);
    this.shape = shape;
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
    const names = [...new Set(samples.flatMap((sample) => Object.keys(sample) as (keyof Figures)[]))];
    const figures = names.map((name) => [name, spreadOf(this.#values(name))]);
    const ratios = names.map((name) => [name, spreadOf(this.#ratios(name, baseDraft))]);
    const isVoid = faults.size > 0;
    const disturbed = samples.filter((sample) => !isQuiet(sample)).length;
    if (disturbed > 0) {
      const outcome = disturbed < samples.length ? "which do not count" : "so all count";
      notes.add(`others were busy on its core in ${disturbed} of ${samples.length} rounds, ${outcome}`);
    }
    return {
      shape: this.shape.name,
      proxy: contender.name,
      isPerch: isPerch(contender.proxy),
      figures: isVoid ? {} : Object.fromEntries(figures),
      ratios: isVoid || baseDraft === undefined || baseDraft.faults.size > 0 ? {} : Object.fromEntries(ratios),
      fixedRequestsPerSecond,
      void: [...faults],
      notes: [...notes],
    };
  }

  #values(name: keyof Figures): readonly number[] {
    return preferQuiet(
      name,
      this.samples.flatMap((sample) => {
        const value = sample[name];
        return value === undefined ? [] : [{ value, quiet: isQuiet(sample) }];
      }),
    );
  }

  #ratios(name: keyof Figures, baseDraft: RowDraft | undefined): readonly number[] {
    return preferQuiet(
      name,
      this.samples.flatMap((sample, round) => {
        const baseSample = baseDraft?.samples[round];
        const value = sample[name];
        const baseValue = baseSample?.[name];
        if (value === undefined || baseSample === undefined || baseValue === undefined || baseValue === 0) return [];
        return [{ value: value / baseValue, quiet: isQuiet(sample) && isQuiet(baseSample) }];
      }),
    );
  }
}

function isQuiet({ othersBusy }: Sample): boolean {
  return othersBusy === undefined || othersBusy <= othersAtMost;
}

/** Without the rounds in which others were busy, unless they were in all. */
function preferQuiet(
  name: keyof Figures,
  rounds: readonly { readonly value: number; readonly quiet: boolean }[],
): readonly number[] {
  const quiet = rounds.filter((round) => round.quiet);
  return (watchedFigures.has(name) && quiet.length > 0 ? quiet : rounds).map(({ value }) => value);
}
