import { phases, type RolloutState, type SavedState } from "../rollout-state.ts";

export type StateReading =
  | { readonly kind: "read"; readonly saved: SavedState }
  /** A clause that says what it is instead, and a sentence that says what to do. */
  | { readonly kind: "unusable"; readonly why: string; readonly remedy: string };

const format = "perch-rollouts";
const version = 1;

/** Reads a state file's content; whatever is not one whole state of this version is unusable. */
export function readSavedState(text: string): StateReading {
  if (text.trim() === "") return damaged("it is empty");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // A rename replaces the whole file, so a part of one was cut by something else, or was never a state.
    return damaged("it is not complete JSON");
  }
  if (!isObject(value) || value["format"] !== format) {
    const remedy = "Set `state.file` to another path.";
    return { kind: "unusable", why: "another program wrote it", remedy };
  }
  const found = value["version"];
  if (typeof found === "number" && found > version) {
    const remedy = "Start the newer Perch again, or move the file away to start over.";
    return { kind: "unusable", why: `a newer Perch wrote it (version ${found}; this one reads ${version})`, remedy };
  }
  if (found !== version) return damaged(`it has no version that this Perch reads (${version})`);
  const misfit = misfitOf(value);
  if (misfit !== undefined) return damaged(`its \`${misfit}\` is not in the form that Perch writes`);
  return { kind: "read", saved: value as unknown as SavedState };
}

function damaged(why: string): StateReading {
  const remedy = "Put a copy of the state back, or move the file away to start over, and restart.";
  return { kind: "unusable", why, remedy };
}

type Test = (value: unknown) => boolean;
type Shape<T> = { readonly [K in keyof Required<T>]: Test };

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isText: Test = (value) => typeof value === "string";
const isNumber: Test = (value) => typeof value === "number";
const isPercent: Test = (value) => typeof value === "number" && value >= 0 && value <= 100;
const isCount: Test = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
const oneOf =
  (words: readonly string[]): Test =>
  (value) =>
    typeof value === "string" && words.includes(value);
const orNull =
  (test: Test): Test =>
  (value) =>
    value === null || test(value);
const optional =
  (test: Test): Test =>
  (value) =>
    value === undefined || test(value);
const listOf =
  (test: Test): Test =>
  (value) =>
    Array.isArray(value) && value.every(test);
const recordOf =
  (test: Test): Test =>
  (value) =>
    isObject(value) && Object.values(value).every(test);
const shaped =
  <T>(shape: Shape<T>): Test =>
  (value) =>
    isObject(value) && firstMisfit(shape, value) === undefined;

const rolloutShape: Shape<RolloutState> = {
  release: isText,
  id: isText,
  baseline: isText,
  candidate: isText,
  candidateEndpoints: listOf(isText),
  phase: oneOf(phases),
  why: isText,
  sinceMs: isNumber,
  step: (value) => Number.isSafeInteger(value) && Number(value) >= -1,
  heldMs: isNumber,
  countedAtMs: isNumber,
  weight: isPercent,
  rings: listOf(shaped<RolloutState["rings"][number]>({ key: isText, weight: isPercent })),
  planned: listOf(isText),
  command: oneOf(["run", "pause", "rollback"]),
  startedAtMs: optional(isNumber),
  track: listOf(
    shaped<RolloutState["track"][number]>({
      step: Number.isSafeInteger,
      startedAtMs: isNumber,
      endedAtMs: optional(isNumber),
      heldMs: isNumber,
    }),
  ),
  pausedFor: optional(
    listOf(shaped<NonNullable<RolloutState["pausedFor"]>[number]>({ check: isText, atMs: orNull(isNumber) })),
  ),
  takenOut: optional((value) => value === true),
};

/** A rollout that has begun is at a planned step. */
const isAtPlannedStep: Test = (value) => {
  const { step, planned } = value as RolloutState;
  return step < planned.length;
};

const stateShape: Shape<Omit<SavedState, "format" | "version">> = {
  revision: isCount,
  rollouts: listOf((value) => shaped(rolloutShape)(value) && isAtPlannedStep(value)),
  splits: listOf(
    shaped<SavedState["splits"][number]>({
      release: isText,
      split: recordOf(isNumber),
      untilMs: orNull(isNumber),
      by: isText,
      why: isText,
    }),
  ),
  events: listOf(
    shaped<SavedState["events"][number]>({
      id: isCount,
      atMs: isNumber,
      release: isText,
      rollout: orNull(isText),
      type: isText,
      phase: orNull(oneOf(phases)),
      step: orNull(isNumber),
      weight: orNull(isNumber),
      by: isText,
      why: isText,
      evidence: listOf(isObject),
    }),
  ),
  judge: isObject,
  replicas: optional(recordOf(isCount)),
};

const misfitOf = (value: Readonly<Record<string, unknown>>): string | undefined => firstMisfit(stateShape, value);

function firstMisfit(shape: Readonly<Record<string, Test>>, value: Readonly<Record<string, unknown>>) {
  return Object.entries(shape).find(([name, test]) => !test(value[name]))?.[0];
}
