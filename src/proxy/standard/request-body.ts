import { Readable } from "node:stream";
import { PerchError } from "../../errors.ts";
import type { Mirror } from "../mirror.ts";

/**
 * A client's request body on its way to an endpoint. It stands between the client's stream and undici, which destroys
 * what it is given when an attempt fails: destroying the request itself would take the client's connection with it.
 *
 * Nothing is read from the client before the upstream asks, so while `untouched` the request can go to another endpoint.
 */
export class RequestBody extends Readable {
  readonly #source: Readable;
  readonly #limitBytes: number;
  readonly #received: (bytes: number) => void;
  #mirror: Mirror | undefined;
  readonly #kept: KeptBody | undefined;
  #started = false;
  #bytes: number;

  /**
   * `limitBytes` 0: no limit; past it the body fails with `body-too-large`. What is `kept` of an earlier attempt comes
   * first, and what comes now is kept for a later one.
   */
  constructor(source: Readable, limitBytes: number, received: (bytes: number) => void, kept: KeptBody | undefined) {
    super({ highWaterMark: 64 * 1024 });
    this.#source = source;
    this.#limitBytes = limitBytes;
    this.#received = received;
    this.#kept = kept;
    this.#bytes = kept?.bytes ?? 0;
    if (kept !== undefined) kept.reader = this;
    // Whoever read it may have let go of it by the time it breaks; nobody is then left to be told.
    this.on("error", () => {});
  }

  get untouched(): boolean {
    return !this.#started;
  }

  /** From here on a copy gets what is passed on. */
  copyTo(mirror: Mirror): void {
    this.#mirror = mirror;
  }

  override _read(): void {
    if (this.#started) {
      this.#source.resume();
      return;
    }
    this.#started = true;
    for (const chunk of this.#kept?.chunks ?? []) this.push(chunk);
    this.#source.on("data", this.#onData).on("end", this.#onEnd).on("error", this.#onGone).on("aborted", this.#onGone);
    if (!this.#source.readableEnded) {
      // The attempt before may have stopped it, and then nobody who only listens is told anything.
      this.#source.resume();
      return;
    }
    // A body that is whole at once would be framed by its length, whatever frames it came in.
    if (this.#bytes > 0) process.nextTick(() => this.destroyed || this.push(null));
    else this.push(null);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#source
      .off("data", this.#onData)
      .off("end", this.#onEnd)
      .off("error", this.#onGone)
      .off("aborted", this.#onGone);
    // Backpressure may have stopped the client in the middle: what it still sends is nobody's now, but the answer that
    // it waits for, and its next request, come behind it. Where a further attempt may want it, it is for that to say so.
    if (this.#started && this.#kept?.isWhole !== true) this.#source.resume();
    else if (this.#kept?.reader === this) this.#source.pause();
    done(error);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes += chunk.length;
    this.#kept?.add(chunk);
    this.#received(chunk.length);
    if (this.#limitBytes > 0 && this.#bytes > this.#limitBytes) {
      this.destroy(new PerchError("body-too-large"));
      return;
    }
    if (!this.push(chunk)) this.#source.pause();
    this.#mirror?.bytes(chunk);
  };

  readonly #onEnd = (): void => {
    this.push(null);
    this.#mirror?.bodyEnded();
  };

  readonly #onGone = (): void => {
    this.destroy(new PerchError("client-closed"));
  };
}

/** What came of a request's body so far, for another attempt, until it is too much. */
export class KeptBody {
  /** The present attempt's. */
  reader: RequestBody | undefined;
  chunks: Buffer[] = [];
  bytes = 0;
  #limitBytes: number;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Whether nothing that came is missing. */
  get isWhole(): boolean {
    return this.bytes <= this.#limitBytes;
  }

  /** There will be no further attempt. */
  release(): void {
    this.#limitBytes = -1;
    this.chunks = [];
  }

  add(chunk: Buffer): void {
    this.bytes += chunk.length;
    if (this.isWhole) this.chunks.push(chunk);
    else this.chunks = [];
  }
}
