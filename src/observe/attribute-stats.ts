import { Counter, LabelCounters } from "./counters.ts";
import { StatsGroup } from "./stats-group.ts";

/** Values of one attribute that were present and could not be used, by cause. */
export class AttributeStats {
  readonly errors: LabelCounters<string>;

  /** `causes`: all that the attribute's sources can have; `before`: its stats so far, which continue. */
  constructor(causes: readonly string[], before?: AttributeStats) {
    this.errors = new LabelCounters(causes, before?.errors);
  }

  error(cause: string): void {
    const counter = this.errors.by[cause];
    if (counter !== undefined) counter.value++;
  }
}

export const attributeGroup = new StatsGroup<AttributeStats, [attribute: string, causes: readonly string[]]>({
  labels: ["attribute"],
  make: (before, _attribute, causes) => new AttributeStats(causes, before),
  metrics: [
    {
      name: "perch_attribute_errors_total",
      help: "Attribute values that were present and could not be used.",
      type: "counter",
      labels: ["cause"],
      storage: ({ errors }) => errors,
    },
  ],
});

/** Regular expressions that were not tried. */
export class PatternStats {
  /** Texts that a pattern was not tried on to the end. */
  readonly skipped = new Counter();
}

export const patternGroup = new StatsGroup<PatternStats>({
  labels: [],
  make: (before) => before ?? new PatternStats(),
  metrics: [
    {
      name: "perch_pattern_skipped_total",
      help: "Texts that a costly regular expression was not tried on to the end, and that counted as not matching.",
      type: "counter",
      storage: ({ skipped }) => skipped,
    },
  ],
});
