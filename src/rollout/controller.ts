import type { ReleaseSpec } from "../decide/release-spec.ts";
import type { RolloutReport } from "../observe/rollout/rollout-report.ts";
import type { Directions } from "../observe/rollout/rollout-taps.ts";
import type { ControllerParts, Initial, Move, RolloutPreparation, RolloutRunner } from "./controller-parts.ts";
import { Ledger } from "./ledger.ts";
import { inWords } from "./plan/steps.ts";
import {
  type CheckResult,
  isWithdrawn,
  type RolloutEvent,
  type RolloutState,
  type SplitOverride,
} from "./rollout-state.ts";
import {
  type Change,
  type ChangeAnswer,
  conflict,
  notKnown,
  notSaved,
  type RolloutStatus,
  type Rollouts,
  refused,
  type SplitAnswer,
  type Verb,
} from "./rollouts-api.ts";
import { SerialQueue } from "./state-keeper.ts";
import { withdraws } from "./takeover.ts";
import { type Running, splitProblem, statusOf } from "./world.ts";

/** How often time and evidence are looked at; a plane's reports are judged as they come. */
const lookMs = 1_000;
const byPerch = "perch";

/** Runs the rollouts of all releases: by what people ask, by what planes report, by time, and by the configuration. */
export class RolloutController implements RolloutRunner {
  readonly #parts: ControllerParts;
  readonly #queue = new SerialQueue();
  readonly #ledger: Ledger;
  /** The configuration was taken over, but what it changes could not be saved. */
  #takeAgain = false;
  #looking = false;
  #closed = false;
  #cancelLook: () => void = () => {};

  constructor(parts: ControllerParts, initial: Initial) {
    this.#parts = parts;
    this.#ledger = new Ledger(parts, initial, () => this.#look());
    this.#scheduleLook();
  }

  get revision(): number {
    return this.#ledger.revision;
  }

  /** As it is now, saved or not. */
  get states(): readonly RolloutState[] {
    return this.#ledger.states;
  }

  /** As of the ledger: what others may have seen of it already. */
  get openRevision(): number | undefined {
    return this.#ledger.openRevision;
  }

  /** What every data plane should do now. */
  get directions(): Directions {
    return this.#ledger.directions;
  }

