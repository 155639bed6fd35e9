/** A regular expression of the configuration (RE2 syntax, linear time), matched anywhere in the text. */
export interface Pattern {
  readonly source: string;
  /**
   * In UTF-16 code units: a first pattern is tried to the end on a text up to this length, whatever it holds. Longer
   * texts may be as well; it depends on them.
   */
  readonly sureLength: number;
  /** Undefined if matching was cut off because its time is used up: see `PatternMeter`. */
  test(text: string, scope?: PatternScope): boolean | undefined;
}

/** Told of each text that a pattern was not tried on to the end, and that so counts as not matching. */
export interface SkipSink {
  patternSkipped(): void;
}

/** What the patterns that one request meets share. */
export interface PatternScope extends SkipSink {
  readonly patterns: PatternMeter;
}

/** What a request's patterns may take: steps of some 16 ns, 1 ms together. Others wait for the same event loop. */
export const stepsOfRequest = 62_500;

/** What the costly patterns of one request may still take, and what they found. */
export class PatternMeter {
  stepsLeft = stepsOfRequest;
  readonly #found = new Map<Pattern, { readonly text: string; readonly found: boolean | undefined }>();

  /** What the pattern found in the text: by `search`, unless this is the text that it was tried on last. */
  find(pattern: Pattern, text: string, search: (meter: this) => boolean | undefined): boolean | undefined {
    const known = this.#found.get(pattern);
    if (known?.text === text) return known.found;
    const found = search(this);
    this.#found.set(pattern, { text, found });
    return found;
  }
}
