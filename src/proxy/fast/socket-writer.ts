import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { latin1Slice } from "../../node-internals.ts";
import type { ChunkedSink } from "./body-parser.ts";

/** Pieces up to this size join the text that leaves with them; copying more would cost more than a second write. */
const smallBytes = 8 * 1024;
/** As much text as leaves in one write without memory of its own: node's buffer for strings on the stack. */
const maxTextBytes = 16 * 1024;

const nothing = Buffer.alloc(0);

/**
 * Writes to one peer. What is small is gathered as text, so that a head and a small body leave in one write; what is
 * large leaves as it lies in the buffer that it was read into.
 */
export class SocketWriter implements ChunkedSink {
  readonly #socket: Socket;
  readonly #buffers: ReadBuffers;
  readonly #flushed: () => void;
  /** TLS takes nothing at once. */
  readonly #takesLater: boolean;
  #text = "";

  /**
   * `flushed` is called whenever what was pending has left this process. What the kernel takes at once is not pending for
   * a moment, and nothing need be called for it.
   */
  constructor(socket: Socket, buffers: ReadBuffers, flushed: () => void) {
    this.#socket = socket;
    this.#buffers = buffers;
    this.#flushed = flushed;
    this.#takesLater = socket instanceof TLSSocket;
  }

  /** Whether something written has not left yet. */
  get pending(): boolean {
    return this.#socket.writableLength > 0;
  }

  /** Whether the peer cannot be reached any more; the socket's `close` follows, if it has not come. */
  get broken(): boolean {
    return this.#socket.destroyed || this.#socket.errored !== null;
  }

  /** Latin-1; leaves with the next `flush`, or with a large piece behind it. */
  addText(text: string): void {
    this.#text += text;
  }

  /** A piece in the shared buffer is copied, for the next read overwrites it; any other must stay as it is until flushed. */
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
    // Node takes a tick for a callback, whenever its write was over; so only what is pending gets one, behind it.
    if (this.#takesLater) this.#socket.write(this.#text, "latin1", this.#flushed);
    else {
      this.#socket.write(this.#text, "latin1");
      if (this.pending) this.#socket.write(nothing, this.#flushed);
    }
    this.#text = "";
  }
}

/** A way out for bytes whose text is known: it is that of the bytes from `origin` on. */
export class TextSink implements ChunkedSink {
  readonly #writer: SocketWriter;
  readonly #text: string;
  readonly #origin: number;

  constructor(writer: SocketWriter, text: string, origin: number) {
    this.#writer = writer;
    this.#text = text;
    this.#origin = origin;
  }

  passBytes(_octets: Buffer, from: number, to: number): void {
    this.#writer.addText(this.#text.slice(from - this.#origin, to - this.#origin));
  }
}

/** What one read takes at most: a head and 64 KiB of body come in one, which costs a fifth less than in two. */
const bufferBytes = 128 * 1024;
/** Buffers kept for the next stream. */
const maxFree = 32;

/** What is no buffer leaves node with the one it has; its types know of buffers only. */
const theSame = undefined as unknown as Buffer;

/**
 * Where sockets read into. All share one buffer, for what is read is understood before the next read begins; a message
 * whose body streams gets one of its own, which a write that the kernel can not take at once may hold on to.
 */
export class ReadBuffers {
  readonly shared: Buffer = Buffer.allocUnsafeSlow(bufferBytes);
  readonly #free: Buffer[] = [];

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(bufferBytes);
  }

  /** Only where no write holds on to it, and no socket will read into it. */
  giveBack(buffer: Buffer): void {
    if (this.#free.length < maxFree) this.#free.push(buffer);
  }
}

/**
 * The buffer that one socket reads into. Node goes on reading into the one that it was given last until it asks for the
 * next, right after a read: only then is the old one nobody's.
 */
export class ReadTarget {
  readonly #buffers: ReadBuffers;
  #current: Buffer;
  #wanted: "shared" | "own" = "shared";
  /** Whether the own buffer may serve another socket once it is left. */
  #reusable = false;
  #reading = false;
  /** What node was told last. */
  #named: Buffer | undefined;

  constructor(buffers: ReadBuffers) {
    this.#buffers = buffers;
    this.#current = buffers.shared;
  }

  /** A read is being understood; node asks for the next buffer when that is done. */
  readBegun(): void {
    this.#reading = true;
  }

  /** From the next read on, bytes come in a buffer that no other socket reads into. */
  useOwn(): void {
    this.#wanted = "own";
  }

  /** Back to the buffer of all. `written`: whether a write may still hold on to the own one. */
  useShared(written: "flushed" | "pending"): void {
    this.#wanted = "shared";
    this.#reusable = written === "flushed" && this.#reading;
  }

  /**
   * What node asks for: first, and after each read. Where the buffer stays the same it is not named again, which node
   * takes so, and which spares it a look into the buffer.
   */
  readonly next = (): Buffer => {
    this.#reading = false;
    const { shared } = this.#buffers;
    if (this.#wanted === "own" && this.#current === shared) this.#current = this.#buffers.take();
    else if (this.#wanted === "shared" && this.#current !== shared) {
      if (this.#reusable) this.#buffers.giveBack(this.#current);
      this.#current = shared;
    }
    if (this.#current === this.#named) return theSame;
    this.#named = this.#current;
    return this.#current;
  };
}
