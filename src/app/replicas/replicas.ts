import { randomBytes } from "node:crypto";
import type { AddressInfo } from "node:net";
import { hostname } from "node:os";
import { isLoopbackAddress } from "../../admin/access.ts";
import type { ReplicaStatus, Replicas } from "../../admin/replicas-view.ts";
import type { SharedStateSpec } from "../../config/compiled-config.ts";
import { type ApiAccess, isInPod, NoApiAccess } from "../../kubernetes/api-access.ts";
import { ApiClient } from "../../kubernetes/api-client.ts";
import { openAccess } from "../../kubernetes/find-access.ts";
import { LeaderLease, type LeaseHolder } from "../../kubernetes/leader-lease.ts";
import type { Logger } from "../../observe/log.ts";
import type { ControllerParts } from "../../rollout/controller-parts.ts";
import type {
  HandedAnswer,
  HandedOver,
  LeaderAnswer,
  ReplicaMessage,
} from "../../rollout/replicas/replica-messages.ts";
import { ReportOutbox } from "../../rollout/replicas/report-outbox.ts";
import { SharedRollouts } from "../../rollout/replicas/shared-rollouts.ts";
import { SerialQueue } from "../../rollout/state-keeper.ts";
import { StartError } from "../data-plane.ts";
import { systemTimers } from "../system-timers.ts";
import { within } from "../within.ts";
import { type LeaderPlace, sendChange, sendReports } from "./leader-link.ts";
import { type FoundState, SharedStateStore } from "./shared-state-store.ts";
import { StateCopy } from "./state-copy.ts";

export interface SharedReplicasOptions {
  readonly spec: SharedStateSpec;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  readonly parts: Omit<ControllerParts, "store">;
  /** Where a copy of the state is kept for a start without the API; undefined: nowhere. */
  readonly copyFile: string | undefined;
  /** Of the admin server, the first of the file; undefined: none at the moment. */
  readonly token: () => string | undefined;
}

/** How long a start waits for the shared state where there is a copy, and where there is none: no candidate gets users. */
const stateWithinMs = { withCopy: 3_000, withoutCopy: 10_000 };
/** How often replicas report, and how soon after an answer that is bad. */
const reportEachMs = 1_000;
const reportBadAfterMs = 200;
/** After a takeover that failed while the lease is held. */
const takeOverAgainMs = 1_000;
/** How long a stop waits for the API: for the last save, and to give the lease back. */
const leaveWithinMs = 3_000;

/** The rollouts of several replicas: elects the one that leads, and connects the others to it. */
export class SharedReplicas implements Replicas {
  readonly rollouts: SharedRollouts;
  readonly #options: SharedReplicasOptions;
  readonly #access: ApiAccess;
  readonly #namespace: string;
  readonly #identity = `${hostname()}_${randomBytes(4).toString("hex")}`;
  readonly #outbox = new ReportOutbox();
  readonly #store: SharedStateStore;
  readonly #copy: StateCopy | undefined;
  readonly #first = Promise.withResolvers<void>();
  readonly #closed = new AbortController();
  #lease: LeaderLease | undefined;
  /** Of the leader that is reported to: up to which number it has taken them. */
  #taken = 0;
  /** One takeover at a time. */
  readonly #leading = new SerialQueue();
  #cancelTakeOver: () => void = () => {};
  #cancelReport: () => void = () => {};
  #reportAtMs = Number.POSITIVE_INFINITY;
  /** Ends the report that is under way; undefined: none is. */
  #reporting: AbortController | undefined;
  /** Another was asked for in the meantime. */
  #reportsAgain = false;
  #onLeading: () => void = () => {};
  #problem: string | undefined;
  /** By what is asked of the API. */
  readonly #apiTroubles = new Map<string, string>();

