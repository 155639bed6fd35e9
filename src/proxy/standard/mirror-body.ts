import { Readable } from "node:stream";

/** What a piece costs beside its octets, so that a body of single octets can not fill the memory with their buffers. */
const pieceBytes = 128;

/** Octets of a copy's body that may wait for its upstream. */
const mostWaitingBytes = 1024 * 1024;

/** A copy's body: takes what it is given at once, and never asks anybody to wait. */
export class MirrorBody extends Readable {
  readonly #limitBytes: number;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #bytes = 0;
  #isAsked = false;
  #isWhole = false;

  constructor(limitBytes: number) {
    super();
    this.#limitBytes = limitBytes;
    // Whoever read it may have let go of it by the time it breaks.
    this.on("error", () => {});
  }

  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Says why it is given up with these. */
  add(octets: Buffer): "added" | "body-size" | "slow" {
    this.#bytes += octets.length;
    this.#waitingBytes += octets.length + pieceBytes;
    this.#waiting.push(octets);
    if (this.#bytes > this.#limitBytes) return "body-size";
    if (this.#isAsked) this.#pass();
    return this.#waitingBytes + this.readableLength > mostWaitingBytes + pieceBytes ? "slow" : "added";
  }

  end(): void {
    this.#isWhole = true;
    if (this.#isAsked) this.#pass();
  }

  override _read(): void {
    this.#isAsked = true;
    this.#pass();
  }

  #pass(): void {
    const pieces = this.#waiting;
    const [only] = pieces;
    if (only === undefined) {
      if (this.#isWhole) this.push(null);
      return;
    }
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#isAsked = false;
    this.push(pieces.length === 1 ? only : Buffer.concat(pieces));
  }
}
