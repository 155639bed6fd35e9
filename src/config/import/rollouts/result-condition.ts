/** What a value must be to be good. */
export interface Limits {
  readonly atLeast?: number;
  readonly atMost?: number;
}

export interface ReadCondition {
  readonly limits: Limits;
  /** The limit itself was bad. */
  readonly isStrict: boolean;
  /** That there is no value was a failure. */
  readonly emptyFails: boolean;
}

const result = String.raw`(?:asFloat|float)?\(?result(?:\[0\])?\)?`;
const numeral = String.raw`(-?\d+(?:\.\d+)?(?:[eE]-?\d+)?)`;
const comparison = "(>=|<=|==|>|<)";
const resultFirst = new RegExp(String.raw`^\(*\s*${result}\s*${comparison}\s*${numeral}\s*\)*$`);
const numberFirst = new RegExp(String.raw`^\(*\s*${numeral}\s*${comparison}\s*${result}\s*\)*$`);
/** Whether there is a value at all, and one that can be compared. */
const guard =
  /^\(*\s*(?:!?\s*(?:isNaN|isInf)\(\s*result(?:\[0\])?\s*\)|len\(\s*result\s*\)\s*(?:==|!=|>=|>|<)\s*[01]|result(?:\[0\])?\s*[!=]=\s*nil)\s*\)*$/;
/** One that holds where there is no value. */
const noValue = /^\(*\s*(?:isNaN|len\(\s*result\s*\)\s*(?:==\s*0|<\s*1)|result\s*==\s*nil)/;

const mirrored: Readonly<Record<string, string>> = { ">=": "<=", "<=": ">=", ">": "<", "<": ">", "==": "==" };
const negated: Readonly<Record<string, string>> = { ">=": "<", "<=": ">", ">": "<=", "<": ">=" };

/** Reads `successCondition` of an AnalysisTemplate, such as `result[0] >= 0.95`. Undefined for other expressions. */
export function readSuccess(expression: string): ReadCondition | undefined {
  const alternatives = expression.split("||").filter((one) => !guard.test(one.trim()));
  const [only] = alternatives;
  if (only === undefined || alternatives.length > 1) return undefined;
  const all = only.split("&&");
  const parts = all.filter((part) => !guard.test(part.trim()));
  // With `len(result) > 0 && …` no value is no success.
  const emptyFails = parts.length < all.length && alternatives.length === expression.split("||").length;
  return parts.length === 0 ? undefined : combined(parts.map(boundIn), emptyFails);
}

/** Reads `failureCondition`: values for which it holds are bad. Undefined for other expressions. */
export function readFailure(expression: string): ReadCondition | undefined {
  const alternatives = expression.split("||").map((one) => one.trim());
  const emptyFails = alternatives.some((one) => guard.test(one) && noValue.test(one));
  const real = alternatives.filter((one) => !guard.test(one));
  if (real.length === 0) return undefined;
  const bounds = real.map((one) => {
    const parts = one.split("&&").filter((part) => !guard.test(part.trim()));
    const bound = parts.length === 1 ? boundIn(parts[0] ?? "") : undefined;
    const operator = bound && negated[bound.operator];
    return bound === undefined || operator === undefined ? undefined : { ...bound, operator };
  });
  return combined(bounds, emptyFails);
}

interface Bound {
  readonly operator: string;
  readonly value: number;
}

function boundIn(part: string): Bound | undefined {
  const text = part.trim();
  const [, operator, value] = resultFirst.exec(text) ?? [];
  if (operator !== undefined) return { operator, value: Number(value) };
  const [, first, turned = ""] = numberFirst.exec(text) ?? [];
  return first === undefined ? undefined : { operator: mirrored[turned] ?? turned, value: Number(first) };
}

function combined(bounds: readonly (Bound | undefined)[], emptyFails: boolean): ReadCondition | undefined {
  const lower: number[] = [];
  const upper: number[] = [];
  for (const bound of bounds) {
    if (bound === undefined) return undefined;
    if (bound.operator !== "<" && bound.operator !== "<=") lower.push(bound.value);
    if (bound.operator !== ">" && bound.operator !== ">=") upper.push(bound.value);
  }
  return {
    limits: {
      ...(lower.length === 0 ? {} : { atLeast: Math.max(...lower) }),
      ...(upper.length === 0 ? {} : { atMost: Math.min(...upper) }),
    },
    isStrict: bounds.some((bound) => bound?.operator === "<" || bound?.operator === ">"),
    emptyFails,
  };
}
