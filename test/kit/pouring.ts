import type { Writable } from "node:stream";
import { stalled } from "./bell.ts";

/** Bytes on their way into a socket or stream, no faster than it takes them; it ends behind them. */
export class Pouring {
  left: number;
  readonly #socket: Writable;

  constructor(socket: Writable, bytes: Buffer) {
    this.#socket = socket;
    this.left = bytes.length;
    void this.#pour(bytes);
  }

  /** Resolves once the socket takes no more, with the number of bytes left then. */
  stalled(): Promise<number> {
    return stalled(() => this.left);
  }

  async #pour(bytes: Buffer): Promise<void> {
    // In pieces, since one large write does not report its progress.
    const pieceBytes = 64 * 1024;
    for (let at = 0; at < bytes.length && !this.#socket.destroyed; at += pieceBytes) {
      const piece = bytes.subarray(at, at + pieceBytes);
      const { promise, resolve } = Promise.withResolvers<unknown>();
      this.#socket.write(piece, resolve);
      await promise;
      this.left -= piece.length;
    }
    this.#socket.end();
  }
}
