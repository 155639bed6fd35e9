import type { ReleaseSpec } from "../../decide/release-spec.ts";
import type { RolloutReport } from "../../observe/rollout/rollout-report.ts";
import type { Directions } from "../../observe/rollout/rollout-taps.ts";
import { RolloutController } from "../controller.ts";
import type { ControllerParts, RolloutPreparation, RolloutRunner } from "../controller-parts.ts";
import { RollbackCounts } from "../event-journal.ts";
import type { RolloutEvent, SavedState, SplitOverride } from "../rollout-state.ts";
import {
  type Change,
  type ChangeAnswer,
  notSaved,
  type RolloutStatus,
  type Rollouts,
  refused,
  type SplitAnswer,
  type Verb,
} from "../rollouts-api.ts";
import type { Saving } from "../state/state-store.ts";
import { FollowedRollouts } from "./followed-rollouts.ts";
import type { HandedAnswer, HandedOver, LeaderAnswer, ReplicaMessage } from "./replica-messages.ts";
import { ReportInbox } from "./report-inbox.ts";
import type { ReportOutbox } from "./report-outbox.ts";

/** What this replica reaches the others by. */
export interface ReplicaParts {
  /** Of this process. */
  readonly identity: string;
  /** Whether it may lead at this very moment. */
  readonly isLeading: () => boolean;
  readonly store: SharedStore;
  readonly outbox: ReportOutbox;
  /**
   * Asks the leader to make a change. Rejects, with what to do, if there is none or it does not answer: with an
   * `UnknownOutcome` where it may have made it.
   */
  readonly askLeader: (asked: HandedOver) => Promise<HandedAnswer>;
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

/** A change was sent to the leader, and whether that has made it is not known. */
export class UnknownOutcome extends Error {
  override readonly name = "UnknownOutcome";
}

/** A replica that handed a change over answers once it follows the result itself, or after this time. */
const followsWithinMs = 2_000;

interface Leading {
  readonly term: string;
  readonly controller: RolloutController;
  readonly inbox: ReportInbox;
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
  readonly #listeners = new Set<(event: RolloutEvent) => void>();
  /** Called at the next change of the state. */
  readonly #waiting = new Set<() => void>();
  #leading: Leading | undefined;
  /** Rises with each beginning and end: what is of an earlier one may not save any more. */
  #tenure = 0;
  /** What another saved while this replica still led. */
  #missed: { readonly saved: SavedState | undefined; readonly term: string | undefined } | undefined;
  #lastEvent: number | undefined;
  #isClosed = false;

  constructor(parts: Omit<ControllerParts, "store">, replica: ReplicaParts, monotonicMs: () => number) {
    this.#parts = parts;
    this.#replica = replica;
    this.#followed = new FollowedRollouts({ planner: parts.planner, nowMs: parts.nowMs, monotonicMs });
  }

  get isLeading(): boolean {
    return this.#controller !== undefined;
  }

  get revision(): number {
    return this.#controller?.revision ?? this.#followed.revision;
  }

