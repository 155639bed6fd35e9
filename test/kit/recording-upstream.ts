import net, { type AddressInfo, type Server, type Socket } from "node:net";
import { type Bell, turn } from "./bell.ts";
import type { StrictMessage } from "./strict-bytes.ts";
import { readStrictRequest } from "./strict-request.ts";

/** One thing that a recording upstream does in an answer. */
export type AnswerStep =
  /** Bytes in one write, which arrive by themselves. */
  | { readonly send: string }
  /** Waits until the client has received this text. */
  | { readonly clientHas: string }
  /** Waits until the connection has brought this text. */
  | { readonly received: string }
  /** Waits for the end that the other side gives the connection. */
  | { readonly gone: true }
  | { readonly do: "end" | "reset" };

/** What is answered to one request, begun once its head or the whole of it has come. */
export interface Answer {
  readonly from?: "head" | "whole request";
  readonly steps: readonly AnswerStep[];
}

export interface RecordedRequest {
  readonly message: StrictMessage;
  /** Requests of all upstreams of a director, by the arrival of their heads. */
  readonly arrival: number;
}

/** What came on one connection. */
export interface RecordedConnection {
  bytes: string;
  state: "open" | "ended" | "closed";
  readonly requests: RecordedRequest[];
  /** What makes the bytes no strict HTTP/1.1. */
  problem: string | undefined;
  /** A request whose head came, and whose body did not. */
  partial: StrictMessage | undefined;
  /** Bytes that belong to no complete request. */
  left: number;
}

/** Tells the answers by the order in which requests come, and when steps that wait may go on. */
export interface Director {
  readonly bell: Bell;
  /** Called once a head has come; `arrival` counts up. */
  answer(request: StrictMessage): { readonly answer: Answer; readonly arrival: number };
  clientHas(text: string): boolean;
  readonly waitMs: number;
}

/**
 * An upstream over raw sockets that keeps the exact bytes it gets, reads them strictly, and answers by a script. It never
 * corrects or completes anything.
 */
export class RecordingUpstream {
  readonly port: number;
  connections: RecordedConnection[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #director: Director;

  private constructor(server: Server, director: Director) {
    this.#server = server;
    this.#director = director;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", (socket) => this.#serve(socket));
  }

  static async start(director: Director): Promise<RecordingUpstream> {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true });
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(0, "127.0.0.1", () => resolve());
    await promise;
    return new RecordingUpstream(server, director);
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Forgets what was recorded, and closes what is open. */
  reset(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.connections = [];
  }

  async close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.reset();
    await promise;
  }

  #serve(socket: Socket): void {
    const { bell } = this.#director;
    const connection: RecordedConnection = {
      bytes: "",
      state: "open",
      requests: [],
      problem: undefined,
      partial: undefined,
      left: 0,
    };
    this.#sockets.add(socket);
    this.connections.push(connection);
    const reader = new ConnectionReader(connection, (request) => this.#begin(socket, connection, request));
    socket.setEncoding("latin1");
    socket.on("data", (bytes: string) => {
      connection.bytes += bytes;
      reader.read();
      bell.ring();
    });
    socket.on("end", () => {
      if (connection.state === "open") connection.state = "ended";
      if (socket.writable) socket.end();
      bell.ring();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      connection.state = "closed";
      this.#sockets.delete(socket);
      bell.ring();
    });
  }

  /** A head has come: runs its answer; answers on one connection follow one another as its requests do. */
  #begin(socket: Socket, connection: RecordedConnection, request: HeadArrival): number {
    const { answer, arrival } = this.#director.answer(request.head);
    void this.#run(socket, connection, request, answer);
    return arrival;
  }

  async #run(socket: Socket, connection: RecordedConnection, request: HeadArrival, answer: Answer): Promise<void> {
    const { bell, waitMs } = this.#director;
    const whole = () => connection.requests.length > request.index || connection.problem !== undefined;
    const gone = () => connection.state !== "open";
    if (answer.from !== "head") await bell.until(() => whole() || gone(), waitMs);
    for (const step of answer.steps) {
      if (socket.destroyed) return;
      if ("send" in step) {
        socket.write(step.send, "latin1");
        await turn();
      } else if ("clientHas" in step) {
        await bell.until(() => this.#director.clientHas(step.clientHas) || gone(), waitMs);
      } else if ("received" in step) {
        await bell.until(() => connection.bytes.includes(step.received) || gone(), waitMs);
      } else if ("gone" in step) {
        await bell.until(gone, waitMs);
      } else if (step.do === "end") {
        socket.end();
        await turn();
      } else {
        socket.resetAndDestroy();
      }
    }
  }
}

interface HeadArrival {
  readonly head: StrictMessage;
  /** Of how many complete requests this one is behind on its connection. */
  readonly index: number;
}

/** Reads a connection's bytes as they come. */
class ConnectionReader {
  readonly #connection: RecordedConnection;
  readonly #onHead: (request: HeadArrival) => number;
  #at = 0;
  #begun = 0;
  #arrival = 0;

  constructor(connection: RecordedConnection, onHead: (request: HeadArrival) => number) {
    this.#connection = connection;
    this.#onHead = onHead;
  }

  read(): void {
    const connection = this.#connection;
    while (connection.problem === undefined && this.#at < connection.bytes.length) {
      const reading = readStrictRequest(connection.bytes, this.#at);
      const index = connection.requests.length;
      const head = reading.kind === "complete" ? reading.message : reading.soFar;
      connection.partial = reading.kind === "complete" ? undefined : head;
      if (reading.kind === "malformed") connection.problem = reading.problem;
      if (head !== undefined && index === this.#begun) {
        this.#begun++;
        this.#arrival = this.#onHead({ head, index });
      }
      if (reading.kind !== "complete") break;
      connection.requests.push({ message: reading.message, arrival: this.#arrival });
      this.#at = reading.end;
    }
    connection.left = connection.bytes.length - this.#at;
  }
}
