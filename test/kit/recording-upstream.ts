import net, { type AddressInfo, type Server, type Socket } from "node:net";
import { type Bell, turn } from "./bell.ts";
import type { StrictMessage } from "./strict-bytes.ts";
import { readStrictRequest } from "./strict-request.ts";

/** A step of a recording upstream's answer. */
export type AnswerStep =
  /** Bytes in one write, which arrive in a read of their own. */
  | { readonly send: string }
  /** Waits until the client has received this string. */
  | { readonly clientHas: string }
  /** Waits until the connection has received this string. */
  | { readonly received: string }
  /** Waits until the other side ends the connection. */
  | { readonly gone: true }
  | { readonly do: "end" | "reset" };

/** The answer to one request, begun once its head or all of it has been received. */
export interface Answer {
  readonly from?: "head" | "whole request";
  readonly steps: readonly AnswerStep[];
}

export interface RecordedRequest {
  readonly message: StrictMessage;
  /** The order of heads over all upstreams of a director. */
  readonly arrival: number;
}

/** Everything received on one connection. */
export interface RecordedConnection {
  bytes: string;
  state: "open" | "ended" | "closed";
  readonly requests: RecordedRequest[];
  /** Why the bytes are not strict HTTP/1.1. */
  problem: string | undefined;
  /** A request whose head is complete and whose body is not. */
  partial: StrictMessage | undefined;
  /** The number of bytes behind the last complete request. */
  left: number;
}

/** Chooses the answers by the order of requests, and ends the waits of steps. */
export interface Director {
  readonly bell: Bell;
  /** Called for each complete head; `arrival` counts up. */
  answer(request: StrictMessage): { readonly answer: Answer; readonly arrival: number };
  clientHas(text: string): boolean;
  readonly waitMs: number;
}

/**
 * An upstream over raw sockets that records the exact bytes it receives, parses them strictly, and answers by a script.
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

  /** Clears the record, and closes open connections. */
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

  /** Runs the answer of a complete head. */
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
  /** The number of complete requests before it on its connection. */
  readonly index: number;
}

/** Parses a connection's bytes as they arrive. */
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
