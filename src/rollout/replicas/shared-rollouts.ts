import type { ReleaseSpec } from "../../decide/release-spec.ts";
import type { RolloutReport } from "../../observe/rollout/rollout-report.ts";
import type { Directions } from "../../observe/rollout/rollout-taps.ts";
import { RolloutController } from "../controller.ts";
import type { ControllerParts, RolloutPreparation, RolloutRunner } from "../controller-parts.ts";
import { RollbackCounts } from "../event-journal.ts";
import type { RolloutEvent, SavedState, SplitOverride } from "../rollout-state.ts";
import type { Change, ChangeAnswer, RolloutStatus, Rollouts, SplitAnswer, Verb } from "../rollouts-api.ts";
import type { Saving } from "../state/state-store.ts";
import { ChangeHandover, type ChangeHandoverParts } from "./change-handover.ts";
import { FollowedRollouts } from "./followed-rollouts.ts";
import { writeQuestions } from "./release-questions.ts";
import type { HandedAnswer, HandedOver, LeaderAnswer, ReplicaMessage } from "./replica-messages.ts";
import { ReportInbox } from "./report-inbox.ts";
import type { ReportOutbox } from "./report-outbox.ts";
import { ToldEvents } from "./told-events.ts";

/** What this replica reaches the others by. */
export interface ReplicaParts {
  /** Of this process. */
  readonly identity: string;
  /** Whether it may lead at this very moment; of a term, whether it may still lead in that. */
  readonly isLeading: (term?: string) => boolean;
  readonly store: SharedStore;
  readonly outbox: ReportOutbox;
  readonly askLeader: ChangeHandoverParts["askLeader"];
  /** Called when an answer that is bad was reported: the leader should know soon. */
  readonly onBadAnswer: () => void;
  /** Called when another has the state although this replica may lead. */
  readonly onFenced: () => void;
}

/** Where the state of all replicas is kept. */
export interface SharedStore {
  /** Keeps all others from saving, and returns what was saved last, or why it cannot be used. May reject. */
  takeOver(term: string): Promise<{ readonly saved: SavedState | undefined; readonly problem: string | undefined }>;
  /** One after the other. `fenced`: another has taken it over. */
  save(state: SavedState): Promise<Saving | { readonly kind: "fenced" }>;
}

/** Who rolls back again what a replica knows was rolled back. */
const byReplica = "perch";

interface Leading {
  readonly term: string;
  readonly controller: RolloutController;
  readonly inbox: ReportInbox;
  /** Keeps the controller from acting once it is not this replica's any more. */
  readonly stop: () => void;
}

/**
 * The rollouts of a release that several replicas serve. One of them leads: it judges what all of them saw, moves the
 * rollouts, and saves that. The others do as the saved state says, and hand over what they saw and what people ask of them.
 */
export class SharedRollouts implements RolloutRunner {
  readonly #parts: Omit<ControllerParts, "store">;
  readonly #replica: ReplicaParts;
  readonly #followed: FollowedRollouts;
  readonly #rollbacks = new RollbackCounts();
  readonly #told = new ToldEvents();
  readonly #handover: ChangeHandover;
  #leading: Leading | undefined;
  /** Rises with each beginning and end: what is of an earlier one may not save any more. */
  #tenure = 0;
  /** What another saved while this replica still led. */
  #missed: { readonly saved: SavedState | undefined; readonly term: string | undefined } | undefined;
  #isClosed = false;

  constructor(parts: Omit<ControllerParts, "store">, replica: ReplicaParts, monotonicMs: () => number) {
    this.#parts = parts;
    this.#replica = replica;
    const { planner, nowMs, schedule } = parts;
    this.#followed = new FollowedRollouts({ planner, nowMs, monotonicMs });
    this.#handover = new ChangeHandover({ askLeader: replica.askLeader, revision: () => this.revision, schedule });
  }

  get isLeading(): boolean {
    return this.#controller !== undefined;
  }

  get revision(): number {
    return this.#controller?.revision ?? this.#followed.revision;
  }