  /** A withdrawal acts before this returns. */
  report(report: RolloutReport): void {
    const running = this.#ledger.running.get(report.release);
    if (running === undefined || running.spec.id !== report.id) return;
    this.#ledger.noteEvidence();
    const asked = running.judge.questions();
    const failed = running.judge.report(report, this.#parts.nowMs());
    if (running.judge.questions() !== asked) void this.#ledger.act();
    if (failed !== undefined) this.#fail(running, failed);
  }

  /** Checks whether the rollouts can continue with this configuration. Nothing changes before `commit`. */
  prepare(releases: readonly ReleaseSpec[]): RolloutPreparation {
    const commit = () => {
      this.#withdrawAtOnce(releases);
      return this.#queue.run(() => this.#take(releases));
    };
    return { problems: this.#ledger.takeoverOf(releases).problems, commit };
  }

  all(): readonly RolloutStatus[] {
    return Array.from(this.#ledger.running.values(), (running) => this.#status(running));
  }

  of(release: string): RolloutStatus | undefined {
    const running = this.#ledger.running.get(release);
    return running && this.#status(running);
  }

  async change(release: string, verb: Verb, change: Change): Promise<ChangeAnswer> {
    if (verb === "rollback") return this.#rollBack(release, change);
    return this.#queue.run(async () => {
      for (;;) {
        const asked = this.#ask(release, verb, change);
        if (asked.kind !== "moved") return asked;
        const { running, move } = asked;
        if (move.state === running.state) return this.#done(running, false);
        const outcome = await this.#ledger.change(running, move);
        if (outcome === "saved") return this.#done(running, true);
        if (outcome === "not-saved") return notSaved(this.#ledger.problem);
        if (outcome === "unknown") return notKnown(this.#ledger.problem);
      }
    });
  }

  async setSplit(
    release: string,
    split: Readonly<Record<string, number>>,
    forMs: number | undefined,
    change: Change,
  ): Promise<SplitAnswer> {
    return this.#queue.run(async () => {
      const spec = this.#ledger.releases.get(release);
      if (spec === undefined) return refused("no-rollout", `there is no release ${release}`);
      const problem = splitProblem(spec.versions, split, forMs);
      if (problem !== undefined) return refused("invalid", problem);
      for (;;) {
        if (this.#conflicts(change)) return conflict(this.revision);
        const untilMs = forMs === undefined ? null : this.#parts.nowMs() + forMs;
        const override: SplitOverride = { release, split, untilMs, by: change.by, why: change.why };
        const others = this.splits().filter((other) => other.release !== release);
        const told = `${splitText(split, forMs)}: ${change.why}`;
        const outcome = await this.#ledger.changeSplits([...others, override], release, { by: change.by, why: told });
        if (outcome === "saved") return { kind: "done", split: override, revision: this.revision };
        if (outcome === "not-saved") return notSaved(this.#ledger.problem);
        if (outcome === "unknown") return notKnown(this.#ledger.problem);
      }
    });
  }

  async endSplit(release: string, change: Change): Promise<SplitAnswer> {
    return this.#queue.run(async () => {
      for (;;) {
        const split = this.splits().find((other) => other.release === release);
        if (split === undefined) return refused("no-rollout", `release ${release} has no split that an operator set`);
        if (this.#conflicts(change)) return conflict(this.revision);
        const rest = this.splits().filter((other) => other !== split);
        const told = `the split set by hand ends, and the configured one holds again: ${change.why}`;
        const outcome = await this.#ledger.changeSplits(rest, release, { by: change.by, why: told });
        if (outcome === "saved") return { kind: "done", split, revision: this.revision };
        if (outcome === "not-saved") return notSaved(this.#ledger.problem);
        if (outcome === "unknown") return notKnown(this.#ledger.problem);
      }
    });
  }

  splits(): readonly SplitOverride[] {
    return this.#ledger.splits;
  }

  eventsAfter(id: number): readonly RolloutEvent[] {
    return this.#ledger.events.after(id);
  }

  subscribe(listener: (event: RolloutEvent) => void): () => void {
    return this.#ledger.events.subscribe(listener);
  }

  rollbacks(): ReturnType<Rollouts["rollbacks"]> {
    return this.#ledger.rollbacks.all();
  }

  /** What was saved is gone. */
  saveSoon(): void {
    this.#ledger.noteEvidence();
  }

  /** What was saved cannot be used any more: rollouts hold. */
  troubled(problem: string): void {
    this.#ledger.troubled(problem);
  }

  /** Saves what is not saved yet, and stops. */
  async close(): Promise<void> {
    this.#end();
    await this.#queue.run(async () => {
      await this.#ledger.saveLast();
      this.#ledger.close();
    });
  }

  /** Stops without saving: another process has the state from here on. */
  abandon(): void {
    this.#end();
    this.#ledger.close();
  }

  #end(): void {
    this.#closed = true;
    this.#cancelLook();
  }

  async #take(releases: readonly ReleaseSpec[]): Promise<void> {
    this.#takeAgain = !(await this.#ledger.take(releases));
  }

  /** A rollback by the configuration waits neither for the disk nor for what is being saved. */
  #withdrawAtOnce(releases: readonly ReleaseSpec[]): void {
    const { moves, next } = this.#ledger.takeoverOf(releases);
    for (const { state } of next.filter(withdraws)) {
      const running = this.#ledger.running.get(state.release);
      const move = moves.find((each) => each.state === state);
      // One that begins with a rollback never had users.
      if (running?.state.id === state.id && move !== undefined) void this.#withdraw(running, move, "configuration");
    }
  }

