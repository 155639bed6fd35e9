import type { Socket } from "node:net";
import {
  canReadDirectly,
  type DirectReader,
  pauseDirectReads,
  readDirectly,
  resumeDirectReads,
} from "../../node-internals.ts";
import { abandon, readArea } from "./arena.ts";
import { type LargeBuffer, takeLargeBuffer } from "./read-buffers.ts";

/** Whom a connection is read for. */
export interface ReadOwner {
  /**
   * Takes what was read. Returns false to pause until the reader is resumed. Bytes in the reading area are valid until
   * the call returns.
   */
  onRead(bytes: Buffer, length: number): boolean;
}

/**
 * Reads a connected socket, of TCP or TLS, for one owner until it is given back: into the reading area, or into a buffer of
 * its own while a body streams. Where Node does not support that, each read gets a new buffer. Past the stream a read
 * costs half as much.
 */
export class SocketReader implements DirectReader {
  /** Bytes that an earlier reader put back; they precede all other input, and the owner must take them. */
  readonly early: Buffer | undefined;
  readonly #socket: Socket;
  readonly #owner: ReadOwner;
  /** The buffer that Node reads into until it asks for the next one, right after a read. */
  #given: Buffer = readArea;
  #own: LargeBuffer | undefined;
  #wanted: "shared" | "own" = "shared";
  /** Whether the own buffer may be reused by another socket after the switch to the reading area. */
  #isReusable = false;
  #isReading = false;
  #isGivenBack = false;
  /** Of a socket that is read as a stream. */
  readonly #onData: ((chunk: Buffer) => void) | undefined;

  constructor(socket: Socket, owner: ReadOwner) {
    this.#socket = socket;
    this.#owner = owner;
    if (canReadDirectly(socket)) {
      // Before the reads go past the stream.
      this.early = socket.readableLength > 0 ? (socket.read() as Buffer) : undefined;
      readDirectly(socket, readArea, this);
      return;
    }
    // A stream emits bytes that were put back by itself.
    this.#onData = (chunk) => {
      if (!owner.onRead(chunk, chunk.length)) socket.pause();
    };
    socket.on("data", this.#onData);
  }

  received(length: number): Buffer | undefined {
    const bytes = this.#given;
    if (this.#isGivenBack) {
      if (!this.#socket.push(Buffer.from(bytes.subarray(0, length)))) pauseDirectReads(this.#socket);
      return undefined;
    }
    this.#isReading = true;
    if (!this.#owner.onRead(bytes, length)) pauseDirectReads(this.#socket);
    this.#isReading = false;
    if (bytes === readArea) abandon(bytes, 0, length);
    return this.#nextBuffer();
  }

  /** From the next read on, reads into a buffer that no other socket uses. */
  useOwn(): void {
    this.#wanted = "own";
  }

  /** Back to the reading area. `written`: whether a pending write may still refer to the own buffer. */
  useShared(written: "flushed" | "pending"): void {
    this.#wanted = "shared";
    this.#isReusable = written === "flushed" && this.#isReading;
  }

  pause(): void {
    if (this.#onData === undefined) pauseDirectReads(this.#socket);
    else this.#socket.pause();
  }

  resume(): void {
    if (this.#onData === undefined) resumeDirectReads(this.#socket);
    else this.#socket.resume();
  }

  /** Makes it an ordinary stream again, with these bytes first. */
  giveBack(unread: Buffer): void {
    const socket = this.#socket;
    this.#isGivenBack = true;
    if (this.#onData !== undefined) socket.off("data", this.#onData);
    socket.unshift(unread);
    socket.on("resume", () => process.nextTick(readUnlessPaused, socket));
    // Whatever reads next expects what Node does itself: it reads where nobody has said otherwise.
    if (this.#onData === undefined) resumeDirectReads(socket);
    // A paused stream must be resumed explicitly; the next reader is attached by then.
    else if (socket.isPaused()) socket.resume();
  }

  /** Undefined if it has not changed, which saves Node an inspection of the buffer. */
  #nextBuffer(): Buffer | undefined {
    if (this.#wanted === "own") this.#own ??= takeLargeBuffer();
    else if (this.#own !== undefined) {
      if (this.#isReusable) this.#own.release();
      this.#own = undefined;
    }
    const buffer = this.#own?.bytes ?? readArea;
    if (buffer === this.#given) return undefined;
    this.#given = buffer;
    return buffer;
  }
}

/**
 * node:http reads on when a resume ends that was begun before the stream was paused, and to pause it again then does
 * nothing: it would read an upload that nobody takes, to the last byte. That happens where bytes were put back. A stream
 * whose reads were stopped here believes that it is reading, so a later resume starts them again.
 */
function readUnlessPaused(socket: Socket): void {
  if (socket.isPaused()) pauseDirectReads(socket);
  else resumeDirectReads(socket);
}
