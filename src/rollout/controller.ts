import type { ReleaseSpec } from "../decide/release-spec.ts";
import type { TrafficByRelease } from "../decide/release-traffic.ts";
import type { RolloutReport } from "../observe/rollout-report.ts";
import type { Cause, ControllerParts, EventDraft, Move } from "./controller-parts.ts";
import { EventLog, eventOf } from "./event-log.ts";
import { logEvent } from "./log-event.ts";
import { RollbackCounts } from "./rollback-counts.ts";
import type { CheckResult, RolloutEvent, RolloutState, SavedState, SplitOverride } from "./rollout-state.ts";
import type { Change, ChangeAnswer, RolloutStatus, Rollouts, SplitAnswer, Verb } from "./rollouts-api.ts";
import { SerialQueue } from "./serial-queue.ts";
import { splitProblem } from "./split-problem.ts";
import { statusOf } from "./status-of.ts";
import {
  isWithdrawn,
  judgeKey,
  type Running,
  remembered,
  savedStateOf,
  trafficOf,
  type World,
  waiting,
  worldOf,
} from "./world.ts";

/** How often time and evidence are looked at; a plane's reports are judged as they come. */
const lookMs = 1_000;
/** What a crash may lose of the evidence between two transitions. */
const evidenceSaveMs = 10_000;
const byPerch = "perch";

/** What the state file had at the start, or why it could not be read. */
export interface Initial {
  readonly saved: SavedState | undefined;
  readonly problem: string | undefined;
}

/** A configuration that every rollout can go on with; `refused`: the sentences say what to do. */
export type RolloutPreparation =
  | { readonly kind: "refused"; readonly problems: readonly { readonly release: string; readonly message: string }[] }
  | {
      readonly kind: "prepared";
      /** Saves and takes over. The caller then activates the configuration with `traffic`, without waiting between. */
      commit(): Promise<void>;
    };

/**
 * Runs the rollouts of all releases. Every change is saved before it is acted on, except a withdrawal: that acts at
 * once and is saved after, however often that must be tried.
 */
export class RolloutController implements Rollouts {
  readonly #parts: ControllerParts;
  readonly #queue = new SerialQueue();
  readonly #events: EventLog;
  readonly #rollbacks = new RollbackCounts();
  #world: World;
  #releases: ReadonlyMap<string, ReleaseSpec> = new Map();
  #running: ReadonlyMap<string, Running> = new Map();
  #stateProblem: string | undefined;
  /** A withdrawal or evidence that the file does not have yet. */
  #unsaved = false;
  #newEvidence = false;
  /** The configuration was taken over, but what it changes could not be saved. */
  #takeAgain = false;
  #evidenceSavedAtMs: number;
  #looking = false;
  #closed = false;
  #cancelLook: () => void = () => {};

  constructor(parts: ControllerParts, { saved, problem }: Initial) {
    this.#parts = parts;
    this.#events = new EventLog(saved?.events ?? []);
    this.#world = worldOf(saved);
    this.#stateProblem = problem;
    this.#evidenceSavedAtMs = parts.nowMs();
    if (problem !== undefined) parts.log.error({ problem }, "rollouts hold: their state cannot be used");
    this.#scheduleLook();
  }

  get revision(): number {
    return this.#world.revision;
  }

