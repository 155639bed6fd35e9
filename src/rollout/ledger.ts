import { isDeepStrictEqual } from "node:util";
import type { ReleaseSpec } from "../decide/release-spec.ts";
import type { Directions } from "../observe/rollout/rollout-taps.ts";
import type { Cause, ControllerParts, Initial, Move } from "./controller-parts.ts";
import { EventJournal, RollbackCounts } from "./event-journal.ts";
import { isOver, type RolloutEvent, type RolloutState, type SplitOverride } from "./rollout-state.ts";
import type { Saving } from "./state/state-store.ts";
import { StateKeeper } from "./state-keeper.ts";
import { splitsUnder, type Takeover, takeoverOf, unsaved, withdraws, withWithdrawn } from "./takeover.ts";
import { evidenceOfNewest, judgeKey, type Running, remembered, trafficOf, type World, worldOf } from "./world.ts";

/**
 * The outcome of saving a change. `superseded`: another came first, such as a withdrawal, so the change must be decided
 * again. `unknown`: it may be saved, and is made once it is.
 */
export type Outcome = "saved" | "not-saved" | "superseded" | "unknown";

interface Unsettled {
  readonly world: World;
  readonly events: readonly RolloutEvent[];
  readonly make: () => void;
}

const endOfSplit = {
  type: "split",
  by: "configuration",
  why: "the configuration ends the split that an operator set",
} as const;

/**
 * What is so: the rollouts, those that run, and the splits of operators. Every change is saved, then acted on and told;
 * a withdrawal is acted on at once and saved after. One change at a time, except for withdrawals.
 */
export class Ledger {
  readonly rollbacks = new RollbackCounts();
  readonly events: EventJournal;
  readonly #parts: ControllerParts;
  readonly #keeper: StateKeeper;
  readonly #othersAnswered: () => void;
  #world: World;
  #releases: ReadonlyMap<string, ReleaseSpec> = new Map();
  #running: ReadonlyMap<string, Running> = new Map();
  /** The highest that a content has had, also one that could not be saved: somebody may know it by that. */
  #lastRevision: number;
  /** A withdrawal that the store does not have yet. */
  #unsaved = false;
  /** A change that the store may have or not. */
  #unsettled: Unsettled | undefined;
  #openRevision: number | undefined;

  /** `othersAnswered`: others that a judge asks have answered. */
  constructor(parts: ControllerParts, { saved, problem, lastRevision = 0 }: Initial, othersAnswered: () => void) {
    this.#parts = parts;
    this.#othersAnswered = othersAnswered;
    this.#keeper = new StateKeeper(parts, problem);
    const specOf = (release: string) => this.#running.get(release)?.spec;
    this.events = new EventJournal(saved?.events ?? [], { ...parts, specOf });
    this.#world = worldOf(saved);
    this.#lastRevision = Math.max(this.revision, lastRevision);
  }

  get revision(): number {
    return this.#world.revision;
  }

  /** The revision that is being saved, or may be saved without this process knowing. */
  get openRevision(): number | undefined {
    return this.#openRevision;
  }

  get splits(): readonly SplitOverride[] {
    return this.#world.splits;
  }

  /** Each release's newest first. */
  get states(): readonly RolloutState[] {
    return this.#world.rollouts;
  }

  /** Those of the configuration. */
  get releases(): ReadonlyMap<string, ReleaseSpec> {
    return this.#releases;
  }

  /** By release. */
  get running(): ReadonlyMap<string, Running> {
    return this.#running;
  }

  /** Why the state cannot be saved or used; undefined if all is well. */
  get problem(): string | undefined {
    return this.#keeper.problem;
  }

