import { Socket } from "node:net";

/** Who reads from a socket. */
export interface SocketReader {
  /** Where the next read goes. */
  readonly buffer: () => Buffer;
  /** False to stop reading until the socket is resumed. */
  readonly onRead: (length: number, octets: Buffer) => boolean;
}

/** The connection itself, below node's socket. It has no public name. */
interface Handle {
  readonly useUserBuffer?: unknown;
}
type SocketWithHandle = Socket & { _handle?: Handle | null };

/**
 * Has an accepted connection read into the reader's buffer: its handle moves to a socket made with `onread`, which node
 * offers for connections that it makes, not for those it accepts. Measured: a tenth to a fifth less CPU time a request
 * than a new buffer for each read.
 *
 * The option is undocumented. Where the handle is not what is expected, the socket stays as it is, and hands its own
 * buffers to the reader.
 */
export function readInto(accepted: Socket, reader: SocketReader): Socket {
  const handle = (accepted as SocketWithHandle)._handle;
  if (typeof handle?.useUserBuffer !== "function" || accepted.destroyed) return readChunks(accepted, reader);
  (accepted as SocketWithHandle)._handle = null;
  const options = {
    handle,
    allowHalfOpen: true,
    onread: { buffer: reader.buffer, callback: reader.onRead },
  };
  const socket = new Socket(options as unknown as ConstructorParameters<typeof Socket>[0]);
  accepted.destroy();
  return socket;
}

function readChunks(socket: Socket, reader: SocketReader): Socket {
  return socket.on("data", (chunk: Buffer) => {
    if (!reader.onRead(chunk.length, chunk)) socket.pause();
  });
}
