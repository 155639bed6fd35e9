import type { Server } from "node:http";
import { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

// ---- net.Socket: reads and writes on _handle, past the stream

/** A write in progress, as libuv keeps it. */
interface WriteRequest {
  oncomplete: (status: number) => void;
  /** Holds the bytes, whose memory libuv reads until the write has ended: nothing else keeps them from collection. */
  buffer?: Uint8Array;
}

/** Takes what a connection receives. */
export interface DirectReader {
  /** So many bytes were read into its buffer. Returns the buffer for the next reads, or undefined for the same. */
  received(length: number): Buffer | undefined;
}

const reader: unique symbol = Symbol("reader");
const nodesOnRead: unique symbol = Symbol("onread of Node");

/** The connection below a socket. */
export interface Handle {
  /** Negative for none; missing on Windows. */
  readonly fd?: number;
  /** Whether Node has started it. */
  reading: boolean;
  /** Node's: called after each read, and for its end and errors. Returns the buffer to read into next, if another. */
  onread: (this: Handle, bytes: unknown) => unknown;
  /** Ours; `readDirectly` sets both. */
  [reader]?: DirectReader;
  [nodesOnRead]?: Handle["onread"];
  readonly useUserBuffer: (buffer: Uint8Array) => void;
  readStart(): number;
  readStop(): number;
  readonly writeQueueSize: number;
  /** What TLS is spoken on. */
  readonly _parent?: { readonly writeQueueSize?: number };
  /** Returns zero or the negative number of a system error. */
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number;
}
type SocketWithHandle = Socket & { _handle?: Handle | null };

interface StreamWrap {
  readonly WriteWrap: new () => WriteRequest;
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kLastWriteWasAsync: number;
}

const streamWrap = loadStreamWrap();
/** A request that no write has kept: one serves all writes that the kernel takes at once. */
let unusedRequest = streamWrap && new streamWrap.WriteWrap();

function loadStreamWrap(): StreamWrap | undefined {
  try {
    const wrap = (process as unknown as { binding(name: string): Partial<StreamWrap> }).binding("stream_wrap");
    const { WriteWrap, streamBaseState, kReadBytesOrError, kLastWriteWasAsync } = wrap;
    if (typeof WriteWrap !== "function" || streamBaseState === undefined) return undefined;
    if (kReadBytesOrError === undefined || kLastWriteWasAsync === undefined) return undefined;
    return { WriteWrap, streamBaseState, kReadBytesOrError, kLastWriteWasAsync };
  } catch {
    return undefined;
  }
}

/** Whether `readDirectly` works for this connection. */
export function canReadDirectly(socket: Socket): boolean {
  const handle = handleOf(socket);
  return streamWrap !== undefined && typeof handle?.useUserBuffer === "function" && typeof handle.onread === "function";
}

/** Reads a connected socket into this buffer, without its stream, and starts reading. Its end and errors reach the stream. */
export function readDirectly(socket: Socket, buffer: Buffer, to: DirectReader): void {
  const handle = handleOf(socket);
  if (handle === undefined || streamWrap === undefined)
    throw new TypeError("Node cannot read this connection directly.");
  handle.useUserBuffer(buffer);
  handle[reader] = to;
  handle[nodesOnRead] = handle.onread;
  handle.onread = onRead;
  resumeDirectReads(socket);
}

const readState = streamWrap?.streamBaseState ?? new Int32Array(1);
const readBytesOrError = streamWrap?.kReadBytesOrError ?? 0;

/** One function for all connections: a closure for each would be further memory to visit with every read. */
function onRead(this: Handle, bytes: unknown): unknown {
  const length = readState[readBytesOrError] as number;
  return length > 0 ? this[reader]?.received(length) : this[nodesOnRead]?.(bytes);
}

export function pauseDirectReads(socket: Socket): void {
  const handle = handleOf(socket);
  if (handle === undefined || !handle.reading) return;
  handle.reading = false;
  handle.readStop();
}

export function resumeDirectReads(socket: Socket): void {
  const handle = handleOf(socket);
  if (handle === undefined || handle.reading) return;
  handle.reading = true;
  if (handle.readStart() !== 0) socket.destroy();
}

/**
 * What became of a write: `pending` ends with a call of `done`, and the bytes must not change before; anything else has
 * ended, and an error is the negative number of a system error.
 */
export type WriteOutcome = "taken" | "pending" | number;

/**
 * Writes bytes to a connected socket without its stream, which costs as much as the rest of the write. `handle`: that of
 * the socket; one that has closed refuses. Nothing else may write to the socket while a write is pending. `done` gets zero
 * or a negative system error. Where Node lacks the interface the stream writes a copy.
 */
export function writeBytes(
  handle: Handle,
  socket: Socket,
  bytes: Uint8Array,
  done: (status: number) => void,
): WriteOutcome {
  if (streamWrap === undefined || unusedRequest === undefined) return writeThroughStream(socket, bytes, done);
  unusedRequest.oncomplete = done;
  const error = handle.writeBuffer(unusedRequest, bytes);
  if (streamWrap.streamBaseState[streamWrap.kLastWriteWasAsync] === 0) return error === 0 ? "taken" : error;
  unusedRequest.buffer = bytes;
  unusedRequest = new streamWrap.WriteWrap();
  return error === 0 ? "pending" : error;
}

function writeThroughStream(socket: Socket, bytes: Uint8Array, done: (status: number) => void): WriteOutcome {
  socket.write(Buffer.from(bytes), (error) => done((error as { readonly errno?: number } | null)?.errno ?? 0));
  return "pending";
}

/** Bytes that wait for the peer to read, in this process. They are fewer whenever the peer has taken some. */
export function unsentBytes(socket: Socket): number {
  const handle = handleOf(socket);
  return handle === undefined ? socket.writableLength : handle.writeQueueSize + (handle._parent?.writeQueueSize ?? 0);
}

/** The connection below a socket, which stays the same once it is connected. Undefined once it is destroyed. */
export function handleOf(socket: Socket): Handle | undefined {
  return (socket as SocketWithHandle)._handle ?? undefined;
}

/** The number of the file descriptor of an accepted connection; undefined where Node does not tell. */
export function descriptorOf(socket: Socket): number | undefined {
  const fd = handleOf(socket)?.fd;
  return fd === undefined || fd < 0 ? undefined : fd;
}

// ---- net.Socket: how a failed write and the end of the input reach the stream

/**
 * A socket that reads on after a write failed because the peer has reset the connection, and is destroyed with that error
 * once it has read everything. Node destroys a socket at once, and with it a response that the peer sent before the reset
 * and the kernel still holds. Read it with `readDirectly`. Where Node no longer calls `destroy` and `push`, it is a plain socket.
 */
export class ReadOnSocket extends Socket {
  #writeError: Error | undefined;

  override destroy(error?: Error): this {
    if (!isResetOfWrite(error) || this.#writeError !== undefined) return super.destroy(error);
    this.#writeError = error;
    return this;
  }

  /** Node reports the end of the input by `push(null)`; a stream with an error emits no `end`. */
  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    if (chunk !== null || this.#writeError === undefined) return super.push(chunk, encoding);
    super.destroy(this.#writeError);
    return false;
  }
}

function isResetOfWrite(error: (Error & { readonly code?: unknown; readonly syscall?: unknown }) | undefined): boolean {
  return error?.syscall === "write" && (error.code === "EPIPE" || error.code === "ECONNRESET");
}

// ---- net.Socket: the methods that bytes and errors pass

/** What stands between a connection and the user of its socket. */
export interface SocketWatcher {
  /** Bytes were received; null: the input has ended. Returns whether to read on. */
  received(chunk: Buffer | null): boolean;
  /** A write begins, with this chunk. */
  writing(chunk: unknown): void;
  /** A write has ended. Unless `done` is called the socket begins no other, and does not learn of the error. */
  written(error: Error | null | undefined, done: (error?: Error | null) => void): void;
  /** Returns the error that the socket is destroyed with. */
  destroying(error: Error | undefined): Error | undefined;
}

/**
 * Puts a watcher into a socket, since a stream in between would copy every chunk. Returns the function that passes bytes
 * on to the socket's user. Where Node does not call the methods, nothing is watched and everything is passed on.
 */
export function watchSocket(socket: Socket, watcher: SocketWatcher): (chunk: Buffer | null) => boolean {
  const push = socket.push.bind(socket);
  const destroy = socket.destroy.bind(socket);
  const write = socket._write.bind(socket);
  const writev = socket._writev?.bind(socket);
  socket.push = (chunk: Buffer | null) => watcher.received(chunk);
  socket.destroy = (error) => destroy(watcher.destroying(error));
  socket._write = (chunk, encoding, done) => {
    watcher.writing(chunk);
    write(chunk, encoding, (error) => watcher.written(error, done));
  };
  if (writev !== undefined) {
    socket._writev = (chunks, done) => {
      watcher.writing(chunks[0]?.chunk);
      writev(chunks, (error) => watcher.written(error, done));
    };
  }
  return push;
}

// ---- tls.TLSSocket: _parent

/** The connection that TLS is spoken on; undefined where Node does not tell. */
export function socketBelowTls(socket: TLSSocket): Socket | undefined {
  return (socket as TLSSocket & { readonly _parent?: Socket })._parent;
}

// ---- http.Server: a socket's _httpMessage, and the timer that `listening` starts

/** Whether a response to an earlier request is still due on this connection; false where Node does not tell. */
export function isResponseDue(socket: Socket): boolean {
  const { _httpMessage } = socket as Socket & { _httpMessage?: unknown };
  return _httpMessage !== undefined && _httpMessage !== null;
}

/**
 * Has a server that never listens enforce `headersTimeout` and `requestTimeout` on the connections that it is given: Node
 * starts the check when the server begins to listen.
 */
export function startTimeoutChecks(server: Server): void {
  server.emit("listening");
}

// ---- Buffer: latin1Slice and latin1Write

type SlicedBuffer = Buffer & {
  latin1Slice?: (from: number, to: number) => string;
  latin1Write?: (text: string, at: number, length: number) => number;
};

/** `toString("latin1", from, to)` without its checks, which cost as much as a short string. */
export const latin1Slice: (bytes: Buffer, from: number, to: number) => string =
  typeof (Buffer.prototype as SlicedBuffer).latin1Slice === "function"
    ? (bytes, from, to) => (bytes as Required<SlicedBuffer>).latin1Slice(from, to)
    : (bytes, from, to) => bytes.toString("latin1", from, to);

/** `write(text, at, "latin1")` without its checks. */
export const latin1Write: (bytes: Buffer, text: string, at: number) => number =
  typeof (Buffer.prototype as SlicedBuffer).latin1Write === "function"
    ? (bytes, text, at) => (bytes as Required<SlicedBuffer>).latin1Write(text, at, text.length)
    : (bytes, text, at) => bytes.write(text, at, "latin1");

/** Which of the interfaces above that are looked up once are there. */
export const lookedUp = {
  streamWrap: streamWrap !== undefined,
  latin1Slice: typeof (Buffer.prototype as SlicedBuffer).latin1Slice === "function",
  latin1Write: typeof (Buffer.prototype as SlicedBuffer).latin1Write === "function",
} as const;

// ---- V8: minor collections

let collectMinor: (() => void) | false | undefined;

/**
 * V8's minor collection. It is handed out only to contexts made while the flag is set; a context takes milliseconds, so
 * there is one for the thread. The flag is the process's and stays: cleared, it could be gone at the moment when another
 * thread makes its context.
 */
export function minorCollection(): (() => void) | undefined {
  if (collectMinor === undefined) {
    setFlagsFromString("--expose-gc");
    const collect: unknown = runInNewContext("globalThis.gc");
    collectMinor = typeof collect === "function" && (() => collect({ type: "minor" }));
  }
  return collectMinor || undefined;
}