  /** What every data plane should have now. */
  get traffic(): TrafficByRelease {
    return trafficOf(this.#world, this.#running.values(), this.#parts.planner);
  }

  /** A withdrawal acts before this returns. */
  report(report: RolloutReport): void {
    const running = this.#running.get(report.release);
    if (running === undefined || running.spec.id !== report.id) return;
    this.#newEvidence = true;
    const failed = running.judge.report(report, this.#parts.nowMs());
    if (failed !== undefined) this.#fail(running, failed);
  }

  /** Asks whether the rollouts can go on with this configuration. Nothing changes before `commit`. */
  prepare(releases: readonly ReleaseSpec[]): RolloutPreparation {
    const problems = releases.flatMap((spec) => {
      const found = this.#parts.planner.reconcile(spec, this.#known(spec.name), this.#parts.nowMs());
      return found.kind === "refused" ? [{ release: spec.name, message: found.message }] : [];
    });
    if (problems.length > 0) return { kind: "refused", problems };
    return { kind: "prepared", commit: () => this.#queue.run(() => this.#take(releases)) };
  }

  all(): readonly RolloutStatus[] {
    return [...this.#running.values()].map((running) => this.#status(running));
  }

  of(release: string): RolloutStatus | undefined {
    const running = this.#running.get(release);
    return running && this.#status(running);
  }

  async change(release: string, verb: Verb, change: Change): Promise<ChangeAnswer> {
    if (verb === "rollback") return this.#rollBack(release, change);
    return this.#queue.run(async () => {
      // A withdrawal while this was saved makes the question a new one.
      for (;;) {
        const asked = this.#ask(release, verb, change);
        if (asked.kind !== "moved") return asked;
        const { running, move } = asked;
        if (move.state === running.state) return { kind: "done", status: this.#status(running), changed: false };
        const outcome = await this.#saveThenAct(running, move);
        if (outcome === "saved") return { kind: "done", status: this.#status(this.#current(running)), changed: true };
        if (outcome === "not-saved") return this.#notSaved();
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
      const spec = this.#releases.get(release);
      if (spec === undefined) return refused("no-rollout", `there is no release ${release}`);
      const problem = splitProblem(spec.versions, split, forMs);
      if (problem !== undefined) return refused("invalid", problem);
      for (;;) {
        if (this.#conflicts(change)) return this.#conflict();
        const untilMs = forMs === undefined ? null : this.#parts.nowMs() + forMs;
        const override: SplitOverride = { release, split, untilMs, by: change.by, why: change.why };
        const splits = [...this.#world.splits.filter((other) => other.release !== release), override];
        const outcome = await this.#saveSplits(splits, release, change);
        if (outcome === "saved") return { kind: "done", split: override, revision: this.revision };
        if (outcome === "not-saved") return this.#notSaved();
      }
    });
  }

  splits(): readonly SplitOverride[] {
    return this.#world.splits;
  }

  eventsAfter(id: number): readonly RolloutEvent[] {
    return this.#events.after(id);
  }

  subscribe(listener: (event: RolloutEvent) => void): () => void {
    return this.#events.subscribe(listener);
  }

  rollbacks(): ReturnType<Rollouts["rollbacks"]> {
    return this.#rollbacks.all();
  }

  /** Saves what is not saved yet, and stops. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelLook();
    await this.#queue.run(async () => {
      if (this.#unsaved || this.#newEvidence) await this.#saveWorld(this.#world, this.#events.all);
    });
    for (const { judge } of this.#running.values()) judge.close();
  }

  #known(release: string): readonly RolloutState[] {
    return this.#world.rollouts.filter((state) => state.release === release);
  }

  /** The same rollout as it stands now. */
  #current(running: Running): Running {
    return this.#running.get(running.state.release) ?? running;
  }

  async #take(releases: readonly ReleaseSpec[]): Promise<void> {
    const { planner, nowMs, judge } = this.#parts;
    for (;;) {
      const before = this.#world;
      const evidence = this.#evidence();
      let rollouts = before.rollouts;
      const events: RolloutEvent[] = [];
      const next: { spec: NonNullable<ReleaseSpec["rollout"]>; state: RolloutState; isNew: boolean }[] = [];
      for (const spec of releases) {
        const found = planner.reconcile(spec, this.#known(spec.name), nowMs());
        if (found.kind !== "moved") continue;
        const checks = this.#running.get(spec.name)?.judge.checks() ?? [];
        events.push(...this.#eventsOf(found, checks, events.length));
        const isNew = !before.rollouts.includes(found.state);
        if (isNew) rollouts = remembered(rollouts, found.state);
        if (spec.rollout?.id === found.state.id) next.push({ spec: spec.rollout, state: found.state, isNew });
      }
      const changed = events.length > 0 || rollouts !== before.rollouts;
      const world = changed ? { ...before, rollouts, revision: before.revision + 1 } : before;
      const isSaved = !changed || (await this.#saveWorld(world, this.#events.with(events)));
      if (this.#world !== before) continue;
      this.#takeAgain = !isSaved;
      let unsavedWithdrawals = before.rollouts;
      const running = next.map(({ spec, state, isNew }) => {
        const old = before.rollouts.find((known) => judgeKey(known) === judgeKey(state));
        const withdraws = isNew && isWithdrawn(state) && !(old !== undefined && isWithdrawn(old));
        if (withdraws) this.#rollbacks.add(state.release, "configuration");
        if (withdraws && !isSaved) unsavedWithdrawals = remembered(unsavedWithdrawals, state);
        const kept = isSaved || withdraws ? state : (old ?? waiting(state, this.#stateProblem));
        const judging = judge(spec, evidence.get(judgeKey(state)));
        if (kept.step !== (old?.step ?? -1)) judging.beginStep(kept.step);
        return { spec, state: kept, judge: judging };
      });
      for (const old of this.#running.values()) old.judge.close();
      this.#releases = new Map(releases.map((spec) => [spec.name, spec]));
      this.#running = new Map(running.map((each) => [each.state.release, each]));
      this.#world = isSaved
        ? { ...world, parked: evidence }
        : { ...before, rollouts: unsavedWithdrawals, parked: evidence };
      if (isSaved) this.#publish(events);
      return;
    }
  }

  #ask(
    release: string,
    verb: Verb,
    change: Change,
  ): { kind: "moved"; running: Running; move: Move } | Extract<ChangeAnswer, { kind: "refused" }> {
    const running = this.#running.get(release);
    if (running === undefined) return refused("no-rollout", `release ${release} has no rollout`);
    if (this.#conflicts(change)) return this.#conflict();
    const move = this.#parts.planner.apply(running.spec, running.state, verb, change, this.#parts.nowMs());
    if ("message" in move) return refused("wrong-phase", move.message);
    return { kind: "moved", running, move };
  }

  async #rollBack(release: string, change: Change): Promise<ChangeAnswer> {
    const asked = this.#ask(release, "rollback", change);
    if (asked.kind !== "moved") return asked;
    const changed = asked.move.state !== asked.running.state;
    if (changed) {
      this.#withdraw(asked.running, asked.move, operatorReason(change));
      await this.#queue.run(() => this.#saveUnsaved());
    }
    return { kind: "done", status: this.#status(this.#current(asked.running)), changed };
  }

  #fail(running: Running, check: CheckResult): void {
    const current = this.#current(running);
    const move = this.#parts.planner.fail(current.spec, current.state, check, this.#parts.nowMs());
    if (move.state === current.state) return;
    if (isWithdrawn(move.state)) {
      this.#withdraw(current, move, check.metric);
      void this.#queue.run(() => this.#saveUnsaved());
    } else if (!this.#looking) this.#look();
  }

  /** Acts first: whoever asks from now on does not meet the candidate. */
  #withdraw(running: Running, move: Move, reason: string): void {
    const { release } = move.state;
    this.#install(running, move.state, this.#world.revision + 1);
    this.#parts.act(this.traffic);
    this.#unsaved = true;
    this.#rollbacks.add(release, reason);
    this.#publish(this.#eventsOf(move, running.judge.checks()));
  }

  #install(running: Running, state: RolloutState, revision: number): void {
    this.#world = { ...this.#world, revision, rollouts: remembered(this.#world.rollouts, state) };
    this.#running = new Map(this.#running).set(state.release, { ...running, state });
    if (state.step !== running.state.step) running.judge.beginStep(state.step);
  }

  /** `superseded`: a withdrawal came while this was saved. */
  async #saveThenAct(running: Running, move: Move): Promise<"saved" | "not-saved" | "superseded"> {
    const before = this.#world;
    const events = this.#eventsOf(move, running.judge.checks());
    const rollouts = remembered(before.rollouts, move.state);
    const world = { ...before, rollouts, revision: before.revision + 1 };
    const isSaved = await this.#saveWorld(world, this.#events.with(events));
    if (this.#world !== before) {
      this.#unsaved = true;
      return "superseded";
    }
    if (!isSaved) return "not-saved";
    this.#install(running, move.state, world.revision);
    this.#parts.act(this.traffic);
    this.#publish(events);
    return "saved";
  }

  async #saveSplits(splits: readonly SplitOverride[], release: string, cause: Cause) {
    const before = this.#world;
    const state = this.#running.get(release)?.state;
    const event = this.#event(release, state, { type: "split", by: cause.by, why: cause.why }, [], 0);
    const world = { ...before, splits, revision: before.revision + 1 };
    const isSaved = await this.#saveWorld(world, this.#events.with([event]));
    if (this.#world !== before) return "superseded";
    if (!isSaved) return "not-saved";
    this.#world = world;
    this.#parts.act(this.traffic);
    this.#publish([event]);
    return "saved";
  }

  async #saveWorld(world: World, events: readonly RolloutEvent[]): Promise<boolean> {
    const hadEvidence = this.#newEvidence;
    this.#newEvidence = false;
    const saving = await this.#parts.store.save(savedStateOf(world, events, this.#evidence()));
    const problem = saving.kind === "failed" ? saving.why : undefined;
    this.#evidenceSavedAtMs = this.#parts.nowMs();
    if (problem !== undefined) this.#newEvidence ||= hadEvidence;
    const { log } = this.#parts;
    if (problem !== undefined && problem !== this.#stateProblem)
      log.error({ problem }, "rollouts hold: their state cannot be saved; traffic goes on");
    if (problem === undefined && this.#stateProblem !== undefined) log.info("the state of rollouts is saved again");
    this.#stateProblem = problem;
    return problem === undefined;
  }

  async #saveUnsaved(): Promise<void> {
    if (!this.#unsaved) return;
    const before = this.#world;
    if ((await this.#saveWorld(before, this.#events.all)) && this.#world === before) this.#unsaved = false;
  }

  #evidence(): ReadonlyMap<string, unknown> {
    const evidence = new Map(this.#world.parked);
    for (const { state, judge } of this.#running.values()) evidence.set(judgeKey(state), judge.save());
    return evidence;
  }

  #scheduleLook(): void {
    this.#cancelLook();
    if (this.#closed) return;
    this.#cancelLook = this.#parts.schedule(lookMs, () => this.#look());
  }

  #look(): void {
    for (const running of this.#running.values()) {
      const failed = running.judge.look(this.#parts.nowMs());
      if (failed !== undefined && running.spec.onFail === "rollback") this.#fail(running, failed);
    }
    this.#scheduleLook();
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
    await this.#saveUnsaved();
    if (this.#takeAgain) {
      await this.#take([...this.#releases.values()]);
      if (this.#takeAgain) return;
      this.#parts.act(this.traffic);
    }
    await this.#endSplits();
    for (const release of [...this.#running.keys()]) await this.#advanceOne(release);
    const isDue = this.#parts.nowMs() - this.#evidenceSavedAtMs >= evidenceSaveMs;
    if (this.#newEvidence && isDue) await this.#saveWorld(this.#world, this.#events.all);
  }

  async #advanceOne(release: string): Promise<void> {
    const running = this.#running.get(release);
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
    // A failure that somebody has seen and resumed after changes nothing, and stops nothing.
    const isNews = failing !== undefined && failing.state !== state;
    const move = isNews ? failing : planner.advance(spec, state, seen, nowMs());
    if (move.state === state) return;
    // Time that was counted is no change of its own: it is saved with the next one, or with the evidence.
    if (move.events.length === 0) {
      this.#install(running, move.state, this.#world.revision);
      this.#newEvidence = true;
    } else await this.#saveThenAct(running, move);
  }

  async #endSplits(): Promise<void> {
    const now = this.#parts.nowMs();
    const ended = this.#world.splits.filter(({ untilMs }) => untilMs !== null && untilMs <= now);
    for (const { release } of ended) {
      const rest = this.#world.splits.filter((split) => split.release !== release);
      const why = "the time of the split that an operator set is over: the configured one holds again";
      await this.#saveSplits(rest, release, { by: byPerch, why });
    }
  }

  #eventsOf({ state, events }: Move, evidence: readonly CheckResult[], offset = 0): readonly RolloutEvent[] {
    return events.map((draft, index) => this.#event(state.release, state, draft, evidence, offset + index));
  }

  #event(
    release: string,
    state: RolloutState | undefined,
    draft: EventDraft,
    evidence: readonly CheckResult[],
    offset = 0,
  ) {
    return eventOf(draft, { release, state, evidence, id: this.#events.nextId + offset, atMs: this.#parts.nowMs() });
  }

  #publish(events: readonly RolloutEvent[]): void {
    this.#events.add(events);
    for (const event of events) {
      logEvent(this.#parts.log, event);
      const spec = this.#running.get(event.release)?.spec;
      if (spec !== undefined) this.#parts.notify(spec, event);
    }
  }

  #conflicts({ ifRevision }: Change): boolean {
    return ifRevision !== undefined && ifRevision !== this.revision;
  }

  #conflict() {
    return refused("conflict", `the state has changed since: the revision is ${this.revision}; look again first`);
  }

  #notSaved() {
    return refused("not-saved", `nothing changed: the state cannot be saved: ${this.#stateProblem ?? "unknown"}`);
  }

  #status(running: Running): RolloutStatus {
    const { planner, nowMs } = this.#parts;
    return statusOf(running, planner, { revision: this.revision, problem: this.#stateProblem, nowMs: nowMs() });
  }
}

function refused<C extends Extract<ChangeAnswer, { kind: "refused" }>["cause"]>(cause: C, message: string) {
  return { kind: "refused", cause, message } as const;
}

const operatorReason = ({ by }: Change): string => (by === "configuration" ? "configuration" : "operator");
