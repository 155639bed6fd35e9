import { Readable } from "node:stream";
import { PerchError } from "../../errors.ts";
import type { Mirror } from "../mirror.ts";

/**
 * A request body for one attempt. undici destroys the body when an attempt fails, and destroying the client's stream
 * itself would close the client's connection.
 *
 * Reads nothing from the client before the upstream does, so an `untouched` body can be sent to another endpoint.
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
   * Fails with `body-too-large` over `limitBytes`; 0: no limit. First replays what an earlier attempt has put in
   * `kept`, then adds to it for a later one.
   */
  constructor(source: Readable, limitBytes: number, received: (bytes: number) => void, kept: KeptBody | undefined) {
    super({ highWaterMark: 64 * 1024 });
    this.#source = source;
    this.#limitBytes = limitBytes;
    this.#received = received;
    this.#kept = kept;
    this.#bytes = kept?.bytes ?? 0;
    if (kept !== undefined) kept.reader = this;
    // An error may occur after the reader has detached. Without a listener it would end the process.
    this.on("error", () => {});
  }

  get untouched(): boolean {
    return !this.#started;
  }

  /** Also sends the following bytes to `mirror`. */
  mirrorTo(mirror: Mirror): void {
    this.#mirror = mirror;
  }

  override _read(): void {
    if (this.#started) {
      this.#source.resume();
      return;
    }
    this.#started = true;
    for (const chunk of this.#kept?.chunks ?? []) this.push(chunk);
    this.#source
      .on("data", this.#onData)
      .on("end", this.#onEnd)
      .on("error", this.#onAborted)
      .on("aborted", this.#onAborted);
    if (!this.#source.readableEnded) {
      // A failed attempt may have paused it; adding listeners does not resume it.
      this.#source.resume();
      return;
    }
    // If the body ended at once, undici would send Content-Length even for a chunked request.
    if (this.#bytes > 0) process.nextTick(() => this.destroyed || this.push(null));
    else this.push(null);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#source
      .off("data", this.#onData)
      .off("end", this.#onEnd)
      .off("error", this.#onAborted)
      .off("aborted", this.#onAborted);
    // The rest of the body must be drained, since the client's next request follows it. It is paused instead while a
    // further attempt may need it.
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

  readonly #onAborted = (): void => {
    this.destroy(new PerchError("client-closed"));
  };
}

/** The body received so far, kept for another attempt while within the limit. */
export class KeptBody {
  /** The body of the current attempt. */
  reader: RequestBody | undefined;
  chunks: Buffer[] = [];
  bytes = 0;
  #limitBytes: number;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Whether all received bytes are kept. */
  get isWhole(): boolean {
    return this.bytes <= this.#limitBytes;
  }

  /** For when no further attempt follows: frees the memory. */
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
