import { readSavedState } from "../state/saved-state.ts";
import type { HandedAnswer, LeaderAnswer } from "./replica-messages.ts";

/** Whether a leader's answer to reports has the form that this Perch uses: a leader may be of another version. */
export function isLeaderAnswer(value: unknown): value is LeaderAnswer {
  if (!isRecord(value)) return false;
  const { term, taken, saved, statuses, questions, state } = value;
  if (typeof term !== "string" || !isCount(taken) || !isCount(saved)) return false;
  if (!isListOf(statuses, isStatus) || !isListOf(questions, areQuestions)) return false;
  return state === undefined || isState(state);
}

/** The same of its answer to a change. */
export function isHandedAnswer(value: unknown): value is HandedAnswer {
  if (!isRecord(value)) return false;
  const { kind, cause, message, status, split, revision } = value;
  if (kind === "refused") return typeof cause === "string" && typeof message === "string";
  return kind === "done" && (isStatus(status) || (isRecord(split) && isCount(revision)));
}

type Test = (value: unknown) => boolean;

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isCount: Test = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
const isNumber: Test = (value) => typeof value === "number";
const isListOf = (value: unknown, test: Test): boolean => Array.isArray(value) && value.every(test);
const isPair = (test: Test): Test => {
  return (value) => isRecord(value) && test(value["baseline"]) && test(value["candidate"]);
};

const isStatus: Test = (value) => {
  if (!isRecord(value)) return false;
  const { release, id, phase, revision, checks, steps, users, stepUsers, placed, drawn } = value;
  const areTexts = [release, id, phase].every((each) => typeof each === "string");
  const arePairs = [users, placed, drawn].every(isPair(isRecord)) && isPair(isNumber)(stepUsers);
  return areTexts && isCount(revision) && isListOf(checks, isRecord) && isListOf(steps, isRecord) && arePairs;
};

const areQuestions: Test = (value) => {
  if (!isRecord(value)) return false;
  const { release, failures, slowLimitsMs, wantsBaselineDurations } = value;
  const areLimits = isListOf(slowLimitsMs, (limit) => limit === null || isNumber(limit));
  return (
    typeof release === "string" &&
    isListOf(failures, isNumber) &&
    areLimits &&
    typeof wantsBaselineDurations === "boolean"
  );
};

/** As a saved state without what a leader keeps to itself. */
const isState: Test = (value) => {
  if (!isRecord(value)) return false;
  const { revision, rollouts, splits } = value;
  const saved = { format: "perch-rollouts", version: 1, revision, rollouts, splits, events: [], judge: {} };
  return readSavedState(JSON.stringify(saved)).kind === "read";
};
