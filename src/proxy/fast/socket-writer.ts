import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { latin1Slice } from "../../node-internals.ts";
import type { ChunkedSink } from "../http1/body-parser.ts";

/** Pieces up to this size are appended to the text; copying more would cost more than a second write. */
const smallBytes = 8 * 1024;
/** Maximum text that Node writes without allocating: its stack buffer for strings. */
const maxTextBytes = 16 * 1024;

const nothing = Buffer.alloc(0);

/**
 * Writes to one peer. Small pieces are collected as text, so that a head and a small body are one write; large pieces
 * are written from the buffer they were read into.
 */
export class SocketWriter implements ChunkedSink {
  readonly #socket: Socket;
  readonly #buffers: ReadBuffers;
  readonly #flushed: () => void;
  /** TLS sockets never write synchronously. */
  readonly #writesAsync: boolean;
  #text = "";

  /**
   * `flushed` is called whenever pending writes were handed to the kernel. Writes that the kernel accepts at once are
   * never pending, and need not lead to a call.
   */
  constructor(socket: Socket, buffers: ReadBuffers, flushed: () => void) {
    this.#socket = socket;
    this.#buffers = buffers;
    this.#flushed = flushed;
    this.#writesAsync = socket instanceof TLSSocket;
  }

  /** Whether writes are queued in this process. */
  get pending(): boolean {
    return this.#socket.writableLength > 0;
  }

  /** Whether the socket failed or was destroyed; its `close` follows if it was not emitted yet. */
  get broken(): boolean {
    return this.#socket.destroyed || this.#socket.errored !== null;
  }

  /** Latin-1; written with the next `flush`, or with the next large piece. */
  addText(text: string): void {
    this.#text += text;
  }

  /** Copies a piece of the shared buffer, which the next read overwrites. Any other must not change until flushed. */
  passBytes(bytes: Buffer, from: number, to: number): void {
    const length = to - from;
    if (length <= smallBytes && this.#text.length + length <= maxTextBytes) {
      this.#text += latin1Slice(bytes, from, to);
      return;
    }
    if (bytes === this.#buffers.shared) this.#writeCopy(bytes, from, to);
    else this.#write(bytes.subarray(from, to));
  }

  #writeCopy(bytes: Buffer, from: number, to: number): void {
    const copy = this.#buffers.take();
    copy.set(bytes.subarray(from, to));
    this.#write(copy.subarray(0, to - from));
    if (!this.pending) this.#buffers.giveBack(copy);
  }

  #write(piece: Buffer): void {
    if (this.#text === "") {
      this.#socket.write(piece, this.#flushed);
      return;
    }
    this.#socket.cork();
    this.#socket.write(this.#text, "latin1");
    this.#socket.write(piece, this.#flushed);
    this.#socket.uncork();
    this.#text = "";
  }

  flush(): void {
    if (this.#text === "") return;
    // A write callback costs a tick even if the write was synchronous, so only pending writes get one.
    if (this.#writesAsync) this.#socket.write(this.#text, "latin1", this.#flushed);
    else {
      this.#socket.write(this.#text, "latin1");
      if (this.pending) this.#socket.write(nothing, this.#flushed);
    }
    this.#text = "";
  }
}

/** A sink for bytes that were already decoded: `text` is the bytes from `origin` on. */
export class TextSink implements ChunkedSink {
  readonly #writer: SocketWriter;
  readonly #text: string;
  readonly #origin: number;

  constructor(writer: SocketWriter, text: string, origin: number) {
    this.#writer = writer;
    this.#text = text;
    this.#origin = origin;
  }

  passBytes(_bytes: Buffer, from: number, to: number): void {
    this.#writer.addText(this.#text.slice(from - this.#origin, to - this.#origin));
  }
}

/** Maximum bytes per read: a head and 64 KiB of body fit in one, which costs 20 % less than two reads. */
const bufferBytes = 128 * 1024;
/** Maximum unused buffers kept. */
const maxFree = 32;

/** Any value that is not a buffer makes Node keep the current one; its types allow only buffers. */
const keepCurrent = undefined as unknown as Buffer;

/**
 * The buffers that sockets read into. All share one, since the bytes are parsed before the next read begins. A message
 * whose body streams gets its own, which pending writes may refer to.
 */
export class ReadBuffers {
  readonly shared: Buffer = Buffer.allocUnsafeSlow(bufferBytes);
  readonly #free: Buffer[] = [];

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(bufferBytes);
  }

  /** Only if no pending write refers to it and no socket will read into it. */
  giveBack(buffer: Buffer): void {
    if (this.#free.length < maxFree) this.#free.push(buffer);
  }
}

/**
 * The buffer that one socket reads into. Node keeps reading into the last buffer it was given until it asks for the
 * next one, right after a read: only then may the old buffer be reused.
 */
export class ReadTarget {
  readonly #buffers: ReadBuffers;
  #current: Buffer;
  #wanted: "shared" | "own" = "shared";
  /** Whether the own buffer may be reused by another socket after the switch to the shared one. */
  #reusable = false;
  #reading = false;
  /** The buffer given to Node last. */
  #given: Buffer | undefined;

  constructor(buffers: ReadBuffers) {
    this.#buffers = buffers;
    this.#current = buffers.shared;
  }

  /** A read is being parsed; Node asks for the next buffer afterwards. */
  readBegun(): void {
    this.#reading = true;
  }

  /** From the next read on, reads into a buffer that no other socket uses. */
  useOwn(): void {
    this.#wanted = "own";
  }

  /** Back to the shared buffer. `written`: whether a pending write may still refer to the own one. */
  useShared(written: "flushed" | "pending"): void {
    this.#wanted = "shared";
    this.#reusable = written === "flushed" && this.#reading;
  }

  /**
   * Called by Node first and after each read. An unchanged buffer is not returned again, which saves Node an inspection
   * of the buffer.
   */
  readonly next = (): Buffer => {
    this.#reading = false;
    const { shared } = this.#buffers;
    if (this.#wanted === "own" && this.#current === shared) this.#current = this.#buffers.take();
    else if (this.#wanted === "shared" && this.#current !== shared) {
      if (this.#reusable) this.#buffers.giveBack(this.#current);
      this.#current = shared;
    }
    if (this.#current === this.#given) return keepCurrent;
    this.#given = this.#current;
    return this.#current;
  };
}
