import { createHash } from "node:crypto";
import { connect, type Socket } from "node:net";
import type { BucketState } from "../proxy/token-store.ts";
import type { TokenStoreSpec } from "../route/route-spec.ts";
import type { Schedule } from "../upstream/clock.ts";
import { ByteWatch, socketOf } from "./byte-watch.ts";
import { loadClient } from "./load-client.ts";
import { rateArguments, readBucketState, takeTokenScript } from "./take-token.ts";

/** A connection and the answers that it begins with must come within this time. */
const connectMs = 2_000;
/** A connection on which nothing comes for so long is tried, as the client does it by default. */
const keepAliveMs = 30_000;
/** Requests that wait for an answer at a time; further ones are not sent. */
const maxWaiting = 4_096;

const scriptDigest = createHash("sha1").update(takeTokenScript).digest("hex");

/** A bucket that nobody uses. Taking from it shows that this user may run the script, and that Redis may write. */
const probe = { name: "probe", rate: rateArguments({ requests: 1, perMs: 1, burst: 1 }) };

interface Waiting {
  readonly askedMs: number;
  readonly answered: (state: BucketState | undefined) => void;
}

export interface RedisConnectionOptions {
  readonly spec: TokenStoreSpec;
  readonly monotonicMs: () => number;
  readonly schedule: Schedule;
  /** Called once, when it can no longer be used, unless it was closed. */
  readonly onLost: (why: string) => void;
}

/** What is used of a client of `@redis/client`. */
interface Client {
  sendCommand(args: string[]): Promise<unknown>;
  destroy(): void;
}

/**
 * One connection to Redis. It is given up at the first command that has no answer in time or is refused: whoever opened
 * it opens the next one. Between the two nothing waits, and nothing is queued.
 */
export class RedisConnection {
  readonly #client: Client;
  readonly #options: RedisConnectionOptions;
  /** In the order of their commands. */
  readonly #waiting = new Set<Waiting>();
  readonly #bytes: ByteWatch | undefined;
  #cancelCheck: (() => void) | undefined;
  /** Until it is, its failures are those of `open`. */
  #isOpen = false;

  private constructor(client: Client, bytes: ByteWatch | undefined, options: RedisConnectionOptions) {
    this.#client = client;
    this.#bytes = bytes;
    this.#options = options;
  }

