import type { ReleaseSpec } from "../../../src/decide/release-spec.ts";
import type { RolloutSpec } from "../../../src/decide/rollout-spec.ts";
import { createLogger } from "../../../src/observe/log.ts";
import type { RolloutReport, Sighting } from "../../../src/observe/rollout/rollout-report.ts";
import type { Directions } from "../../../src/observe/rollout/rollout-taps.ts";
import { planner } from "../../../src/rollout/plan/planner.ts";
import { ReleaseJudge } from "../../../src/rollout/release-judge.ts";
import type { HandedAnswer, HandedOver, LeaderAnswer } from "../../../src/rollout/replicas/replica-messages.ts";
import { ReportOutbox } from "../../../src/rollout/replicas/report-outbox.ts";
import { SharedRollouts, type SharedStore } from "../../../src/rollout/replicas/shared-rollouts.ts";
import type { RolloutEvent, SavedState } from "../../../src/rollout/rollout-state.ts";
import type { Saving } from "../../../src/rollout/state/state-store.ts";
import { MovedClock } from "../moved-clock.ts";
import { plan, step } from "../plan/plans.ts";

export const asked = { why: "a try", by: "token 3f9a", ifRevision: undefined };

export function releaseOf(parts: Partial<RolloutSpec> = {}): ReleaseSpec {
  const rollout = plan({ steps: [step(10), step(50), step(100)], drift: "off", candidateEndpoints: [], ...parts });
  return {
    name: "shop",
    versions: ["stable", "canary"],
    split: { stable: 100, canary: 0 },
    rollout,
  } as unknown as ReleaseSpec;
}

/** What all replicas of a test share: the state as it is kept, and the time. */
export class Room {
  readonly clock = new MovedClock(1_000_000);
  saved: SavedState | undefined;
  /** Why that cannot be used. */
  problem: string | undefined;
  term: string | undefined;
  /** By whom, in the order in which they were kept. */
  readonly writes: { readonly by: string; readonly saved: SavedState }[] = [];

  async replica(name: string, release = releaseOf()): Promise<RoomReplica> {
    const replica = new RoomReplica(name, this);
    await replica.rollouts.prepare([release]).commit();
    return replica;
  }
}

/** A replica that holds the lease when the test says so, and whose store and planes answer when it says so. */
export class RoomReplica {
  readonly rollouts: SharedRollouts;
  readonly outbox = new ReportOutbox();
  readonly acted: Directions[] = [];
  readonly events: RolloutEvent[] = [];
  holds = false;
  fenced = 0;
  /** What an answer of the store, and one of the planes, waits for. */
  storeAnswers: Promise<unknown> = Promise.resolve();
  takeOverAnswers: Promise<unknown> = Promise.resolve();
  planesAnswer: Promise<unknown> = Promise.resolve();
  refusal: string | undefined;
  /** Its store keeps what it is asked to, and does not know that. */
  losesAnswers = false;
  readonly #room: Room;
  readonly #name: string;
  #term: string | undefined;
  #held: string | undefined;
  /** By the leader that it reported to last. */
  #taken = 0;

  constructor(name: string, room: Room) {
    this.#name = name;
    this.#room = room;
    const { clock } = room;
    const { nowMs, schedule } = clock;
    const store: SharedStore = { takeOver: (term) => this.#takeOver(term), save: (state) => this.#save(state) };
    this.rollouts = new SharedRollouts(
      {
        ...{ planner, nowMs, schedule, log: createLogger({ level: "silent", nowMs }) },
        judge: (release, spec, saved, changed) => new ReleaseJudge(release, spec, saved, { nowMs, schedule, changed }),
        act: async (directions) => {
          this.acted.push(directions);
          await this.planesAnswer;
        },
        notify() {},
      },
      {
        ...{
          identity: name,
          isLeading: (term) => this.holds && (term === undefined || term === this.#held),
          store,
          outbox: this.outbox,
        },
        askLeader: async (_: HandedOver): Promise<HandedAnswer> => {
          throw new Error("nobody leads");
        },
        onBadAnswer() {},
        onFenced: () => void this.fenced++,
      },
      nowMs,
    );
    this.rollouts.subscribe((event) => void this.events.push(event));
  }

  /** What its planes were told last of the shop's candidate. */
  get candidateIs(): string | undefined {
    return this.acted.at(-1)?.traffic.get("shop")?.rollout?.candidateIs;
  }

  async lead(term: string): Promise<void> {
    this.holds = true;
    this.#held = term;
    await this.rollouts.lead(term);
  }

  follow(): void {
    this.holds = false;
    this.rollouts.follow();
  }

  /** As its watch tells it. */
  adopt(): void {
    this.rollouts.adopt(this.#room.saved, this.#room.term);
  }

  /** As it does each second: what the leader has not taken, and then as the leader says. */
  reportTo(leader: RoomReplica): LeaderAnswer {
    const reports = this.outbox.after(this.#taken);
    const answer = leader.rollouts.heard({ replica: this.#name, ...this.rollouts.followed, reports });
    if (answer === undefined) throw new Error("it does not lead");
    this.#taken = answer.taken;
    this.rollouts.leaderSays(answer);
    return answer;
  }

  async #takeOver(term: string) {
    this.#term = term;
    this.#room.term = term;
    const { saved } = this.#room;
    await this.takeOverAnswers;
    if (this.#room.problem !== undefined) this.refusal = this.#room.problem;
    return { saved: this.#room.problem === undefined ? saved : undefined, problem: this.#room.problem };
  }

  async #save(state: SavedState): Promise<Saving | { readonly kind: "fenced" }> {
    const answers = this.storeAnswers;
    if (this.refusal !== undefined) return { kind: "failed", why: this.refusal };
    if (this.#term !== this.#room.term) return { kind: "fenced" };
    const saved = JSON.parse(JSON.stringify(state)) as SavedState;
    this.#room.saved = saved;
    this.#room.writes.push({ by: this.#name, saved });
    const isLost = this.losesAnswers;
    await answers;
    return isLost ? { kind: "unknown", why: "no answer" } : { kind: "saved" };
  }
}

export function reportOf(users: number, from = 0, parts: Partial<Sighting> = {}): RolloutReport {
  const none = { good: 0, failed: 0 };
  const sightings = Array.from({ length: users }, (_, at): Sighting => {
    const unit = { hi: (from + at) * 2_654_435, lo: from + at };
    return { ...unit, side: "candidate", odds: 0.5, seen: "first", bad: 0, goodBefore: 0, ...parts };
  });
  const drawn = { baseline: none, candidate: { good: users, failed: 0 } };
  return {
    release: "shop",
    id: "2.4.0",
    sightings,
    drawn,
    placed: { baseline: none, candidate: none },
    baselineDurations: [],
  };
}

/** Resolves once all that waits for nothing but earlier promises is done. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
