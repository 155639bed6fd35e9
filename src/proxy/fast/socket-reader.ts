import type { Socket } from "node:net";
import { canReadDirectly, pauseDirectReads, readDirectly, resumeDirectReads } from "../../node-internals.ts";

/** What reads a connection. */
export interface ConnectionReader {
  /** The buffer for the next read; undefined: the same as before. Asked first, and after each read. */
  readonly buffer: () => Buffer | undefined;
  /** Returns false to pause reading until the connection is resumed. */
  readonly onRead: (length: number, bytes: Buffer) => boolean;
}

/** A connection that is read by one reader until it is given back. */
export interface ReadSocket {
  /** Bytes that an earlier reader put back; they precede all other input, and the reader must take them. */
  readonly early: Buffer | undefined;
  pause(): void;
  resume(): void;
  /** Makes it an ordinary stream again, with these bytes first. */
  giveBack(unread: Buffer): void;
}

/**
 * Makes a connected socket, of TCP or TLS, read into the reader's buffers if Node supports it, else into a new buffer per
 * read. Past the stream a read costs half as much.
 */
export function readSocket(socket: Socket, reader: ConnectionReader): ReadSocket {
  if (!canReadDirectly(socket)) return readChunks(socket, reader);
  // Before the reads go past the stream.
  const early = socket.readableLength > 0 ? (socket.read() as Buffer) : undefined;
  let current = reader.buffer() as Buffer;
  let givenBack = false;
  readDirectly(socket, current, (length) => {
    if (givenBack) {
      if (!socket.push(Buffer.from(current.subarray(0, length)))) pauseDirectReads(socket);
      return undefined;
    }
    if (!reader.onRead(length, current)) pauseDirectReads(socket);
    const next = reader.buffer();
    if (next !== undefined) current = next;
    return next;
  });
  return {
    early,
    pause: () => pauseDirectReads(socket),
    resume: () => resumeDirectReads(socket),
    giveBack(unread) {
      givenBack = true;
      socket.unshift(unread);
      socket.on("resume", () => process.nextTick(pauseIfPaused, socket));
      // Whatever reads next expects what Node does itself: it reads where nobody has said otherwise.
      resumeDirectReads(socket);
    },
  };
}

/**
 * node:http reads on when a resume ends that was begun before the stream was paused, and to pause it again then does
 * nothing: it would read an upload that nobody takes, to the last byte. That happens where bytes were put back.
 */
function pauseIfPaused(socket: Socket): void {
  if (socket.isPaused()) pauseDirectReads(socket);
}

function readChunks(socket: Socket, reader: ConnectionReader): ReadSocket {
  const onData = (chunk: Buffer) => {
    if (!reader.onRead(chunk.length, chunk)) socket.pause();
  };
  socket.on("data", onData);
  return {
    // A stream emits bytes that were put back by itself.
    early: undefined,
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    giveBack(unread) {
      socket.off("data", onData);
      socket.unshift(unread);
      socket.on("resume", () => process.nextTick(pauseIfPaused, socket));
      // A paused stream must be resumed explicitly; the next reader is attached by then.
      if (socket.isPaused()) socket.resume();
    },
  };
}
