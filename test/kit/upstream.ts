import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import net, { type AddressInfo, type Socket } from "node:net";

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  /** As they came: name, value, name, value. */
  readonly rawHeaders: readonly string[];
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

export interface TestUpstream {
  readonly origin: string;
  readonly port: number;
  /** Requests whose body has ended, in order. */
  readonly seen: SeenRequest[];
  /** Connections accepted so far. */
  readonly connections: number;
  close(): Promise<void>;
}

type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** A real HTTP server that records what it is sent. By default it answers 200 with its name in `x-upstream`. */
export async function startUpstream(name: string, answer?: Answer): Promise<TestUpstream> {
  const seen: SeenRequest[] = [];
  let connections = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("error", () => {});
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString("latin1");
      const { method = "", url = "", rawHeaders, headers } = request;
      seen.push({ method, url, rawHeaders, headers, body });
      if (answer !== undefined) answer(request, response, body);
      else response.writeHead(200, { "x-upstream": name, "content-type": "text/plain" }).end(`hello from ${name}\n`);
    });
  });
  server.on("connection", () => connections++);
  const port = await listen(server);
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    seen,
    get connections() {
      return connections;
    },
    close: () => closed(server, () => server.closeAllConnections()),
  };
}

export interface RawUpstream {
  readonly origin: string;
  readonly port: number;
  readonly sockets: readonly Socket[];
  close(): Promise<void>;
}

/** A server that speaks bytes: `onData` gets everything received on a connection so far. */
export async function startRawUpstream(onData: (socket: Socket, received: string) => void): Promise<RawUpstream> {
  const sockets: Socket[] = [];
  const server = net.createServer((socket) => {
    sockets.push(socket);
    let received = "";
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      onData(socket, received);
    });
  });
  const port = await listen(server);
  const destroyAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  return { origin: `http://127.0.0.1:${port}`, port, sockets, close: () => closed(server, destroyAll) };
}

/** Raw fields as `name: value`. */
export const fieldLines = (raw: readonly string[] = []): string[] =>
  raw.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${raw[i + 1]}`] : []));

/** A port on which nothing listens now: taken and given back. */
export async function freePort(): Promise<number> {
  const server = net.createServer();
  const port = await listen(server);
  await closed(server, () => {});
  return port;
}

/** An origin that refuses connections. */
export async function refusedOrigin(): Promise<string> {
  return `http://127.0.0.1:${await freePort()}`;
}

function listen(server: net.Server | Server): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  return promise;
}

function closed(server: net.Server, breakOff: () => void): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  breakOff();
  return promise;
}
