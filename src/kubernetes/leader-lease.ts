import type { ApiObject } from "./api-client.ts";
import { isConflict, isMissing, NamedObject, type NamedObjectOptions } from "./named-object.ts";

export interface LeaderLeaseOptions
  extends Pick<NamedObjectOptions<Lease>, "client" | "namespace" | "name" | "timers" | "randomFraction"> {
  /** Of this process, and of no other, also not of one that had its name before. */
  readonly identity: string;
  /** Where the others reach this process: `host:port` of its admin server. */
  readonly address: string;
  /** Called when this process begins to hold the lease. */
  readonly onHeld: () => void;
  /** Called when it holds it no longer, with the reason. */
  readonly onLost: (why: string) => void;
  /** Called when another holds it than before; undefined: nobody. */
  readonly onHolder: (holder: LeaseHolder | undefined) => void;
  /** As of `ListWatch`, and for the renewals. */
  readonly onTrouble: (why: string | undefined) => void;
}

export interface LeaseHolder {
  readonly identity: string;
  /** Undefined if another program took the lease, or wrote there what is no address. */
  readonly address: string | undefined;
  /** Of this holder's time as the holder: no other has the same. */
  readonly term: string;
}

/** For how long the others wait since they last saw the lease renewed. */
const leaseMs = 10_000;
/** The holder gives up this long after its last renewal was sent: three seconds before anyone else may begin. */
const heldMs = 7_000;
const renewMs = 2_000;
const retryMs = 500;
/** Those that wait for the same lease try at different times, within this span. */
const spreadMs = 500;
const answerWithinMs = 3_000;
/** Another program's lease may last for years, which no timer can wait for. */
const longestWaitMs = 60_000;
const addressAnnotation = "perch.dev/admin-address";

/**
 * Elects one process by a Lease, as Kubernetes' own controllers do, with one difference: who waits, watches, and so
 * notices a lease that was given back at once.
 *
 * Times in the Lease are for people. Each process measures by its own monotonic clock how long ago it saw the lease
 * change, so that clocks may differ. A process that was stopped for a while finds `isHeld` false before anything else; what
 * it had under way is refused by the objects' versions (`FencedConfigMap`).
 *
 * @see https://kubernetes.io/docs/concepts/architecture/leases/
 */
export class LeaderLease {
  readonly #options: LeaderLeaseOptions;
  readonly #object: NamedObject<Lease>;
  /** As it was last seen, and when it changed to that. */
  #lease: Lease | undefined;
  #seenMs = 0;
  #holder: LeaseHolder | undefined;
  #heldUntilMs = Number.NEGATIVE_INFINITY;
  /** Of the term that this process holds. */
  #heldTerm: string | undefined;
  #cancelTimer: () => void = () => {};
  #cancelExpiry: () => void = () => {};
  #isChecking = false;
  /** One request at a time. */
  #asking: Promise<void> = Promise.resolve();
  #isWanted = true;
  /** Whether the last request of its own failed: the watch tells of its own trouble. */
  #isTroubled = false;

