import type { ReleaseSpec } from "../../decide/release-spec.ts";
import type { RolloutSpec } from "../../decide/rollout-spec.ts";
import type { BadAnswerQuestions } from "../../observe/rollout/rollout-report.ts";
import type { Directions } from "../../observe/rollout/rollout-taps.ts";
import type { Planner } from "../controller-parts.ts";
import { RolloutJudge } from "../judge.ts";
import {
  isWithdrawn,
  type RolloutEvent,
  type RolloutState,
  type SavedState,
  type SplitOverride,
} from "../rollout-state.ts";
import type { RolloutStatus } from "../rollouts-api.ts";
import { type NextRollout, splitsUnder, type Takeover, takeoverOf, unsaved } from "../takeover.ts";
import { judgeKey, savedStateOf, statusOf, trafficOf, type World, worldOf } from "../world.ts";
import { readQuestions } from "./release-questions.ts";
import type { LeaderAnswer, LeaderState } from "./replica-messages.ts";
import type { TakenReports } from "./report-inbox.ts";

export interface FollowedParts {
  readonly planner: Planner;
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
}

/** Terms that are over: the oldest are forgotten. */
const maxPastTerms = 100;

/** What the leader said counts as its present for this long; it is asked each second. */
const freshMs = 4_000;

/**
 * The rollouts as a replica follows them: by the state that the leader saved, and by what it answers each second. It moves
 * nothing. Its own configuration is obeyed at once only where it withdraws a candidate.
 */
export class FollowedRollouts {
  readonly #parts: FollowedParts;
  #world: World = worldOf(undefined);
  #events: readonly RolloutEvent[] = [];
  /** Of what judges saved in `#world`. */
  #replicas: TakenReports = {};
  #term: string | undefined;
  /** Terms that were followed before: what a watch tells of them comes late. */
  readonly #past = new Set<string>();
  #releases: readonly ReleaseSpec[] = [];
  #running: ReadonlyMap<string, NextRollout> = new Map();
  #said: { readonly answer: LeaderAnswer; readonly atMs: number } | undefined;
  /** The revision that the leader of `#term` has told itself, perhaps before it was saved. */
  #toldRevision = 0;
  /** How many answers in a row had an older revision than is known. */
  #olderAnswers = 0;
  /** By release, with what each was restored from. */
  readonly #judges = new Map<
    string,
    { readonly spec: RolloutSpec; readonly from: unknown; readonly judge: RolloutJudge }
  >();
  /** Why the shared state cannot be used, or is not known. */
  problem: string | undefined = "the shared state of the rollouts has not been read yet";

  constructor(parts: FollowedParts) {
    this.#parts = parts;
  }

  get revision(): number {
    return this.#world.revision;
  }

  get releases(): readonly ReleaseSpec[] {
    return this.#releases;
  }

  get splits(): readonly SplitOverride[] {
    return this.#world.splits;
  }

  get events(): readonly RolloutEvent[] {
    return this.#events;
  }