  #ask(
    release: string,
    verb: Verb,
    change: Change,
  ): { kind: "moved"; running: Running; move: Move } | Extract<ChangeAnswer, { kind: "refused" }> {
    const running = this.#ledger.running.get(release);
    if (running === undefined) return refused("no-rollout", `release ${release} has no rollout`);
    if (this.#conflicts(change)) return conflict(this.revision);
    const move = this.#parts.planner.apply(running.spec, running.state, verb, change, this.#parts.nowMs());
    if ("message" in move) return refused("wrong-phase", move.message);
    return { kind: "moved", running, move };
  }

  async #rollBack(release: string, change: Change): Promise<ChangeAnswer> {
    const asked = this.#ask(release, "rollback", change);
    if (asked.kind !== "moved") return asked;
    const changed = asked.move.state !== asked.running.state;
    if (changed) await this.#withdraw(asked.running, asked.move, "operator");
    return this.#done(asked.running, changed);
  }

  #done(running: Running, changed: boolean): ChangeAnswer {
    return { kind: "done", status: this.#status(this.#ledger.current(running)), changed };
  }

  #fail(running: Running, check: CheckResult): void {
    const current = this.#ledger.current(running);
    const move = this.#parts.planner.fail(current.spec, current.state, check, this.#parts.nowMs());
    if (move.state === current.state) return;
    if (isWithdrawn(move.state)) void this.#withdraw(current, move, check.metric);
    else if (!this.#looking) this.#look();
  }

  /** Acts before this returns; resolves once every plane follows, and the store was asked to save it. */
  async #withdraw(running: Running, move: Move, reason: string): Promise<void> {
    const acted = this.#ledger.withdraw(running, move, reason);
    await this.#queue.run(() => this.#ledger.saveWithdrawals());
    await acted;
  }

  #scheduleLook(): void {
    this.#cancelLook();
    if (this.#closed) return;
    this.#cancelLook = this.#parts.schedule(lookMs, () => this.#look());
  }

  #look(): void {
    if (this.#closed) return;
    this.#scheduleLook();
    const { running: all, events } = this.#ledger;
    for (const running of all.values()) {
      const failed = running.judge.look(this.#parts.nowMs());
      if (failed !== undefined && running.spec.onFail === "rollback") this.#fail(running, failed);
      // Those of a change that is being saved have the next numbers.
      if (this.openRevision === undefined) events.publish(events.ofWarnings(this.#ledger.current(running)));
    }
    if (this.#looking) return;
    this.#looking = true;
    void this.#queue
      .run(() => this.#advance())
      .catch((error: unknown) => this.#parts.log.error({ err: error }, "a rollout could not be advanced"))
      .finally(() => {
        this.#looking = false;
      });
  }

  async #advance(): Promise<void> {
    // What was decided before a check failed is not made after it: the state of now is saved over it.
    if (this.openRevision !== undefined && this.#isFailing && this.#ledger.dropUnsettled()) this.#takeAgain = true;
    if (!(await this.#ledger.settle())) return;
    await this.#ledger.saveWithdrawals();
    if (this.#takeAgain) {
      await this.#take([...this.#ledger.releases.values()]);
      if (this.#takeAgain) return;
      await this.#ledger.act();
    }
    await this.#endSplits();
    for (const release of [...this.#ledger.running.keys()]) await this.#advanceOne(release);
    await this.#ledger.saveIfDue();
  }

  get #isFailing(): boolean {
    const { planner, nowMs } = this.#parts;
    return [...this.#ledger.running.values()].some(({ spec, state, judge }) => {
      const failed = judge.look(nowMs());
      return failed !== undefined && planner.fail(spec, state, failed, nowMs()).state !== state;
    });
  }

  async #advanceOne(release: string): Promise<void> {
    const running = this.#ledger.running.get(release);
    if (running === undefined) return;
    const { planner, nowMs } = this.#parts;
    const { spec, state, judge } = running;
    const failed = judge.look(nowMs());
    const mayBegin = (step: number) => judge.mayBegin(step);
    const seen = { stepUsers: judge.stepUsers.candidate, checks: judge.checks(), mayBegin };
    const failing = failed && planner.fail(spec, state, failed, nowMs());
    if (failed !== undefined && failing !== undefined && isWithdrawn(failing.state)) {
      this.#fail(running, failed);
      return;
    }
    // A failure that an operator has seen and resumed after has no further effect.
    const isNews = failing !== undefined && failing.state !== state;
    const move = isNews ? failing : planner.advance(spec, state, seen, nowMs());
    if (move.state === state) return;
    if (move.events.length === 0) this.#ledger.count(running, move.state);
    else await this.#ledger.change(running, move);
  }

  async #endSplits(): Promise<void> {
    const now = this.#parts.nowMs();
    const ended = this.splits().filter(({ untilMs }) => untilMs !== null && untilMs <= now);
    for (const { release } of ended) {
      const rest = this.splits().filter((split) => split.release !== release);
      const why = "the split that an operator set has expired: the configured one applies again";
      await this.#ledger.changeSplits(rest, release, { by: byPerch, why });
    }
  }

  #conflicts({ ifRevision }: Change): boolean {
    return ifRevision !== undefined && ifRevision !== this.revision;
  }

  #status(running: Running): RolloutStatus {
    const { planner, nowMs } = this.#parts;
    return statusOf(running, planner, { revision: this.revision, problem: this.#ledger.problem, nowMs: nowMs() });
  }
}

/** Such as `split set to canary 60, stable 40 for 1 hour`. */
function splitText(split: Readonly<Record<string, number>>, forMs: number | undefined): string {
  const weights = Object.entries(split).map(([version, weight]) => `${version} ${weight}`);
  return `split set to ${weights.join(", ")}${forMs === undefined ? "" : ` for ${inWords(forMs)}`}`;
}
