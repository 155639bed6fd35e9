import { isDeepStrictEqual } from "node:util";
import type { ReleaseSpec } from "../decide/release-spec.ts";
import type { RolloutReport } from "../observe/rollout/rollout-report.ts";
import type { Directions } from "../observe/rollout/rollout-taps.ts";
import type { Cause, ControllerParts, Initial, Move, RolloutPreparation } from "./controller-parts.ts";
import { EventJournal, RollbackCounts } from "./event-journal.ts";
import {
  type CheckResult,
  isOver,
  isWithdrawn,
  type RolloutEvent,
  type RolloutState,
  type SplitOverride,
} from "./rollout-state.ts";
import {
  type Change,
  type ChangeAnswer,
  conflict,
  notSaved,
  type RolloutStatus,
  type Rollouts,
  refused,
  type SplitAnswer,
  type Verb,
} from "./rollouts-api.ts";
import { SerialQueue, StateKeeper } from "./state-keeper.ts";
import { splitsUnder, type Takeover, takeoverOf, unsaved, withdraws, withWithdrawn } from "./takeover.ts";
import {
  evidenceOfNewest,
  judgeKey,
  type Running,
  remembered,
  splitProblem,
  statusOf,
  trafficOf,
  type World,
  worldOf,
} from "./world.ts";

/** How often time and evidence are looked at; a plane's reports are judged as they come. */
const lookMs = 1_000;
const byPerch = "perch";

const endOfSplit = {
  type: "split",
  by: "configuration",
  why: "the configuration ends the split that an operator set",
} as const;

/** Of saving a change. `superseded`: a withdrawal came meanwhile, which makes it a new question. */
type Outcome = "saved" | "not-saved" | "superseded";

/**
 * Runs the rollouts of all releases. Every change is saved before it is acted on, except a withdrawal: that acts at
 * once and is saved after, however often that must be tried.
 */
export class RolloutController implements Rollouts {
  readonly #parts: ControllerParts;
  readonly #queue = new SerialQueue();
  readonly #keeper: StateKeeper;
  readonly #events: EventJournal;
  readonly #rollbacks = new RollbackCounts();
  #world: World;
  #releases: ReadonlyMap<string, ReleaseSpec> = new Map();
  #running: ReadonlyMap<string, Running> = new Map();
  /** A withdrawal that the file does not have yet. */
  #unsaved = false;
  /** The configuration was taken over, but what it changes could not be saved. */
  #takeAgain = false;
  #looking = false;
  #closed = false;
  #cancelLook: () => void = () => {};

  constructor(parts: ControllerParts, { saved, problem }: Initial) {
    this.#parts = parts;
    this.#keeper = new StateKeeper(parts, problem);
    const specOf = (release: string) => this.#running.get(release)?.spec;
    this.#events = new EventJournal(saved?.events ?? [], { ...parts, specOf });
    this.#world = worldOf(saved);
    this.#scheduleLook();
  }

  get revision(): number {
    return this.#world.revision;
  }

