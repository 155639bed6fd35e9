/**
 * All of Node's interfaces that Perch uses and Node does not document, in one place. Each works without the interface,
 * slower or with less; `missingNodeInternals` tells at start which of them a version of Node has taken away.
 */
import { once } from "node:events";
import { createServer as createHttpServer, IncomingMessage, type Server, ServerResponse } from "node:http";
import { type AddressInfo, connect, createServer, Socket } from "node:net";
import { setTimeout } from "node:timers/promises";
import { TLSSocket } from "node:tls";
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

// ---- the check at start

/** The interfaces that this version of Node lacks, each with its consequence, for the log. */
export async function missingNodeInternals(): Promise<readonly string[]> {
  let client: Socket | undefined;
  const accepted = await acceptedFrom((port) => {
    client = connect(port, "127.0.0.1").on("error", () => {});
  });
  const checks: readonly (readonly [missing: boolean, consequence: string])[] = [
    [!canReadDirectly(accepted), "net.Socket._handle: the fast lane allocates a buffer for each read"],
    [
      process.platform === "linux" && descriptorOf(accepted) === undefined,
      "net.Socket._handle.fd: no file descriptors are kept for the admin server",
    ],
    [!knowsResponseDue(accepted), "socket._httpMessage: a pipelined WebSocket upgrade is not held back"],
    [!startsTimeoutChecks(), "http.Server's listening event: the standard lane does not time out slow request heads"],
    [streamWrap === undefined, "stream_wrap: the fast lane copies what it writes"],
    [(Buffer.prototype as SlicedBuffer).latin1Slice === undefined, "Buffer.latin1Slice: header fields are read slower"],
    [(Buffer.prototype as SlicedBuffer).latin1Write === undefined, "Buffer.latin1Write: fields are written slower"],
    [minorCollection() === undefined, "gc: streamed bodies hold more memory"],
    [
      !(await readsOnAfterReset()),
      "net.Socket.destroy and push: the fast lane loses responses that upstreams sent before a reset",
    ],
    [
      !(await watchesSockets()),
      "net.Socket.push, _write and destroy: the standard lane takes responses of HTTP/1.1 upstreams as undici reads them",
    ],
    // Last, for it takes the connection over.
    [!knowsSocketBelow(accepted), "TLSSocket._parent: listeners with tls do not accept connections"],
  ];
  client?.destroy();
  accepted.destroy();
  return checks.flatMap(([missing, consequence]) => (missing ? [consequence] : []));
}

/** A connection over loopback, as its server gets it: paused. */
async function acceptedFrom(open: (port: number) => void): Promise<Socket> {
  const server = createServer({ pauseOnConnect: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  open((server.address() as AddressInfo).port);
  const [accepted] = (await once(server, "connection")) as [Socket];
  server.close();
  return accepted;
}

/** The longest that a check waits for what Node may no longer report. */
const checkMs = 500;

async function readsOnAfterReset(): Promise<boolean> {
  let received = 0;
  const onread = {
    buffer: Buffer.alloc(16),
    callback: (length: number) => {
      received += length;
      return true;
    },
  };
  const socket = new ReadOnSocket({ onread } as ConstructorParameters<typeof Socket>[0]).on("error", () => {});
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  socket.once("close", () => resolve());
  const connected = once(socket, "ready");
  const peer = await acceptedFrom((port) => socket.connect(port, "127.0.0.1"));
  await connected;
  // The kernel has delivered both by the time of the next write.
  peer.write("answer", () => {
    peer.resetAndDestroy();
    socket.write("request");
  });
  await Promise.race([closed, setTimeout(checkMs)]);
  const readsOn = socket.destroyed && received === "answer".length;
  socket.destroy();
  return readsOn;
}

async function watchesSockets(): Promise<boolean> {
  const socket = new Socket().on("error", () => {});
  const { promise: read, resolve } = Promise.withResolvers<void>();
  const seen = new Set<string>();
  const push = watchSocket(socket, {
    received(chunk) {
      seen.add("received");
      resolve();
      return push(chunk);
    },
    writing: () => seen.add("writing"),
    written(error, done) {
      seen.add("written");
      done(error);
    },
    destroying(error) {
      seen.add("destroying");
      return error;
    },
  });
  const peer = await acceptedFrom((port) => socket.connect(port, "127.0.0.1"));
  socket.resume().write("request", () => peer.write("answer"));
  await Promise.race([read, setTimeout(checkMs)]);
  socket.destroy();
  peer.destroy();
  return seen.size === 4;
}

function knowsResponseDue(socket: Socket): boolean {
  const response = new ServerResponse(new IncomingMessage(socket));
  response.assignSocket(socket);
  const isKnown = isResponseDue(socket);
  response.detachSocket(socket);
  return isKnown;
}

function knowsSocketBelow(socket: Socket): boolean {
  const secured = new TLSSocket(socket, { isServer: true });
  secured.on("error", () => {});
  const isKnown = socketBelowTls(secured) === socket;
  secured.destroy();
  return isKnown;
}

/** Node keeps the timer under a symbol of the server. */
function startsTimeoutChecks(): boolean {
  const server = createHttpServer();
  const before = timersOf(server);
  startTimeoutChecks(server);
  const isStarted = timersOf(server) > before;
  server.close();
  return isStarted;
}

function timersOf(server: Server): number {
  const values = Object.getOwnPropertySymbols(server).map((symbol) => Reflect.get(server, symbol) as unknown);
  return values.filter((value) => typeof value === "object" && value?.constructor.name === "Timeout").length;
}
