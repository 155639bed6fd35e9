/** The figures of one proxy in one shape. */
import type { ProxyName } from "../proxies.ts";
import { isPerch } from "../proxies.ts";
import { type Spread, spreadOf } from "../spread.ts";
import type { Contender } from "./contenders.ts";
import type { Figures, Sample } from "./measurements.ts";
import type { Shape } from "./shapes.ts";

/** What the others are multiples of. */
export const base: ProxyName = "nginx";

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
    const names = new Set(samples.flatMap((sample) => Object.keys(sample) as (keyof Figures)[]));
    const figures = [...names].map((name) => [name, spreadOf(samples.flatMap((sample) => sample[name] ?? []))]);
    const ratios = [...names].map((name) => [name, spreadOf(this.#ratios(name, baseDraft))]);
    const isVoid = faults.size > 0;
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

  #ratios(name: keyof Figures, baseDraft: RowDraft | undefined): readonly number[] {
    return this.samples.flatMap((sample, round) => {
      const value = sample[name];
      const baseValue = baseDraft?.samples[round]?.[name];
      return value === undefined || baseValue === undefined || baseValue === 0 ? [] : [value / baseValue];
    });
  }
}