  /** What every data plane should do now. */
  get directions(): Directions {
    const running = [...this.#running.values()];
    const questions = new Map(running.map(({ state, judge }) => [state.release, judge.questions()]));
    return { traffic: trafficOf(this.#world, running, this.#parts.planner), questions };
  }

  /** A withdrawal acts before this returns. */
  report(report: RolloutReport): void {
    const running = this.#running.get(report.release);
    if (running === undefined || running.spec.id !== report.id) return;
    this.#keeper.noteEvidence();
    const asked = running.judge.questions();
    const failed = running.judge.report(report, this.#parts.nowMs());
    if (running.judge.questions() !== asked) void this.#parts.act(this.directions);
    if (failed !== undefined) this.#fail(running, failed);
  }

  /** Asks whether the rollouts can go on with this configuration. Nothing changes before `commit`. */
  prepare(releases: readonly ReleaseSpec[]): RolloutPreparation {
    const commit = () => {
      this.#withdrawAtOnce(releases);
      return this.#queue.run(() => this.#take(releases));
    };
    return { problems: this.#takeover(releases).problems, commit };
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
        if (outcome === "not-saved") return notSaved(this.#keeper.problem);
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
        if (this.#conflicts(change)) return conflict(this.revision);
        const untilMs = forMs === undefined ? null : this.#parts.nowMs() + forMs;
        const override: SplitOverride = { release, split, untilMs, by: change.by, why: change.why };
        const splits = [...this.#world.splits.filter((other) => other.release !== release), override];
        const outcome = await this.#saveSplits(splits, release, change);
        if (outcome === "saved") return { kind: "done", split: override, revision: this.revision };
        if (outcome === "not-saved") return notSaved(this.#keeper.problem);
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
      if (this.#unsaved || this.#keeper.hasNewEvidence) await this.#saveWorld(this.#world, this.#events.all);
    });
    for (const { judge } of this.#running.values()) judge.close();
  }

  /** The same rollout as it stands now. */
  #current(running: Running): Running {
    return this.#running.get(running.state.release) ?? running;
  }

  #takeover(releases: readonly ReleaseSpec[]): Takeover {
    return takeoverOf(releases, this.#world.rollouts, this.#running, this.#parts);
  }

  /** A rollback by the configuration waits neither for the disk nor for what is being saved. */
  #withdrawAtOnce(releases: readonly ReleaseSpec[]): void {
    const { moves, next } = this.#takeover(releases);
    for (const { state } of next.filter(withdraws)) {
      const running = this.#running.get(state.release);
      const move = moves.find((each) => each.state === state);
      // One that begins with a rollback never had users.
      if (running?.state.id !== state.id || move === undefined) continue;
      void this.#withdraw(running, move, "configuration");
      void this.#queue.run(() => this.#saveUnsaved());
    }
  }

  async #take(releases: readonly ReleaseSpec[]): Promise<void> {
    for (;;) {
      const before = this.#world;
      const { moves, rollouts, next } = this.#takeover(releases);
      const splits = splitsUnder(before.splits, this.#releases, releases);
      const events = this.#eventsOf(
        moves,
        before.splits.filter((split) => !splits.includes(split)),
      );
      const changed = events.length > 0 || rollouts !== before.rollouts;
      const world = changed ? { ...before, rollouts, splits, revision: before.revision + 1 } : before;
      const isSaved = !changed || (await this.#saveWorld(world, this.#events.with(events)));
      // A withdrawal while this was saved makes it a new question.
      if (this.#world !== before) continue;
      this.#takeAgain = !isSaved;
      const withdrawn = next.filter(withdraws).map(({ state }) => state);
      for (const { release } of withdrawn) this.#rollbacks.add(release, "configuration");
      const happened = isSaved
        ? events
        : this.#eventsOf(
            moves.filter(({ state }) => withdrawn.includes(state)),
            [],
          );
      this.#unsaved ||= !isSaved && withdrawn.length > 0;
      const running = next.map((each) =>
        isSaved ? each : unsaved(each, this.#running.get(each.state.release), this.#keeper.problem),
      );
      const now = isSaved ? world : withWithdrawn(before, withdrawn);
      this.#world = { ...now, parked: evidenceOfNewest(now.rollouts, this.#evidence()) };
      const ended = this.#running;
      this.#run(running);
      this.#releases = new Map(releases.map((spec) => [spec.name, spec]));
      this.#events.publish(happened, (release) => (this.#running.get(release) ?? ended.get(release))?.spec);
      return;
    }
  }

  /** Of a configuration. */
  #eventsOf(moves: readonly Move[], ended: readonly SplitOverride[]): readonly RolloutEvent[] {
    const checksOf = (release: string) => this.#running.get(release)?.judge.checks() ?? [];
    const events: RolloutEvent[] = [];
    for (const move of moves) events.push(...this.#events.of(move, checksOf(move.state.release), events.length));
    const ends = ended.map(({ release }, at) =>
      this.#events.one(release, this.#running.get(release)?.state, endOfSplit, [], events.length + at),
    );
    return [...events, ...ends];
  }

  /** Judges what runs from now on: an unchanged plan by the same judge, so that what it asks others has no gap. */
  #run(next: readonly (Omit<Running, "judge"> & { readonly before: RolloutState | undefined })[]): void {
    const old = this.#running;
    const running = new Map<string, Running>();
    for (const { spec, state, before } of next) {
      const known = old.get(state.release);
      const isSame = known !== undefined && isDeepStrictEqual(known.spec, spec);
      const saved = this.#world.parked.get(judgeKey(state));
      const judge = isSame ? known.judge : this.#parts.judge(state.release, spec, saved, () => this.#look());
      if (state.step !== (before?.step ?? -1)) judge.beginStep(state.step);
      if (isOver(state)) judge.close();
      running.set(state.release, { spec, state, judge });
    }
    this.#running = running;
    const judges = new Set(Array.from(running.values(), ({ judge }) => judge));
    for (const { judge } of old.values()) if (!judges.has(judge)) judge.close();
  }

  #ask(
    release: string,
    verb: Verb,
    change: Change,
  ): { kind: "moved"; running: Running; move: Move } | Extract<ChangeAnswer, { kind: "refused" }> {
    const running = this.#running.get(release);
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
    if (changed) {
      const acted = this.#withdraw(asked.running, asked.move, "operator");
      await this.#queue.run(() => this.#saveUnsaved());
      await acted;
    }
    return { kind: "done", status: this.#status(this.#current(asked.running)), changed };
  }

  #fail(running: Running, check: CheckResult): void {
    const current = this.#current(running);
    const move = this.#parts.planner.fail(current.spec, current.state, check, this.#parts.nowMs());
    if (move.state === current.state) return;
    if (isWithdrawn(move.state)) {
      void this.#withdraw(current, move, check.metric);
      void this.#queue.run(() => this.#saveUnsaved());
    } else if (!this.#looking) this.#look();
  }

  /** Acts first: whoever asks from now on does not meet the candidate. */
  #withdraw(running: Running, move: Move, reason: string): Promise<void> {
    const { release } = move.state;
    this.#install(running, move.state, this.#world.revision + 1);
    const acted = this.#parts.act(this.directions);
    this.#unsaved = true;
    this.#rollbacks.add(release, reason);
    this.#events.publish(this.#events.of(move, running.judge.checks()));
    return acted;
  }

  #install(running: Running, state: RolloutState, revision: number): void {
    this.#world = { ...this.#world, revision, rollouts: remembered(this.#world.rollouts, state) };
    this.#running = new Map(this.#running).set(state.release, { ...running, state });
    if (state.step !== running.state.step) running.judge.beginStep(state.step);
    if (isOver(state)) running.judge.close();
  }

  #saveThenAct(running: Running, move: Move): Promise<Outcome> {
    const { revision, rollouts } = this.#world;
    const world = { ...this.#world, rollouts: remembered(rollouts, move.state), revision: revision + 1 };
    const events = this.#events.of(move, running.judge.checks());
    return this.#commit(world, events, () => this.#install(running, move.state, world.revision));
  }

  #saveSplits(splits: readonly SplitOverride[], release: string, { by, why }: Cause): Promise<Outcome> {
    const world = { ...this.#world, splits, revision: this.#world.revision + 1 };
    const state = this.#running.get(release)?.state;
    const event = this.#events.one(release, state, { type: "split", by, why }, []);
    return this.#commit(world, [event], () => {
      this.#world = world;
    });
  }

  /** Saves a change, then makes it so. */
  async #commit(world: World, events: readonly RolloutEvent[], make: () => void): Promise<Outcome> {
    const before = this.#world;
    const isSaved = await this.#saveWorld(world, this.#events.with(events));
    if (this.#world !== before) return "superseded";
    if (!isSaved) return "not-saved";
    make();
    const acted = this.#parts.act(this.directions);
    this.#events.publish(events);
    await acted;
    return "saved";
  }

  #saveWorld(world: World, events: readonly RolloutEvent[]): Promise<boolean> {
    return this.#keeper.save(world, events, this.#evidence());
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
    if (this.#closed) return;
    this.#scheduleLook();
    for (const running of this.#running.values()) {
      const failed = running.judge.look(this.#parts.nowMs());
      if (failed !== undefined && running.spec.onFail === "rollback") this.#fail(running, failed);
      this.#events.publish(this.#events.ofWarnings(this.#current(running)));
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
    await this.#saveUnsaved();
    if (this.#takeAgain) {
      await this.#take([...this.#releases.values()]);
      if (this.#takeAgain) return;
      await this.#parts.act(this.directions);
    }
    await this.#endSplits();
    for (const release of [...this.#running.keys()]) await this.#advanceOne(release);
    if (this.#keeper.isSaveDue) await this.#saveWorld(this.#world, this.#events.all);
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
      this.#keeper.noteEvidence();
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

  #conflicts({ ifRevision }: Change): boolean {
    return ifRevision !== undefined && ifRevision !== this.revision;
  }

  #status(running: Running): RolloutStatus {
    const { planner, nowMs } = this.#parts;
    return statusOf(running, planner, { revision: this.revision, problem: this.#keeper.problem, nowMs: nowMs() });
  }
}
