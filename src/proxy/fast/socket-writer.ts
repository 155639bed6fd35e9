import type { Socket } from "node:net";
import { constants } from "node:os";
import { TLSSocket } from "node:tls";
import { getSystemErrorName } from "node:util";
import { type Handle, handleOf, unsentBytes, writeBytes } from "../../node-internals.ts";
import type { ChunkedSink } from "../http1/body-parser.ts";
import { readArea } from "./arena.ts";
import { type Composer, type Lease, outbox } from "./outbox.ts";
import { takeLargeBuffer } from "./read-buffers.ts";

/** Bytes that wait for the write before them. */
interface Waiting {
  readonly bytes: Uint8Array;
  readonly lease: Lease | undefined;
}

/**
 * Writes to one peer. Pieces are composed in the outbox, so that a head and a small body are one write; a large piece is
 * written from the buffer it was read into. One write is in progress at a time, as TLS demands.
 */
export class SocketWriter implements ChunkedSink, Composer {
  readonly #socket: Socket;
  readonly #flushed: () => void;
  /** TLS has encrypted the bytes by the time that its write returns. */
  readonly #copies: boolean;
  /** Of the socket; undefined before the first write. */
  #handle: Handle | undefined;
  #state: "idle" | "writing" | "ended while writing" | "pending" = "idle";
  #failed = false;
  #endsAfterFlush = false;
  /** Of the write in progress. */
  #lease: Lease | undefined;
  #waiting: Waiting[] | undefined;
  #unsentBefore = 0;

  /**
   * `flushed` is called whenever pending writes were handed to the kernel. Writes that the kernel accepts at once are
   * never pending, and need not lead to a call.
   */
  constructor(socket: Socket, flushed: () => void) {
    this.#socket = socket;
    this.#flushed = flushed;
    this.#copies = socket instanceof TLSSocket;
  }

  /** Whether writes are queued in this process. */
  get pending(): boolean {
    return this.#state !== "idle";
  }

  /** Whether a write failed, as they do once the socket is destroyed; its `close` follows if it was not emitted yet. */
  get broken(): boolean {
    return this.#failed;
  }

  /** From now on `hasProgressed` tells whether the peer has taken bytes since. */
  markProgress(): void {
    this.#unsentBefore = unsentBytes(this.#socket);
  }

  get hasProgressed(): boolean {
    return unsentBytes(this.#socket) !== this.#unsentBefore;
  }

  /** Latin-1; written with the next `flush`, or before if it does not fit. */
  addText(text: string): void {
    let from = 0;
    for (let room = outbox.roomFor(this); text.length - from > room; room = outbox.roomFor(this)) {
      outbox.addText(text.slice(from, from + room));
      from += room;
      this.flush();
    }
    outbox.addText(from === 0 ? text : text.slice(from));
  }

  /** Like `addText`, for bytes made beforehand. */
  addView(view: Uint8Array): void {
    if (view.length <= outbox.roomFor(this)) outbox.addView(view);
    else this.addBytes(view, 0, view.length);
  }

  /** Like `addText`: copies the bytes. */
  addBytes(bytes: Uint8Array, from: number, to: number): void {
    let at = from;
    for (let room = outbox.roomFor(this); to - at > room; room = outbox.roomFor(this)) {
      outbox.addBytes(bytes, at, at + room);
      at += room;
      this.flush();
    }
    outbox.addBytes(bytes, at, to);
  }

  /**
   * Written with the next `flush`, or at once if it is large. Bytes of the reading area are copied, for the next read
   * overwrites them. Any others must not change until flushed.
   */
  passBytes(bytes: Buffer, from: number, to: number): void {
    if (to - from <= outbox.roomFor(this)) outbox.addBytes(bytes, from, to);
    else if (bytes === readArea) this.#writeCopy(bytes, from, to);
    else {
      this.flush();
      this.#write(bytes.subarray(from, to), undefined);
    }
  }

  /** One write with what was composed before. */
  #writeCopy(bytes: Buffer, from: number, to: number): void {
    const large = takeLargeBuffer();
    const composed = outbox.lengthOf(this);
    if (composed > 0) {
      large.bytes.set(outbox.take());
      outbox.drop();
    }
    large.bytes.set(bytes.subarray(from, to), composed);
    this.#write(large.bytes.subarray(0, composed + to - from), large);
  }

  flush(): void {
    if (outbox.lengthOf(this) === 0) return;
    const bytes = outbox.take();
    if (this.#state !== "idle") {
      this.#wait(Buffer.from(bytes), undefined);
      outbox.drop();
      return;
    }
    if (this.#begin(bytes) && !this.#copies) this.#lease = outbox.lend();
    else outbox.drop();
  }

  /** Closes the socket once everything is written. */
  end(): void {
    this.flush();
    if (this.#state === "idle") this.#socket.destroySoon();
    else this.#endsAfterFlush = true;
  }

  #write(bytes: Uint8Array, lease: Lease | undefined): void {
    if (this.#state !== "idle") this.#wait(bytes, lease);
    else if (this.#begin(bytes)) this.#lease = lease;
    else lease?.release();
  }

  #wait(bytes: Uint8Array, lease: Lease | undefined): void {
    this.#waiting ??= [];
    this.#waiting.push({ bytes, lease });
  }

  /** Returns whether the write is pending. */
  #begin(bytes: Uint8Array): boolean {
    if (this.#failed) return false;
    this.#handle ??= handleOf(this.#socket);
    if (this.#handle === undefined) {
      this.#fail(-constants.errno.EPIPE);
      return false;
    }
    this.#state = "writing";
    const outcome = writeBytes(this.#handle, this.#socket, bytes, this.#onWritten);
    // Node may call back within the call.
    const isPending = outcome === "pending" && (this.#state as string) === "writing";
    this.#state = isPending ? "pending" : "idle";
    if (typeof outcome === "number") this.#fail(outcome);
    return isPending;
  }

  readonly #onWritten = (status: number): void => {
    if (this.#state === "writing") {
      this.#state = "ended while writing";
      if (status < 0) this.#fail(status);
      return;
    }
    this.#lease?.release();
    this.#lease = undefined;
    this.#state = "idle";
    if (status < 0) this.#fail(status);
    this.#writeWaiting();
    if ((this.#state as string) !== "idle") return;
    if (this.#endsAfterFlush) this.#socket.destroySoon();
    this.#flushed();
  };

  #writeWaiting(): void {
    const waiting = this.#waiting;
    while (waiting !== undefined && waiting.length > 0 && this.#state === "idle") {
      const next = waiting.shift() as Waiting;
      this.#write(next.bytes, next.lease);
    }
  }

  #fail(status: number): void {
    if (this.#failed) return;
    this.#failed = true;
    const code = getSystemErrorName(status);
    this.#socket.destroy(Object.assign(new Error(`write ${code}`), { errno: status, code, syscall: "write" }));
  }
}