  constructor(options: LeaderLeaseOptions) {
    this.#options = options;
    const { client, namespace, name, timers, randomFraction, onTrouble } = options;
    this.#object = new NamedObject<Lease>({
      ...{ client, namespace, name, timers, randomFraction, answerWithinMs, onTrouble },
      ...{ apiVersion: "coordination.k8s.io/v1", kind: "Lease", plural: "leases" },
      onObject: (lease) => this.#see(lease),
    });
  }

  /** Whether this process may act as the leader, at this moment. */
  get isHeld(): boolean {
    return this.#isHolder && this.#options.timers.monotonicMs() < this.#heldUntilMs;
  }

  get #isHolder(): boolean {
    return this.#heldTerm !== undefined;
  }

  get holder(): LeaseHolder | undefined {
    return this.#holder;
  }

  /** Gives the lease back, so that another process begins at once, and does not ask for it again. */
  async release(): Promise<void> {
    this.#isWanted = false;
    this.#cancelTimer();
    await this.#asking;
    if (!this.#isHolder || this.#lease === undefined) return;
    this.#lose("it was given back");
    const spec = { ...this.#lease.spec, holderIdentity: "", renewTime: this.#now(), leaseDurationSeconds: 1 };
    await this.#write(this.#lease, spec).catch(() => {});
  }

  /** Without giving it back. */
  async close(): Promise<void> {
    this.#isWanted = false;
    this.#cancelTimer();
    this.#cancelExpiry();
    await this.#object.close();
    await this.#asking;
  }

  #see(lease: Lease | undefined): void {
    if (lease !== undefined && isOlder(lease, this.#lease)) this.#check();
    else this.#saw(lease);
  }

  /** A watch may be behind what was written since, or the API was restored from a backup: only a read tells which. */
  #check(): void {
    if (this.#isChecking) return;
    this.#isChecking = true;
    this.#ask(async () => {
      this.#isChecking = false;
      await this.#look();
    });
  }

  /** What a read says is the present, whatever its version. */
  async #look(): Promise<void> {
    const before = this.#lease;
    const now = await this.#object.read();
    // The watch may have told of a newer one in the meantime.
    const isLate = now !== undefined && isOlder(now, this.#lease) && !isOlder(now, before);
    if (!isLate) this.#saw(now);
  }

  #saw(lease: Lease | undefined): void {
    const { identity, timers } = this.#options;
    if (lease?.metadata.resourceVersion !== this.#lease?.metadata.resourceVersion) this.#seenMs = timers.monotonicMs();
    this.#lease = lease;
    this.#tellHolder();
    if (this.#holder?.identity !== identity) this.#lose(`${this.#holder?.identity ?? "nobody"} has it now`);
    else if (this.#holder.term !== this.#heldTerm) this.#lose("somebody has changed it");
    if (!this.#isHolder) this.#askIn(this.#freeInMs);
  }

  /** How long its holder still has it, as far as this process can tell. */
  get #freeInMs(): number {
    const { holderIdentity, leaseDurationSeconds: seconds } = this.#lease?.spec ?? {};
    if (!holderIdentity) return 0;
    const lastsMs = typeof seconds === "number" && seconds > 0 ? seconds * 1_000 : leaseMs;
    return Math.max(0, this.#seenMs + lastsMs - this.#options.timers.monotonicMs());
  }

  /** Not at the same time as the others that wait. */
  #askIn(ms: number): void {
    this.#cancelTimer();
    if (!this.#isWanted) return;
    const { timers, randomFraction } = this.#options;
    const waitMs = Math.min(ms, longestWaitMs) + randomFraction() * spreadMs;
    this.#cancelTimer = timers.schedule(waitMs, () => this.#ask(() => this.#acquire()));
  }

  #ask(what: () => Promise<void>): void {
    this.#asking = this.#asking.then(async () => {
      if (this.#object.isClosed || !this.#isWanted) return;
      try {
        await what();
        this.#answered();
      } catch (error) {
        if (this.#object.isClosed) return;
        this.#isTroubled = true;
        this.#options.onTrouble(error instanceof Error ? error.message : String(error));
        if (this.#isHolder) this.#renewIn(retryMs);
        else this.#askIn(Math.max(retryMs, this.#freeInMs));
      }
    });
  }

  async #acquire(): Promise<void> {
    const { identity, timers } = this.#options;
    // Asked for twice.
    if (this.#isHolder) return;
    // The watch may not have told of a renewal.
    await this.#look();
    if (this.#freeInMs > 0) return;
    const now = this.#lease;
    const sentMs = timers.monotonicMs();
    const spec = {
      ...{ holderIdentity: identity, leaseDurationSeconds: leaseMs / 1_000 },
      ...{ acquireTime: this.#now(), renewTime: this.#now() },
      leaseTransitions: (now?.spec?.leaseTransitions ?? 0) + 1,
    };
    const lease = await this.#taken(now, spec);
    if (lease === undefined) {
      this.#askIn(Math.max(retryMs, this.#freeInMs));
      return;
    }
    // The answer may come after the time is up for which this process would have it.
    if (timers.monotonicMs() >= sentMs + heldMs) {
      this.#see(lease);
      return;
    }
    this.#lease = lease;
    this.#heldUntilMs = sentMs + heldMs;
    this.#heldTerm = termOf(lease);
    this.#tellHolder();
    this.#renewIn(renewMs);
    this.#expectRenewal();
    this.#options.onHeld();
  }

  /** Undefined if another was faster. */
  async #taken(now: Lease | undefined, spec: LeaseSpec): Promise<Lease | undefined> {
    try {
      return await this.#write(now, spec);
    } catch (error) {
      if (isConflict(error)) return undefined;
      throw error;
    }
  }

  #renewIn(ms: number): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#options.timers.schedule(ms, () => this.#ask(() => this.#renew()));
  }

  async #renew(): Promise<void> {
    const lease = this.#lease;
    if (!this.#isHolder || lease === undefined) return;
    const sentMs = this.#options.timers.monotonicMs();
    let renewed: Lease;
    try {
      renewed = await this.#write(lease, { ...lease.spec, renewTime: this.#now() });
    } catch (error) {
      if (!isConflict(error) && !isMissing(error)) throw error;
      // An answer was lost, or somebody wrote: only the Lease says which.
      await this.#look();
      if (this.#isHolder) this.#renewIn(0);
      return;
    }
    // The answer may come after the time is up for which this process had it, and before the timer that says so: whoever
    // asked in between was told that it is not held, so that it begins anew.
    if (!this.isHeld) {
      this.#lose("it was renewed too late");
      this.#see(renewed);
      return;
    }
    this.#lease = renewed;
    this.#heldUntilMs = sentMs + heldMs;
    this.#renewIn(renewMs);
    this.#expectRenewal();
  }

  #expectRenewal(): void {
    const { timers } = this.#options;
    this.#cancelExpiry();
    this.#cancelExpiry = timers.schedule(this.#heldUntilMs - timers.monotonicMs(), () => {
      // A timer may be early by a part of a millisecond.
      if (this.isHeld) this.#expectRenewal();
      if (!this.#isHolder || this.isHeld) return;
      this.#lose(`it could not be renewed for ${heldMs / 1_000} s`);
      this.#askIn(Math.max(retryMs, this.#freeInMs));
    });
  }

  #lose(why: string): void {
    if (!this.#isHolder) return;
    this.#heldTerm = undefined;
    this.#heldUntilMs = Number.NEGATIVE_INFINITY;
    this.#cancelTimer();
    this.#cancelExpiry();
    this.#options.onLost(why);
  }

  #tellHolder(): void {
    const holder = holderOf(this.#lease);
    if (holder?.term === this.#holder?.term && holder?.address === this.#holder?.address) return;
    this.#holder = holder;
    this.#options.onHolder(holder);
  }

  #write(before: Lease | undefined, spec: LeaseSpec): Promise<Lease> {
    const annotations = { [addressAnnotation]: this.#options.address };
    return this.#object.write(before, { annotations, fields: { spec } });
  }

  #answered(): void {
    if (this.#isTroubled) this.#options.onTrouble(undefined);
    this.#isTroubled = false;
  }

  /** Of the type MicroTime. */
  #now(): string {
    return new Date(this.#options.timers.nowMs()).toISOString().replace("Z", "000Z");
  }
}

interface Lease extends ApiObject {
  /** Missing: nobody has held it. */
  readonly spec?: LeaseSpec | null;
}

interface LeaseSpec {
  /** Empty or missing: nobody holds it. */
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

function holderOf(lease: Lease | undefined): LeaseHolder | undefined {
  const identity = lease?.spec?.holderIdentity;
  if (lease === undefined || !identity) return undefined;
  const address = lease.metadata.annotations?.[addressAnnotation];
  return {
    identity,
    address: address !== undefined && hostPort.test(address) ? address : undefined,
    term: termOf(lease),
  };
}

const hostPort = /^(?:\[[\da-f:.]{2,45}\]|[a-z\d.-]{1,253}):\d{1,5}$/i;

const termOf = ({ spec }: Lease): string => `${spec?.holderIdentity ?? ""} ${spec?.leaseTransitions ?? 0}`;

/** Of a Lease, versions of the API's own store are numbers that rise (since Kubernetes 1.35 for all objects). */
function isOlder(lease: Lease, than: Lease | undefined): boolean {
  if (than === undefined) return false;
  return Number(lease.metadata.resourceVersion) < Number(than.metadata.resourceVersion);
}
