import { once } from "node:events";
import { createServer as createHttpServer, IncomingMessage, type Server, ServerResponse } from "node:http";
import { type AddressInfo, connect, createServer, Socket } from "node:net";
import { setTimeout } from "node:timers/promises";
import { TLSSocket } from "node:tls";
import {
  canReadDirectly,
  descriptorOf,
  isResponseDue,
  lookedUp,
  minorCollection,
  ReadOnSocket,
  socketBelowTls,
  startTimeoutChecks,
  watchSocket,
} from "../node-internals.ts";
import type { Logger } from "../observe/log.ts";

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
    [!lookedUp.streamWrap, "stream_wrap: the fast lane copies what it writes"],
    [!lookedUp.latin1Slice, "Buffer.latin1Slice: header fields are read slower"],
    [!lookedUp.latin1Write, "Buffer.latin1Write: fields are written slower"],
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

/** Logs once at start what a missing Node interface costs, rather than letting it be found out under load. */
export async function warnOfMissingInternals(log: Logger): Promise<void> {
  try {
    for (const consequence of await missingNodeInternals())
      log.warn({ consequence }, "this version of Node lacks an interface");
  } catch (error) {
    log.debug({ err: error }, "Node's interfaces could not be checked");
  }
}
