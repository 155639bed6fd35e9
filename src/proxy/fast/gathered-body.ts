import type { ChunkedSink } from "../http1/body-parser.ts";
import { readArea } from "./arena.ts";

/** Takes a body's bytes, in order. */
export interface BodyTarget extends ChunkedSink {
  addText(text: string): void;
}

/**
 * Body bytes that wait for a connection, or are kept for another attempt. What was read into the reading area is copied
 * only if it is still needed when the event ends: mostly it has been sent by then.
 */
export class GatheredBody implements ChunkedSink {
  readonly #pieces: Buffer[] = [];
  /** Pairs of positions in the reading area: what came in this event, behind the pieces. */
  readonly #fresh: number[] = [];
  /** What ends a chunked body. */
  #end = "";

  passBytes(bytes: Buffer, from: number, to: number): void {
    if (bytes === readArea) this.#fresh.push(from, to);
    else this.keep(bytes, from, to);
  }

  /** Copies the bytes at once. */
  keep(bytes: Buffer, from: number, to: number): void {
    this.settle();
    this.#pieces.push(Buffer.from(bytes.subarray(from, to)));
  }

  /** `text`: what follows the last byte. */
  ended(text: string): void {
    this.#end = text;
  }

  /** The event ends: copies what lies in the reading area. */
  settle(): void {
    for (let at = 0; at < this.#fresh.length; at += 2) {
      this.#pieces.push(Buffer.from(readArea.subarray(this.#fresh[at], this.#fresh[at + 1])));
    }
    this.#fresh.length = 0;
  }

  passTo(target: BodyTarget): void {
    for (const piece of this.#pieces) target.passBytes(piece, 0, piece.length);
    for (let at = 0; at < this.#fresh.length; at += 2) {
      target.passBytes(readArea, this.#fresh[at] as number, this.#fresh[at + 1] as number);
    }
    if (this.#end !== "") target.addText(this.#end);
  }

  /** A copy of everything but the end. */
  content(): Buffer {
    this.settle();
    return Buffer.concat(this.#pieces);
  }

  clear(): void {
    this.#pieces.length = 0;
    this.#fresh.length = 0;
    this.#end = "";
  }
}
