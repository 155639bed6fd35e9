import type { Socket } from "node:net";
import { canMoveToReadInto, moveToReadInto } from "../../node-internals.ts";

/** Who reads from a connection. */
export interface ConnectionReader {
  /** Where the next read goes. */
  readonly buffer: () => Buffer;
  /** False to stop reading until the socket is resumed. */
  readonly onRead: (length: number, bytes: Buffer) => boolean;
}

/** A connection that was accepted, read by one reader until it is given back. */
export interface AcceptedSocket {
  readonly socket: Socket;
  /** What somebody before read and put back: it comes before all else, and is the reader's to take. */
  readonly early: Buffer | undefined;
  /** Makes it a stream like any other again, with these bytes first. */
  giveBack(unread: Buffer): void;
}

/**
 * Has an accepted connection read into the reader's buffer where Node allows it, else into buffers of its own. Measured: a
 * tenth to a fifth less CPU time a request than a new buffer for each read.
 */
export function readAccepted(accepted: Socket, reader: ConnectionReader): AcceptedSocket {
  if (!canMoveToReadInto(accepted)) return readChunks(accepted, reader);
  // What another reader put back has to be taken before the connection moves.
  const early = accepted.readableLength > 0 ? (accepted.read() as Buffer) : undefined;
  let givenBack = false;
  const callback = (length: number, bytes: Buffer): boolean =>
    // Node goes on calling back for as long as the connection lives.
    givenBack ? socket.push(Buffer.from(bytes.subarray(0, length))) : reader.onRead(length, bytes);
  const socket = moveToReadInto(accepted, { buffer: reader.buffer, callback });
  return {
    socket,
    early,
    giveBack(unread) {
      givenBack = true;
      socket.unshift(unread);
    },
  };
}

function readChunks(socket: Socket, reader: ConnectionReader): AcceptedSocket {
  const onData = (chunk: Buffer) => {
    if (!reader.onRead(chunk.length, chunk)) socket.pause();
  };
  socket.on("data", onData);
  return {
    socket,
    // A stream gives what was put back by itself.
    early: undefined,
    giveBack(unread) {
      socket.off("data", onData);
      socket.unshift(unread);
      // Whoever pauses a stream has to start it again; the next reader listens by then.
      if (socket.isPaused()) socket.resume();
    },
  };
}