  private constructor(options: SharedReplicasOptions, access: ApiAccess, namespace: string) {
    const { spec, log, parts, copyFile } = options;
    this.#copy = copyFile === undefined ? undefined : new StateCopy(copyFile, log);
    this.#options = options;
    this.#access = access;
    this.#namespace = namespace;
    this.#store = new SharedStateStore({
      ...{ log, namespace, timers: systemTimers, randomFraction: Math.random },
      client: new ApiClient(access),
      name: spec.configMap,
      onState: (state) => this.#found(state),
      onTrouble: (why) => this.#apiSays("state", why),
    });
    this.rollouts = new SharedRollouts(
      parts,
      {
        identity: this.#identity,
        isLeading: (term) => this.#holds(term),
        store: this.#store,
        outbox: this.#outbox,
        askLeader: (asked) => this.#askLeader(asked),
        onBadAnswer: () => this.#reportIn(reportBadAfterMs),
        onFenced: () => {
          log.warn({ lease: spec.lease }, "another replica has written the state, but this one leads: it begins anew");
          this.#leadAgain();
        },
      },
      systemTimers.monotonicMs,
    );
  }

  /** Resolves with the shared state, or without it if the API does not answer in time; rejects with a `StartError`. */
  static async open(options: SharedReplicasOptions): Promise<SharedReplicas> {
    const access = accessOf(options.env);
    const namespace = options.spec.namespace ?? access.namespace;
    if (namespace === undefined) {
      await access.close();
      throw new StartError(["perch: state.kubernetes: the Pod's namespace is not known; set `namespace`"]);
    }
    const replicas = new SharedReplicas(options, access, namespace);
    const copy = await replicas.#copy?.read();
    const maxMs = copy === undefined ? stateWithinMs.withoutCopy : stateWithinMs.withCopy;
    const isRead = await within(maxMs, replicas.#first.promise);
    if (!isRead && copy !== undefined) {
      options.log.warn({ copy: options.copyFile }, "the Kubernetes API does not answer: the copy of the state is used");
      replicas.rollouts.adopt(copy, undefined);
    }
    return replicas;
  }

  /** Takes part in the election, and reports to whoever leads. Throws a `StartError` if others could not reach this one. */
  join(admin: AddressInfo): void {
    const { spec, log } = this.#options;
    const address = addressFor(admin, this.#options.env);
    this.#lease = new LeaderLease({
      ...{ address, timers: systemTimers, randomFraction: Math.random },
      client: new ApiClient(this.#access),
      namespace: this.#namespace,
      name: spec.lease,
      identity: this.#identity,
      onHeld: () => this.#lead(),
      onLost: (why) => {
        log.info({ lease: spec.lease }, `this replica does not lead the rollouts any more: ${why}`);
        this.#cancelTakeOver();
        this.#store.handOver();
        this.rollouts.follow();
        this.#onLeading();
        this.#reportIn(0);
      },
      onHolder: (holder) => this.#heldBy(holder),
      onTrouble: (why) => this.#apiSays("lease", why),
    });
    this.#reportIn(reportEachMs);
  }

  /** Calls the listener when this replica begins or ends to lead. */
  onLeading(listener: () => void): void {
    this.#onLeading = listener;
  }

  /** Lets another replica lead at once, as before a stop. */
  async leave(): Promise<void> {
    await this.rollouts.handOver();
    this.#store.handOver();
    await this.#lease?.release();
  }

  status(): ReplicaStatus {
    const holder = this.#lease?.holder;
    return {
      identity: this.#identity,
      isLeading: this.rollouts.isLeading,
      leader: holder === undefined ? null : { identity: holder.identity, address: holder.address ?? null },
      revision: this.rollouts.revision,
      problem: [...this.#apiTroubles.values()][0] ?? this.#problem ?? null,
      droppedReports: this.#outbox.dropped,
    };
  }

  heard(message: ReplicaMessage): LeaderAnswer | undefined {
    return this.rollouts.heard(message);
  }

  make(asked: HandedOver): Promise<HandedAnswer | undefined> {
    return this.rollouts.make(asked);
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#cancelReport();
    this.#cancelTakeOver();
    const cancel = systemTimers.schedule(leaveWithinMs, () => void this.#endRequests());
    await this.rollouts.close();
    await this.leave();
    cancel();
    await this.#endRequests();
    await this.#copy?.close();
    await this.#access.close();
  }

  async #endRequests(): Promise<void> {
    await Promise.all([this.#lease?.close(), this.#store.close()]);
  }

  #found(state: FoundState): void {
    if (state.kind === "read") {
      this.rollouts.adopt(state.saved, state.term);
      if (state.saved !== undefined) this.#copy?.keep(state.saved);
    }
    this.rollouts.troubled(state.kind === "read" ? undefined : state.problem);
    // What could not be used was repaired.
    if (state.kind === "read" && this.rollouts.isLeading && this.#store.problem !== undefined) this.#leadAgain();
    this.#first.resolve();
  }

  /** Of a term: whether this process leads in it. */
  #holds(term?: string): boolean {
    const { isHeld = false, holder } = this.#lease ?? {};
    return isHeld && (term === undefined || holder?.term === term);
  }

  /** The state has to be taken over once more, in the same term. */
  #leadAgain(): void {
    this.rollouts.follow();
    this.#store.handOver();
    this.#cancelTakeOver();
    this.#cancelTakeOver = systemTimers.schedule(takeOverAgainMs, () => this.#lead());
  }

  #lead(): void {
    void this.#leading.run(async () => {
      const term = this.#lease?.holder?.term;
      if (term === undefined || !this.#holds(term) || this.#closed.signal.aborted) return;
      const { log, spec } = this.#options;
      try {
        await this.rollouts.lead(term);
        if (!this.rollouts.isLeading) return;
        log.info({ lease: spec.lease }, "this replica leads the rollouts");
        this.#onLeading();
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        log.error({ configMap: spec.configMap, why }, "the state of the rollouts cannot be taken over: nothing moves");
        this.#leadAgain();
      }
    });
  }

  #heldBy(holder: LeaseHolder | undefined): void {
    this.#taken = 0;
    // One that leads no more may hang, and the new leader should not wait for that.
    this.#reporting?.abort();
    this.#reportIn(0);
    if (holder === undefined) this.#options.log.info("no replica leads the rollouts at the moment: nothing moves");
    else if (holder.identity !== this.#identity) {
      this.#options.log.info(
        { leader: holder.identity, address: holder.address },
        "another replica leads the rollouts",
      );
    }
  }

  get #leader(): LeaderPlace | undefined {
    const { identity, address } = this.#lease?.holder ?? {};
    const token = this.#options.token();
    if (identity === this.#identity || address === undefined || token === undefined) return undefined;
    return { address, token };
  }

  async #askLeader(asked: HandedOver): Promise<HandedAnswer> {
    const leader = this.#leader;
    if (leader === undefined) throw new Error("no replica leads the rollouts at the moment: ask again in some seconds");
    return sendChange(leader, asked, this.#closed.signal);
  }

  /** Sooner than it would be, but not later. */
  #reportIn(ms: number): void {
    const atMs = systemTimers.monotonicMs() + ms;
    if (this.#closed.signal.aborted || atMs >= this.#reportAtMs) return;
    this.#cancelReport();
    this.#reportAtMs = atMs;
    this.#cancelReport = systemTimers.schedule(ms, () => {
      this.#reportAtMs = Number.POSITIVE_INFINITY;
      void this.#report();
    });
  }

  async #report(): Promise<void> {
    if (this.#reporting !== undefined) {
      this.#reportsAgain = true;
      return;
    }
    const reporting = new AbortController();
    this.#reporting = reporting;
    this.#reportsAgain = false;
    try {
      while (await this.#reportOnce(AbortSignal.any([this.#closed.signal, reporting.signal])));
    } catch (error) {
      // Whatever it has taken by now: it says so itself.
      this.#taken = 0;
      if (!reporting.signal.aborted) this.#leaderTrouble(error instanceof Error ? error.message : String(error));
    } finally {
      this.#reporting = undefined;
      this.#reportIn(this.#reportsAgain ? 0 : reportEachMs);
    }
  }

  /** Whether there was more than fits into one message. */
  async #reportOnce(signal: AbortSignal): Promise<boolean> {
    const leader = this.#leader;
    const term = this.#lease?.holder?.term;
    if (leader === undefined) return false;
    const before = this.#taken;
    const reports = this.#outbox.after(before);
    const last = reports.at(-1)?.number ?? before;
    const hasMore = this.#outbox.hasMoreThan(last);
    const message = { ...this.rollouts.followed, replica: this.#identity, reports };
    const answer = await sendReports(leader, message, signal);
    // Another leads by now: it says itself what it has.
    if (answer.term !== term || term !== this.#lease?.holder?.term) {
      this.#taken = 0;
      return false;
    }
    this.#taken = answer.taken;
    this.rollouts.leaderSays(answer);
    this.#leaderTrouble(undefined);
    return hasMore && answer.taken > before;
  }

  /** One line when the leader stops answering, and one when it answers again. */
  #leaderTrouble(why: string | undefined): void {
    if (this.#closed.signal.aborted) return;
    const isNew = (this.#problem === undefined) !== (why === undefined);
    this.#problem = why;
    if (!isNew) return;
    if (why === undefined) this.#options.log.info("the leading replica answers again");
    else
      this.#options.log.warn({ why }, "the leading replica does not answer: this replica keeps what it would report");
  }

  #apiSays(asked: string, why: string | undefined): void {
    const wasTroubled = this.#apiTroubles.size > 0;
    if (why === undefined) this.#apiTroubles.delete(asked);
    else this.#apiTroubles.set(asked, why);
    if (this.#apiTroubles.size > 0 === wasTroubled) return;
    if (why === undefined) this.#options.log.info("the Kubernetes API answers again");
    else this.#options.log.warn({ why }, "the Kubernetes API does not answer: rollouts stay as they are");
  }
}

function accessOf(env: SharedReplicasOptions["env"]): ApiAccess {
  const access = openAccess(env);
  if (!(access instanceof NoApiAccess)) return access;
  throw new StartError([`perch: state.kubernetes needs the Kubernetes API: ${access.message}`]);
}

/** Where other replicas reach this one's admin server. */
function addressFor({ address, port }: AddressInfo, env: SharedReplicasOptions["env"]): string {
  const isWildcard = address === "::" || address === "0.0.0.0";
  const isLocal = isLoopbackAddress(address);
  if (isLocal && isInPod(env)) {
    throw new StartError([
      `perch: state.kubernetes: other replicas cannot reach the admin server at ${address}: set admin.address to "*:${port}"`,
    ]);
  }
  const host = isLocal ? address : env["POD_IP"] || (isWildcard ? undefined : address);
  if (host === undefined) {
    throw new StartError([
      "perch: state.kubernetes: the replicas cannot reach one another without an address: set the variable POD_IP " +
        "(fieldRef: status.podIP), or admin.address to one of this machine",
    ]);
  }
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