  /** As a state that was saved. */
  get present(): SavedState {
    return { ...savedStateOf(this.#world, this.#events, this.#world.parked), replicas: this.#replicas };
  }

  get directions(): Directions {
    const running = [...this.#running.values()];
    const questions = new Map(running.map((each) => [each.state.release, this.#questionsOf(each)]));
    return { traffic: trafficOf(this.#world, running, this.#parts.planner), questions };
  }

  takeoverOf(releases: readonly ReleaseSpec[]): Takeover {
    return takeoverOf(releases, this.#world.rollouts, this.#running, this.#parts);
  }

  take(releases: readonly ReleaseSpec[]): void {
    const before = new Map(this.#releases.map((spec) => [spec.name, spec]));
    this.#world = { ...this.#world, splits: splitsUnder(this.#world.splits, before, releases) };
    this.#releases = releases;
    this.#run();
  }

  /** Of whose state it is. */
  get term(): string | undefined {
    return this.#term;
  }

  /** Rollouts that were rolled back, as far as this replica knows. */
  get withdrawn(): readonly RolloutState[] {
    return Array.from(this.#running.values(), ({ state }) => state).filter(isWithdrawn);
  }

  /**
   * The state that a leader saved. Returns whether it is used: one of a term that is over is not, nor of the same term an
   * older one than the leader has told, who may act before it can save.
   */
  adopt(saved: SavedState | undefined, term: string | undefined): boolean {
    if (term !== undefined && this.#past.has(term)) return false;
    if (term !== undefined && term === this.#term && (saved?.revision ?? 0) < this.#toldRevision) return false;
    this.begin(saved, term);
    return true;
  }

  /** The state with which a term begins. Undefined: of whoever wrote it. */
  begin(saved: SavedState | undefined, term: string | undefined): void {
    this.#use(worldOf(saved), term);
    this.#events = saved?.events ?? [];
    this.#replicas = saved?.replicas ?? {};
  }

  /** What a replica that led until now knows, also what it could not save. */
  resume(state: LeaderState, term: string, events: readonly RolloutEvent[]): void {
    this.#use({ ...this.#world, ...state }, term);
    this.#events = events;
  }

  /** Returns whether anything changes for the data planes. */
  leaderSays(answer: LeaderAnswer): boolean {
    const before = this.#said?.answer;
    this.#said = { answer, atMs: this.#parts.monotonicMs() };
    const { state, term } = answer;
    const isNews = state !== undefined && this.#isNews(state, term);
    if (isNews) {
      this.#use({ ...this.#world, ...state }, term);
      this.#toldRevision = state.revision;
      this.#olderAnswers = 0;
    }
    return isNews || JSON.stringify(before?.questions) !== JSON.stringify(answer.questions);
  }

  /** A rollout that the leader's present says more of than the saved state is told by it. */
  statuses(): readonly RolloutStatus[] {
    return Array.from(this.#running.values(), (running) => this.#statusOf(running));
  }

  of(release: string): RolloutStatus | undefined {
    const running = this.#running.get(release);
    return running && this.#statusOf(running);
  }

  /** An answer may be on its way while the watch tells of a newer state, but not twice. */
  #isNews({ revision }: LeaderState, term: string): boolean {
    if (term !== this.#term || revision > this.#world.revision) return true;
    return ++this.#olderAnswers > 1;
  }

  /** A rollout that was rolled back stays so, whatever a leader that does not know it says: it tells the leader. */
  #use(next: World, term: string | undefined): void {
    const { withdrawn } = this;
    const known = (state: RolloutState) =>
      withdrawn.find(({ release, id }) => release === state.release && id === state.id);
    const before = this.#world;
    this.#world = { ...next, rollouts: next.rollouts.map((state) => known(state) ?? state) };
    try {
      this.#run();
    } catch (error) {
      this.#world = before;
      throw error;
    }
    this.#follow(term);
    this.problem = undefined;
  }

  #follow(term: string | undefined): void {
    if (term === undefined || term === this.#term) return;
    if (this.#term !== undefined) this.#past.add(this.#term);
    // The same again, where the Lease was deleted and its terms are counted anew.
    this.#past.delete(term);
    const [oldest] = this.#past;
    if (this.#past.size > maxPastTerms && oldest !== undefined) this.#past.delete(oldest);
    this.#term = term;
    this.#toldRevision = 0;
  }

  #statusOf(running: NextRollout): RolloutStatus {
    const { release, id } = running.state;
    const fresh = this.#fresh?.statuses.find((status) => status.release === release && status.id === id);
    if (fresh !== undefined && fresh.revision >= this.revision) return fresh;
    const { planner, nowMs } = this.#parts;
    const problem = this.problem ?? (this.#fresh === undefined ? "the leading replica does not answer" : undefined);
    const moment = { revision: this.revision, problem, nowMs: nowMs() };
    return statusOf({ ...running, judge: this.#judgeOf(running) }, planner, moment);
  }

  get #fresh(): LeaderAnswer | undefined {
    const isFresh = this.#said !== undefined && this.#parts.monotonicMs() - this.#said.atMs < freshMs;
    return isFresh ? this.#said?.answer : undefined;
  }

  #questionsOf(running: NextRollout): BadAnswerQuestions {
    const { release, id } = running.state;
    const answer = this.#said?.answer;
    const isOfThis = answer?.statuses.some((status) => status.release === release && status.id === id) === true;
    const said = isOfThis ? answer.questions.find((questions) => questions.release === release) : undefined;
    return said === undefined ? this.#judgeOf(running).questions() : readQuestions(said);
  }

  /** As it was saved. */
  #judgeOf({ spec, state }: NextRollout): RolloutJudge {
    const from = this.#world.parked.get(judgeKey(state));
    const known = this.#judges.get(state.release);
    if (known !== undefined && known.spec === spec && known.from === from) return known.judge;
    const judge = new RolloutJudge(spec, from);
    this.#judges.set(state.release, { spec, from, judge });
    return judge;
  }

  #run(): void {
    const { next } = this.takeoverOf(this.#releases);
    const why = "waits for the leading replica to begin it";
    const running = next.map((each) => unsaved(each, this.#running.get(each.state.release), why));
    this.#running = new Map(running.map((each) => [each.state.release, each]));
    for (const release of this.#judges.keys()) if (!this.#running.has(release)) this.#judges.delete(release);
  }
}