  /** Resolves once Redis has answered the script. Rejects after two seconds, or if `signal` is aborted. */
  static async open(options: RedisConnectionOptions, signal: AbortSignal): Promise<RedisConnection> {
    // Loaded only where a configuration asks for it.
    const { createClient } = await loadClient();
    const { spec, schedule } = options;
    const attempt = new AbortController();
    let isOver = false;
    const giveUp = (why: string) => isOver || attempt.abort(new Error(why));
    const onAbort = () => giveUp("it was closed");
    const cancel = schedule(connectMs, () => setImmediate(giveUp, `no answer within ${connectMs} ms`));
    signal.addEventListener("abort", onAbort);
    let connection: RedisConnection | undefined;
    const under = spec.tls === undefined ? undefined : socketUnderTls(spec, attempt.signal);
    const client = createClient({
      RESP: 2,
      // The client hands them to `net` or `tls`, where the signal ends a handshake that trickles.
      socket: Object.assign(socketOptions(spec, under), { signal: attempt.signal }),
      ...(spec.username === undefined ? {} : { username: spec.username }),
      ...(spec.password === undefined ? {} : { password: Buffer.from(spec.password).toString("utf8") }),
      database: spec.database,
      disableOfflineQueue: true,
      commandsQueueMaxLength: 2 * maxWaiting,
      disableClientInfo: true,
      maintNotifications: "disabled",
    });
    client.on("error", (error: unknown) => connection?.lose(reasonOf(error)));
    const aborted = new Promise<never>((_, reject) => {
      attempt.signal.addEventListener("abort", () => reject(attempt.signal.reason));
    });
    const onFlood = (why: string) => {
      giveUp(why);
      connection?.lose(why);
    };
    try {
      let connected: Promise<unknown> = aborted;
      const made = socketOf(() => {
        connected = client.connect();
      });
      const socket = under ?? made;
      const bytes = socket && new ByteWatch(socket, under !== undefined, { schedule, onFlood });
      await Promise.race([connected, aborted]);
      connection = new RedisConnection(client, bytes, options);
      await Promise.race([connection.#probe(), aborted]);
      connection.#isOpen = true;
      return connection;
    } catch (error) {
      attempt.abort();
      client.destroy();
      throw error;
    } finally {
      isOver = true;
      cancel();
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Takes a token. False if it is not even asked for. See `SharedBuckets.take`. */
  take(key: string, rate: readonly [string, string], answered: Waiting["answered"]): boolean {
    if (!this.#isOpen || this.#waiting.size >= maxWaiting) return false;
    const waiting = { askedMs: this.#options.monotonicMs(), answered };
    this.#waiting.add(waiting);
    this.#cancelCheck ??= this.#checkIn(this.#options.spec.answerMs);
    this.#run(key, rate).then(
      (state) => {
        if (this.#waiting.delete(waiting)) answered(state);
      },
      (error: unknown) => this.lose(reasonOf(error)),
    );
    return true;
  }

  /** Ends it. Whoever waits for an answer gets none. */
  close(): void {
    if (this.#isOpen) this.#end();
  }

  lose(why: string): void {
    if (!this.#isOpen) return;
    this.#end();
    this.#options.onLost(why);
  }

  #end(): void {
    this.#isOpen = false;
    this.#cancelCheck?.();
    this.#client.destroy();
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    // In an event of its own, as callers expect.
    setImmediate(() => {
      for (const { answered } of waiting) answered(undefined);
    });
  }

  async #probe(): Promise<void> {
    await this.#run(`${this.#options.spec.prefix}:${probe.name}`, probe.rate);
  }

  async #run(key: string, rate: readonly [string, string]): Promise<BucketState> {
    let reply: unknown;
    try {
      reply = await this.#client.sendCommand(["EVALSHA", scriptDigest, "1", key, ...rate]);
    } catch (error) {
      // Redis has restarted, or its scripts were flushed.
      if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
      reply = await this.#client.sendCommand(["EVAL", takeTokenScript, "1", key, ...rate]);
    }
    this.#bytes?.answered();
    const state = readBucketState(reply);
    if (state === undefined) throw new Error("it is not Redis: its answer to a script is not a number");
    return state;
  }

  /**
   * One timer for all that wait: it is moved on to the oldest of them. Node runs timers first: after a stall of this
   * process, answers that came in time are read before they are missed.
   */
  #checkIn(ms: number): () => void {
    return this.#options.schedule(ms, () => setImmediate(() => this.#check()));
  }

  #check(): void {
    this.#cancelCheck = undefined;
    const [oldest] = this.#waiting;
    if (!this.#isOpen || oldest === undefined) return;
    const { answerMs } = this.#options.spec;
    const leftMs = oldest.askedMs + answerMs - this.#options.monotonicMs();
    if (leftMs > 0) this.#cancelCheck = this.#checkIn(leftMs);
    else this.lose(`no answer within ${answerMs} ms`);
  }
}

/** `under`: the TCP connection of one with TLS, which `tls` would keep to itself. */
function socketOptions({ host, port, tls }: TokenStoreSpec, under: Socket | undefined) {
  const common = { host, port, connectTimeout: connectMs, reconnectStrategy: false as const };
  if (tls === undefined) return common;
  const ca = tls.ca === undefined ? {} : { ca: Buffer.from(tls.ca) };
  return { ...common, tls: true as const, ...ca, ...(under === undefined ? {} : { socket: under }) };
}

/** As the client would open it. */
function socketUnderTls({ host, port }: TokenStoreSpec, signal: AbortSignal): Socket {
  return connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs, signal });
}

const maxReasonLength = 200;

/** Errors of the network may have several causes and no message of their own. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join(", ").slice(0, maxReasonLength);
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.slice(0, maxReasonLength);
}
