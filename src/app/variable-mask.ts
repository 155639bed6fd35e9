/** Of a text that was cut, so much of a value at its end is masked too. */
const minCutChars = 3;

/**
 * Puts `${NAME}` in the place of each value of an environment variable, in any case, so that a text shows none of them.
 * Longer values first, as one may be part of another.
 */
export class VariableMask {
  readonly #variables: readonly (readonly [name: string, value: string])[];
  readonly #values: RegExp | undefined;
  readonly #nameOf: ReadonlyMap<string, string>;

  constructor(variables: Iterable<readonly [name: string, value: string]>) {
    this.#variables = [...variables].filter(([, value]) => value !== "").sort(([, a], [, b]) => b.length - a.length);
    const shown = this.#variables.flatMap(([name, value]) => formsOf(value).map((form) => [form, name] as const));
    this.#nameOf = new Map(shown.map(([form, name]) => [form.toLowerCase(), name]).reverse() as [string, string][]);
    const forms = shown.map(([form]) => form).sort((one, other) => other.length - one.length);
    this.#values = forms.length === 0 ? undefined : new RegExp(forms.map(escaped).join("|"), "giu");
  }

  text(text: string): string {
    if (this.#values === undefined) return text;
    const whole = text.replace(this.#values, (value) => `\${${this.#nameOf.get(value.toLowerCase()) ?? "VARIABLE"}}`);
    return whole.includes("…") ? this.#withoutCut(whole) : whole;
  }

  /** The same value with every text in it masked. Keys are those of the file, where no variable is replaced. */
  all<T>(value: T): T;
  all(value: unknown): unknown {
    if (typeof value === "string") return this.text(value);
    if (Array.isArray(value)) return value.map((each) => this.all(each));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, this.all(each)]));
  }

  /** Messages cut long texts, and mark that with an ellipsis: the start of a value may stand before it. */
  #withoutCut(text: string): string {
    const pieces = text.split("…");
    const last = pieces.pop() ?? "";
    return [...pieces.map((piece) => this.#withoutStart(piece)), last].join("…");
  }

  #withoutStart(piece: string): string {
    for (const [name, value] of this.#variables) {
      for (const form of formsOf(value)) {
        for (let length = Math.min(form.length - 1, piece.length); length >= minCutChars; length--) {
          const end = piece.slice(-length);
          if (end.toLowerCase() === form.slice(0, length).toLowerCase()) return `${piece.slice(0, -length)}\${${name}}`;
        }
      }
    }
    return piece;
  }
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

/** A value as messages show it: as it is, trimmed, quoted, and as part of an address. */
function formsOf(value: string): readonly string[] {
  const quoted = JSON.stringify(value).slice(1, -1);
  const forms = [
    value,
    value.trim(),
    quoted,
    encodeURI(value.toWellFormed()),
    encodeURIComponent(value.toWellFormed()),
  ];
  return [...new Set(forms)].filter((form) => form !== "");
}