  get directions(): Directions {
    return this.#controller?.directions ?? this.#followed.directions;
  }

  /** Of this replica's data planes. */
  report(report: RolloutReport): void {
    const { outbox, identity, onBadAnswer } = this.#replica;
    const numbered = outbox.add(report);
    const { inbox } = this.#current ?? {};
    if (inbox !== undefined) inbox.take(identity, [numbered]);
    else if (report.sightings.some(({ bad }) => bad !== 0)) onBadAnswer();
  }

  prepare(releases: readonly ReleaseSpec[]): RolloutPreparation {
    const { problems } = this.#controller?.prepare(releases) ?? this.#followed.takeoverOf(releases);
    return {
      problems,
      commit: async () => {
        // Also while it leads, so that nothing changes if it does so no longer.
        this.#followed.take(releases);
        // It may lead only since, or no longer.
        await this.#controller?.prepare(releases).commit();
      },
    };
  }

  /**
   * This replica leads from now on, if it still may once it has the state. One call at a time. Rejects if the state cannot
   * be taken over.
   */
  async lead(term: string): Promise<void> {
    const { store, outbox, identity, isLeading } = this.#replica;
    this.follow();
    const tenure = ++this.#tenure;
    const isOver = () => tenure !== this.#tenure || !isLeading(term) || this.#isClosed;
    const found = await store.takeOver(term);
    if (isOver()) return;
    const { problem } = found;
    // Rollouts hold where they are: nobody moves because of a state that cannot be used.
    const saved = problem === undefined ? found.saved : this.#followed.present;
    // A leader before, or this one, may have told more than it could save.
    const lastRevision = this.#followed.revision;
    if (problem === undefined) this.#followed.begin(saved, term);
    // What the watch has not told of yet.
    this.#publish(saved?.events ?? []);
    let isStopped = false;
    const { schedule, act, notify } = this.#parts;
    const inbox = new ReportInbox(saved?.replicas ?? {}, identity, (report) => controller.report(report));
    const parts: ControllerParts = {
      ...this.#parts,
      store: { save: (state) => this.#save(state, inbox, tenure) },
      schedule: (ms, callback) => schedule(ms, () => this.#whileLeading(term, tenure, callback)),
      act: async (directions) => (isStopped ? undefined : act(directions)),
      notify: (spec, event) => (isStopped ? undefined : notify(spec, event)),
    };
    const initial = { saved: saved && fromNow(saved, parts.nowMs()), problem, lastRevision };
    const controller = new RolloutController(parts, initial);
    const stop = () => {
      isStopped = true;
      controller.abandon();
    };
    let releases: readonly ReleaseSpec[];
    do {
      releases = this.#followed.releases;
      await controller.prepare(releases).commit();
    } while (releases !== this.#followed.releases);
    if (isOver()) {
      stop();
      return;
    }
    // Ends when there is nothing more to take, and not at a number: an older state that was put back may not have what this
    // replica has forgotten since it was saved.
    const ownReports = () => outbox.after(inbox.takenOf(identity));
    for (let reports = ownReports(); reports.length > 0; reports = ownReports()) inbox.take(identity, reports);
    this.#leading = { term, controller, inbox, stop };
    controller.subscribe((event) => this.#publish([event]));
    this.#publish(controller.eventsAfter(0));
    this.#rollBackAgain(this.#followed.withdrawn);
    await this.#parts.act(this.directions);
  }

  /** Another leads from now on, or nobody. What this replica saw and has not saved stays to be handed over. */
  follow(): void {
    this.#tenure++;
    this.#stepDown()?.stop();
  }

  /** Leads no longer, before it has to: saves what is not saved yet. */
  async handOver(): Promise<void> {
    const leading = this.#stepDown();
    await leading?.controller.close();
    this.#tenure++;
    leading?.stop();
  }

  /** The state that is saved now, by this replica or another. */
  adopt(saved: SavedState | undefined, term: string | undefined): void {
    this.#missed = undefined;
    if (this.#leading !== undefined) {
      const { controller } = this.#leading;
      // Somebody has put an older one back, or none.
      if (saved === undefined || saved.revision < controller.revision) controller.saveSoon();
      if (term !== this.#leading.term) this.#missed = { saved, term };
      return;
    }
    if (!this.#followed.adopt(saved, term)) return;
    this.#publish(this.#followed.events);
    this.#changed();
  }

  /** The shared state cannot be used; undefined: it can. */
  troubled(problem: string | undefined): void {
    this.#followed.problem = problem;
    if (problem !== undefined) this.#leading?.controller.troubled(problem);
  }

  /** What the leader answered to this replica's reports. */
  leaderSays(answer: LeaderAnswer): void {
    if (this.#leading !== undefined) return;
    this.#replica.outbox.saved(answer.saved);
    if (this.#followed.leaderSays(answer)) this.#changed();
  }

  /** What a replica reports to this one. Undefined if this one does not lead. */
  heard(message: ReplicaMessage): LeaderAnswer | undefined {
    const leading = this.#current;
    if (leading === undefined) return undefined;
    const { term, controller, inbox } = leading;
    const { replica } = message;
    inbox.take(replica, message.reports);
    this.#rollBackAgain(message.withdrawn);
    const { states, revision, openRevision = revision } = controller;
    // What it saw of a change whose saving is not known yet stays, or it would go back and take the step again.
    const newest = Math.max(revision, openRevision);
    const isKnown = message.term === term && message.revision >= revision && message.revision <= newest;
    return {
      term,
      taken: inbox.takenOf(replica),
      saved: inbox.savedOf(replica),
      statuses: controller.all(),
      questions: Array.from(controller.directions.questions, ([release, asked]) => writeQuestions(release, asked)),
      state: isKnown ? undefined : { revision, rollouts: states, splits: controller.splits() },
    };
  }

  /** Which state this replica follows, and what it knows of it that the leader may not. */
  get followed(): Pick<ReplicaMessage, "term" | "revision" | "withdrawn"> {
    const { term = "", revision, withdrawn } = this.#followed;
    return { term, revision, withdrawn: withdrawn.map(({ release, id, why }) => ({ release, id, why })) };
  }

  /** A change that was asked of another replica. Undefined if this one does not lead. */
  async make(asked: HandedOver): Promise<HandedAnswer | undefined> {
    const controller = this.#controller;
    if (controller === undefined) return undefined;
    const change: Change = { ...asked.change, ifRevision: asked.change.ifRevision };
    if (asked.kind === "change") return controller.change(asked.release, asked.verb, change);
    if (asked.kind === "set-split") return controller.setSplit(asked.release, asked.split, asked.forMs, change);
    return controller.endSplit(asked.release, change);
  }

  all(): readonly RolloutStatus[] {
    return this.#controller?.all() ?? this.#followed.statuses();
  }

  of(release: string): RolloutStatus | undefined {
    const controller = this.#controller;
    return controller === undefined ? this.#followed.of(release) : controller.of(release);
  }

  async change(release: string, verb: Verb, change: Change): Promise<ChangeAnswer> {
    return this.#changeByLeader({ kind: "change", release, verb, change });
  }

  async setSplit(
    release: string,
    split: Readonly<Record<string, number>>,
    forMs: number | undefined,
    change: Change,
  ): Promise<SplitAnswer> {
    return this.#changeByLeader({ kind: "set-split", release, split, forMs, change });
  }

  async endSplit(release: string, change: Change): Promise<SplitAnswer> {
    return this.#changeByLeader({ kind: "end-split", release, change });
  }

  splits(): readonly SplitOverride[] {
    return this.#controller?.splits() ?? this.#followed.splits;
  }

  eventsAfter(id: number): readonly RolloutEvent[] {
    const controller = this.#controller;
    return controller?.eventsAfter(id) ?? this.#followed.events.filter((event) => event.id > id);
  }

  subscribe(listener: (event: RolloutEvent) => void): () => void {
    return this.#told.subscribe(listener);
  }

  rollbacks(): ReturnType<Rollouts["rollbacks"]> {
    const counts = new RollbackCounts();
    for (const each of [...this.#rollbacks.all(), ...(this.#leading?.controller.rollbacks() ?? [])])
      counts.add(each.release, each.reason, each.count);
    return counts.all();
  }

  /** Saves what is not saved yet if it leads, and stops. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.handOver();
  }

  #stepDown(): Leading | undefined {
    const leading = this.#leading;
    this.#leading = undefined;
    if (leading === undefined) return undefined;
    const { controller, term } = leading;
    for (const { release, reason, count } of controller.rollbacks()) this.#rollbacks.add(release, reason, count);
    const { revision, states } = controller;
    const events = controller.eventsAfter(0);
    this.#followed.resume({ revision, rollouts: states, splits: controller.splits() }, term, events);
    this.#changed();
    if (this.#missed !== undefined) this.adopt(this.#missed.saved, this.#missed.term);
    return leading;
  }

  /** A leader that could not save it is gone, or this replica's own file says so. */
  #rollBackAgain(withdrawn: ReplicaMessage["withdrawn"]): void {
    const controller = this.#leading?.controller;
    if (controller === undefined) return;
    for (const { release, id, why } of withdrawn) {
      const status = controller.of(release);
      if (status === undefined || status.id !== id || status.phase === "rolled-back") continue;
      void controller.change(release, "rollback", { why, by: byReplica, ifRevision: undefined });
    }
  }

  #whileLeading(term: string, tenure: number, callback: () => void): void {
    // Of a tenure that has ended, and perhaps not stopped yet: it must not end the one of now.
    if (tenure !== this.#tenure) return;
    if (this.#replica.isLeading(term)) callback();
    else this.follow();
  }

  /** Undefined once the time is up for which it may lead: a process that was stopped notices here first. */
  get #current(): Leading | undefined {
    if (this.#leading !== undefined && !this.#replica.isLeading(this.#leading.term)) this.follow();
    return this.#leading;
  }

  get #controller(): RolloutController | undefined {
    return this.#current?.controller;
  }

  async #save(state: SavedState, inbox: ReportInbox, tenure: number): Promise<Saving> {
    const { isLeading, store, onFenced } = this.#replica;
    if (tenure !== this.#tenure || !isLeading()) return noLonger;
    const { taken } = inbox;
    const saving = await store.save({ ...state, replicas: taken });
    if (saving.kind === "fenced") {
      if (tenure === this.#tenure && isLeading()) onFenced();
      return noLonger;
    }
    if (saving.kind === "saved") {
      inbox.saved(taken);
      this.#replica.outbox.saved(inbox.savedOf(this.#replica.identity));
    }
    return saving;
  }

  async #changeByLeader<A extends HandedAnswer>(asked: HandedOver): Promise<A> {
    return ((await this.make(asked)) as A | undefined) ?? this.#handover.ask<A>(asked);
  }

  #changed(): void {
    const failed = (error: unknown) =>
      this.#parts.log.error({ err: error }, "the data planes could not be told what the rollouts say");
    this.#parts.act(this.directions).then(() => this.#handover.changed(), failed);
  }

  #publish(events: readonly RolloutEvent[]): void {
    const news = this.#told.tell(events);
    // Its own controller logs what it does.
    if (this.#leading !== undefined) return;
    for (const { release, rollout, type, phase, step, weight, by, why } of news) {
      const fields = { release, rollout, event: type, phase, step, weight, by };
      this.#parts.log.info(fields, `as the leading replica says: ${why}`);
    }
  }
}

const noLonger: Saving = { kind: "failed", why: "this replica does not lead any more: ask again" };

/** Whose clock counts changes with the leader: the time between two of them does not count as held. */
function fromNow(saved: SavedState, nowMs: number): SavedState {
  return { ...saved, rollouts: saved.rollouts.map((state) => ({ ...state, countedAtMs: nowMs })) };
}