  /** What every data plane should do now. */
  get directions(): Directions {
    const running = [...this.#running.values()];
    const questions = new Map(running.map(({ state, judge }) => [state.release, judge.questions()]));
    return { traffic: trafficOf(this.#world, running, this.#parts.planner), questions };
  }

  /** The same rollout as it stands now. */
  current(running: Running): Running {
    return this.#running.get(running.state.release) ?? running;
  }

  troubled(problem: string): void {
    this.#keeper.troubled(problem);
  }

  noteEvidence(): void {
    this.#keeper.noteEvidence();
  }

  act(): Promise<void> {
    return this.#parts.act(this.directions);
  }

  /** Whoever asks from now on does not meet the candidate. */
  withdraw(running: Running, move: Move, reason: string): Promise<void> {
    this.#install(running, move.state, this.#nextRevision());
    this.#unsettled = undefined;
    const acted = this.act();
    this.#unsaved = true;
    this.rollbacks.add(move.state.release, reason);
    this.events.publish(this.events.of(move, running.judge.checks()));
    return acted;
  }

  change(running: Running, move: Move): Promise<Outcome> {
    const revision = this.#nextRevision();
    const rollouts = remembered(this.#world.rollouts, move.state);
    const events = this.events.of(move, running.judge.checks());
    return this.#commit({ ...this.#world, rollouts, revision }, events, () =>
      this.#install(this.current(running), { ...move.state, countedAtMs: this.#parts.nowMs() }, revision),
    );
  }

  changeSplits(splits: readonly SplitOverride[], release: string, { by, why }: Cause): Promise<Outcome> {
    const world = { ...this.#world, splits, revision: this.#nextRevision() };
    const event = this.events.one(release, this.#running.get(release)?.state, { type: "split", by, why }, []);
    return this.#commit(world, [event], () => {
      this.#world = { ...this.#world, splits, revision: world.revision };
    });
  }

  /** Elapsed time alone is not saved at once, but with the next change or with the evidence. */
  count(running: Running, state: RolloutState): void {
    this.#install(running, state, this.revision);
    this.noteEvidence();
  }

  takeoverOf(releases: readonly ReleaseSpec[]): Takeover {
    return takeoverOf(releases, this.#world.rollouts, this.#running, this.#parts);
  }

  /** Takes a configuration over. Returns whether what it changes is saved; else only its withdrawals are so. */
  async take(releases: readonly ReleaseSpec[]): Promise<boolean> {
    for (;;) {
      const isSettled = await this.settle();
      const before = this.#world;
      const { moves, rollouts, next } = this.takeoverOf(releases);
      const splits = splitsUnder(before.splits, this.#releases, releases);
      const ended = before.splits.filter((split) => !splits.includes(split));
      const events = this.#eventsOf(moves, ended);
      const changed = events.length > 0 || rollouts !== before.rollouts || this.#isBehind;
      const world = changed ? { ...before, rollouts, splits, revision: this.#nextRevision() } : before;
      const isSaved = !changed || (isSettled && (await this.#save(world, this.events.with(events))) === "saved");
      // A withdrawal while this was saved makes it a new question.
      if (this.#world !== before) continue;
      const withdrawn = next.filter(withdraws).map(({ state }) => state);
      for (const { release } of withdrawn) this.rollbacks.add(release, "configuration");
      if (!isSaved) this.#unsettled = undefined;
      if (!isSaved && withdrawn.length > 0) this.#unsaved = true;
      const ofWithdrawn = moves.filter(({ state }) => withdrawn.includes(state));
      const happened = isSaved ? events : this.#eventsOf(ofWithdrawn, []);
      const whyWaiting = `waits: its state cannot be saved (${this.problem ?? "unknown"})`;
      const running = next.map((each) =>
        isSaved ? each : unsaved(each, this.#running.get(each.state.release), whyWaiting),
      );
      const now = isSaved ? world : withWithdrawn(before, withdrawn, () => this.#nextRevision());
      this.#world = { ...now, parked: evidenceOfNewest(now.rollouts, this.#evidence()) };
      const old = this.#running;
      this.#run(running);
      this.#releases = new Map(releases.map((spec) => [spec.name, spec]));
      this.events.publish(happened, (release) => (this.#running.get(release) ?? old.get(release))?.spec);
      return isSaved;
    }
  }

  /** A change that may be saved or not is not made any more. Returns whether there was one: then save what is so now. */
  dropUnsettled(): boolean {
    const had = this.#unsettled !== undefined;
    this.#unsettled = undefined;
    return had;
  }

  /** Saves once more what may be saved or not. Returns whether all is known. */
  async settle(): Promise<boolean> {
    const unsettled = this.#unsettled;
    if (unsettled === undefined) return true;
    const { world, events, make } = unsettled;
    return (await this.#tryCommit(world, events, make)) !== "unknown";
  }

  /** Saves a withdrawal that the store does not have yet. */
  async saveWithdrawals(): Promise<void> {
    if (!this.#unsaved || !(await this.#maySave())) return;
    const before = this.#world;
    if ((await this.#save(before, this.events.all)) === "saved" && this.#world === before) this.#unsaved = false;
  }

  async saveIfDue(): Promise<void> {
    if (this.#keeper.isSaveDue && (await this.#maySave())) await this.#save(this.#world, this.events.all);
  }

  /** Saves what is not saved yet. Judging has ended. */
  async saveLast(): Promise<void> {
    if (!(await this.settle())) return;
    // What the store may have is not so.
    if (this.#isBehind) this.#world = { ...this.#world, revision: this.#nextRevision() };
    if (this.#unsaved || this.#keeper.hasNewEvidence) await this.#save(this.#world, this.events.all);
  }

  close(): void {
    for (const { judge } of this.#running.values()) judge.close();
  }

  async #commit(world: World, events: readonly RolloutEvent[], make: () => void): Promise<Outcome> {
    // It was decided on what is so now, and is saved over a change that may have been saved: its revision is higher. What is
    // of before a configuration must not be written over that.
    if (!this.dropUnsettled() && this.#isBehind) return "not-saved";
    return this.#tryCommit(world, events, make);
  }

  async #tryCommit(world: World, events: readonly RolloutEvent[], make: () => void): Promise<Outcome> {
    const before = this.#world;
    const saving = await this.#save(world, this.events.with(events));
    if (this.#world !== before) return "superseded";
    this.#unsettled = saving === "unknown" ? { world, events, make } : undefined;
    if (saving !== "saved") return saving === "unknown" ? saving : "not-saved";
    make();
    const acted = this.act();
    this.events.publish(events);
    await acted;
    return "saved";
  }

  /** Of a new content: never that of another, such as of a step that is being saved while a withdrawal comes first. */
  #nextRevision(): number {
    return ++this.#lastRevision;
  }

  /** Whether the store may have what is not so here yet: what is of before may not be written over it. */
  get #isBehind(): boolean {
    return (this.#openRevision ?? 0) > this.revision;
  }

  async #maySave(): Promise<boolean> {
    return (await this.settle()) && !this.#isBehind;
  }

  async #save(world: World, events: readonly RolloutEvent[]): Promise<Saving["kind"]> {
    this.#openRevision = world.revision;
    const saving = await this.#keeper.save(world, events, this.#evidence());
    if (saving !== "unknown") this.#openRevision = undefined;
    return saving;
  }

  #evidence(): ReadonlyMap<string, unknown> {
    const evidence = new Map(this.#world.parked);
    for (const { state, judge } of this.#running.values()) evidence.set(judgeKey(state), judge.save());
    return evidence;
  }

  #install(running: Running, state: RolloutState, revision: number): void {
    this.#world = { ...this.#world, revision, rollouts: remembered(this.#world.rollouts, state) };
    this.#running = new Map(this.#running).set(state.release, { ...running, state });
    if (state.step !== running.state.step) running.judge.beginStep(state.step);
    if (isOver(state)) running.judge.close();
  }

  /** Judges what runs from now on: an unchanged plan by the same judge, so that what it asks others has no gap. */
  #run(next: Takeover["next"]): void {
    const old = this.#running;
    const running = new Map<string, Running>();
    for (const { spec, state, before } of next) {
      const known = old.get(state.release);
      const isSame = known !== undefined && isDeepStrictEqual(known.spec, spec);
      const saved = this.#world.parked.get(judgeKey(state));
      const judge = isSame ? known.judge : this.#parts.judge(state.release, spec, saved, this.#othersAnswered);
      if (state.step !== (before?.step ?? -1)) judge.beginStep(state.step);
      if (isOver(state)) judge.close();
      running.set(state.release, { spec, state, judge });
    }
    this.#running = running;
    const judges = new Set(Array.from(running.values(), ({ judge }) => judge));
    for (const { judge } of old.values()) if (!judges.has(judge)) judge.close();
  }

  #eventsOf(moves: readonly Move[], ended: readonly SplitOverride[]): readonly RolloutEvent[] {
    const checksOf = (release: string) => this.#running.get(release)?.judge.checks() ?? [];
    const events: RolloutEvent[] = [];
    for (const move of moves) events.push(...this.events.of(move, checksOf(move.state.release), events.length));
    for (const { release } of ended)
      events.push(this.events.one(release, this.#running.get(release)?.state, endOfSplit, [], events.length));
    return events;
  }
}
