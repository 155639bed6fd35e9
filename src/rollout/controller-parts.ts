import type { ReleaseSpec } from "../decide/release-spec.ts";
import type { RolloutTraffic } from "../decide/release-traffic.ts";
import type { RolloutSpec } from "../decide/rollout-spec.ts";
import type { Logger } from "../observe/log.ts";
import type { BadAnswerQuestions, RolloutReport } from "../observe/rollout/rollout-report.ts";
import type { Directions } from "../observe/rollout/rollout-taps.ts";
import type { CheckResult, RolloutEvent, RolloutState, SavedState } from "./rollout-state.ts";
import type { AnswerTotals, RolloutStatus, Rollouts, Verb } from "./rollouts-api.ts";
import type { StateStore } from "./state/state-store.ts";

/** What the controller acts with and through. */
export interface ControllerParts {
  readonly store: Pick<StateStore, "save">;
  readonly planner: Planner;
  /**
   * A judge of this rollout that resumes from what it saved; `saved` is undefined for a new one. It calls `changed` once
   * external services that it asks have answered.
   */
  readonly judge: (release: string, spec: RolloutSpec, saved: unknown, changed: () => void) => Judge;
  /**
   * Gives the directions to every data plane; they replace what was there, and apply to the next decision. Resolves once
   * every plane follows them, and must not reject.
   */
  readonly act: (directions: Directions) => Promise<void>;
  /** Must neither throw nor wait. */
  readonly notify: (spec: RolloutSpec, event: RolloutEvent) => void;
  readonly log: Logger;
  readonly nowMs: () => number;
  /** Calls back once after `ms` milliseconds; returns a function that cancels the call. */
  readonly schedule: (ms: number, callback: () => void) => () => void;
}

/** What the state file had at the start, or why it could not be read. */
export interface Initial {
  readonly saved: SavedState | undefined;
  readonly problem: string | undefined;
  /** A revision that is known of others, to be used no more. Default: that of `saved`. */
  readonly lastRevision?: number;
}

/** What the rollouts say of a configuration. */
export interface RolloutPreparation {
  /** The releases whose rollout cannot continue with it; the messages say what to do. */
  readonly problems: readonly { readonly release: string; readonly message: string }[];
  /**
   * Saves and takes over; a rollout with a problem does not run. The caller then activates the configuration with
   * the controller's `directions`, without waiting between.
   */
  commit(): Promise<void>;
}

/** The rollouts of a process: they take what its data planes see, and say what these do. */
export interface RolloutRunner extends Rollouts {
  /** What every data plane should do now. */
  readonly directions: Directions;
  report(report: RolloutReport): void;
  /** Checks whether the rollouts can continue with this configuration. Nothing changes before `commit`. */
  prepare(releases: readonly ReleaseSpec[]): RolloutPreparation;
  /** Saves what is not saved yet, and stops. */
  close(): Promise<void>;
}

export interface Judge {
  /** Takes what a plane saw; returns the check that fails now, if one does. */
  report(report: RolloutReport, nowMs: number): CheckResult | undefined;
  /** Judges without new reports: external checks, and what changes with time alone. */
  look(nowMs: number): CheckResult | undefined;
  /** From now on the users of a step count from zero. */
  beginStep(step: number): void;
  /** What planes ask of each answer: the same object until it changes. */
  questions(): BadAnswerQuestions;
  /** Whether all gates let this step begin (from 1). The first call for a step asks them. */
  mayBegin(step: number): boolean;
  checks(): readonly CheckResult[];
  readonly users: RolloutStatus["users"];
  readonly stepUsers: RolloutStatus["stepUsers"];
  readonly drawn: { readonly baseline: AnswerTotals; readonly candidate: AnswerTotals };
  readonly placed: { readonly baseline: AnswerTotals; readonly candidate: AnswerTotals };
  /** Plain JSON from which a judge resumes. */
  save(): unknown;
  close(): void;
}

/** The plan's rules, without I/O. */
export interface Planner {
  /** What the rollout of a release is after this configuration; `known` are its states so far, the newest first. */
  reconcile(spec: Pick<ReleaseSpec, "name" | "rollout">, known: readonly RolloutState[], nowMs: number): Reconciled;
  /** What time and evidence change. The same state object if they change nothing. */
  advance(spec: RolloutSpec, state: RolloutState, seen: Seen, nowMs: number): Move;
  /** What a failed check changes, as `onFail` says. */
  fail(spec: RolloutSpec, state: RolloutState, check: CheckResult, nowMs: number): Move;
  apply(spec: RolloutSpec, state: RolloutState, verb: Verb, by: Cause, nowMs: number): Move | Refusal;
  trafficOf(state: RolloutState): RolloutTraffic | undefined;
  steps(spec: RolloutSpec, state: RolloutState): RolloutStatus["steps"];
  sentence(spec: RolloutSpec, state: RolloutState, checks: readonly CheckResult[], nowMs: number): string;
}

export interface Seen {
  readonly stepUsers: number;
  readonly checks: readonly CheckResult[];
  /** Whether all gates let this step begin (from 1). To be asked once nothing else is in its way. */
  readonly mayBegin: (step: number) => boolean;
}

export interface Cause {
  readonly by: string;
  readonly why: string;
}

/** Without events, nothing has to be saved at once. */
export interface Move {
  readonly state: RolloutState;
  readonly events: readonly EventDraft[];
}

export type EventDraft = Pick<RolloutEvent, "type" | "by" | "why">;

export interface Refusal {
  readonly kind: "refused";
  readonly message: string;
}

/** `kept`: as it was. `none`: no rollout runs, and the state, if any, belongs to a removed rollout. */
export type Reconciled = Refusal | ({ readonly kind: "moved" } & Move) | { readonly kind: "none" };