  /** What it does as: for the leader. */
  get followed(): Pick<ReplicaMessage, "term" | "revision"> {
    return { term: this.#leading?.term ?? this.#followed.term ?? "", revision: this.revision };
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
    const controller = this.#controller;
    const { problems, commit } = controller?.prepare(releases) ?? {
      problems: this.#followed.takeoverOf(releases).problems,
      commit: async () => {},
    };
    return {
      problems,
      commit: async () => {
        // Also while it leads, so that nothing changes if it does so no longer.
        this.#followed.take(releases);
        await commit();
      },
    };
  }

  /** This replica leads from now on, if it still may once it has the state. Rejects if the state cannot be taken over. */
  async lead(term: string): Promise<void> {
    const { store, isLeading } = this.#replica;
    const tenure = ++this.#tenure;
    const isOver = () => tenure !== this.#tenure || !isLeading() || this.#isClosed;
    const { saved, problem } = await store.takeOver(term);
    if (isOver()) return;
    if (problem === undefined) this.#followed.begin(saved, term);
    // What the watch has not told of yet.
    this.#publish(saved?.events ?? []);
    const inbox = new ReportInbox(saved?.replicas ?? {}, (report) => controller.report(report));
    const parts = {
      ...this.#parts,
      store: { save: (state: SavedState) => this.#save(state, inbox, tenure) },
      // What was being saved when this replica stopped leading is answered later.
      act: async (directions: Directions) => {
        if (this.#leading?.controller === controller) await this.#parts.act(directions);
      },
      schedule: (ms: number, callback: () => void) => this.#parts.schedule(ms, () => this.#whileLeading(callback)),
    };
    const controller = new RolloutController(parts, { saved: saved && fromNow(saved, parts.nowMs()), problem });
    controller.subscribe((event) => {
      if (tenure === this.#tenure) this.#publish([event]);
    });
    let releases: readonly ReleaseSpec[];
    do {
      releases = this.#followed.releases;
      await controller.prepare(releases).commit();
    } while (releases !== this.#followed.releases);
    if (isOver()) {
      controller.abandon();
      return;
    }
    this.#leading = { term, controller, inbox };
    this.#takeOwn(inbox);
    await this.#parts.act(this.directions);
  }

  /** Another leads from now on, or nobody. What this replica saw and has not saved stays to be handed over. */
  follow(): void {
    this.#tenure++;
    this.#stepDown()?.abandon();
  }

  /** Leads no longer, before it has to: saves what is not saved yet. */
  async handOver(): Promise<void> {
    await this.#stepDown()?.close();
    this.#tenure++;
  }

  /** The state that is saved now, by this replica or another. */
  adopt(saved: SavedState | undefined, term: string | undefined): void {
    this.#missed = undefined;
    if (this.#leading !== undefined) {
      if (saved === undefined) this.#leading.controller.saveSoon();
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
  }

  /** What the leader answered to this replica's reports. */
  leaderSays(answer: LeaderAnswer): void {
    if (this.#leading !== undefined) return;
    this.#replica.outbox.saved(answer.saved);
    if (this.#followed.leaderSays(answer)) this.#changed();
  }

  /** What a replica reports to this one. Undefined if this one does not lead. */
  heard({ replica, reports, ...followed }: ReplicaMessage): LeaderAnswer | undefined {
    const leading = this.#current;
    if (leading === undefined) return undefined;
    const { term, controller, inbox } = leading;
    inbox.take(replica, reports);
    const { states } = controller;
    const isKnown = followed.term === term && followed.revision === controller.revision;
    return {
      term,
      taken: inbox.takenOf(replica),
      saved: inbox.savedOf(replica),
      statuses: controller.all(),
      questions: Array.from(controller.directions.questions, ([release, asked]) => ({
        release,
        failures: [...asked.failures],
        slowLimitsMs: asked.slowLimitsMs.map((limit) => (Number.isFinite(limit) ? limit : null)),
        wantsBaselineDurations: asked.wantsBaselineDurations,
      })),
      state: isKnown ? undefined : { revision: controller.revision, rollouts: states, splits: controller.splits() },
    };
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
    return this.#handOver({ kind: "change", release, verb, change });
  }

  async setSplit(
    release: string,
    split: Readonly<Record<string, number>>,
    forMs: number | undefined,
    change: Change,
  ): Promise<SplitAnswer> {
    return this.#handOver({ kind: "set-split", release, split, forMs, change });
  }

  async endSplit(release: string, change: Change): Promise<SplitAnswer> {
    return this.#handOver({ kind: "end-split", release, change });
  }

  splits(): readonly SplitOverride[] {
    return this.#controller?.splits() ?? this.#followed.splits;
  }

  eventsAfter(id: number): readonly RolloutEvent[] {
    const controller = this.#controller;
    return controller?.eventsAfter(id) ?? this.#followed.events.filter((event) => event.id > id);
  }

  subscribe(listener: (event: RolloutEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
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

  #stepDown(): RolloutController | undefined {
    const { controller } = this.#leading ?? {};
    this.#leading = undefined;
    if (controller === undefined) return undefined;
    for (const { release, reason, count } of controller.rollbacks()) this.#rollbacks.add(release, reason, count);
    const { revision, states } = controller;
    this.#followed.resume({ revision, rollouts: states, splits: controller.splits() }, controller.eventsAfter(0));
    void this.#parts.act(this.directions);
    if (this.#missed !== undefined) this.adopt(this.#missed.saved, this.#missed.term);
    return controller;
  }

  #whileLeading(callback: () => void): void {
    if (this.#replica.isLeading()) callback();
    else this.follow();
  }

  /** Undefined once the time is up for which it may lead: a process that was stopped notices here first. */
  get #current(): Leading | undefined {
    if (this.#leading !== undefined && !this.#replica.isLeading()) this.follow();
    return this.#leading;
  }

  get #controller(): RolloutController | undefined {
    return this.#current?.controller;
  }

  /** What its planes reported before it led. */
  #takeOwn(inbox: ReportInbox): void {
    const { outbox, identity } = this.#replica;
    for (;;) {
      const reports = outbox.after(inbox.takenOf(identity));
      if (reports.length === 0) return;
      inbox.take(identity, reports);
    }
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

  async #handOver<A extends HandedAnswer>(asked: HandedOver): Promise<A> {
    const made = await this.make(asked);
    if (made !== undefined) return made as A;
    let answer: HandedAnswer;
    try {
      answer = await this.#replica.askLeader(asked);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const unknown = `it is not known whether this was done: ${why}. Look at the rollout before you ask again`;
      return (error instanceof UnknownOutcome ? refused("not-saved", unknown) : notSaved(why)) as A;
    }
    if (answer.kind === "done") await this.#follows("status" in answer ? answer.status.revision : answer.revision);
    return answer as A;
  }

  /** Resolves once this replica does as the state of this revision says. */
  async #follows(revision: number): Promise<void> {
    if (this.revision >= revision) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => this.revision >= revision && resolve();
    this.#waiting.add(look);
    const cancel = this.#parts.schedule(followsWithinMs, resolve);
    await promise;
    cancel();
    this.#waiting.delete(look);
  }

  #changed(): void {
    void this.#parts.act(this.directions).then(() => {
      for (const look of this.#waiting) look();
    });
  }

  /** Each once, whoever tells of it. */
  #publish(events: readonly RolloutEvent[]): void {
    const last = this.#lastEvent;
    this.#lastEvent = events.at(-1)?.id ?? last ?? 0;
    // What had happened before this replica began is no news.
    if (last === undefined) return;
    const { log } = this.#parts;
    for (const event of events.filter(({ id }) => id > last)) {
      for (const listener of this.#listeners) listener(event);
      const { release, rollout, type, phase, step, weight, by, why } = event;
      if (this.#leading === undefined)
        log.info({ release, rollout, event: type, phase, step, weight, by }, `as the leading replica says: ${why}`);
    }
  }
}

const noLonger: Saving = { kind: "failed", why: "this replica does not lead any more: ask again" };

/** Whose clock counts changes with the leader: the time between two of them does not count as held. */
function fromNow(saved: SavedState, nowMs: number): SavedState {
  return { ...saved, rollouts: saved.rollouts.map((state) => ({ ...state, countedAtMs: nowMs })) };
}
