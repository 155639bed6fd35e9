import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** No usual client of the admin server pipelines requests. */
const maxPipelined = 8;

/**
 * Limits the connections of a server without refusing new ones: over the limit, another connection is closed to make
 * room. The first to go is the one that has waited longest for a complete request head, then the one whose response is
 * oldest. So connections that send slowly, idle, or do not read cannot keep a probe out. A connection with more than
 * `maxPipelined` responses due is closed, as Node begins to serve all the requests that one read brings.
 */
export class ConnectionPlaces {
  readonly #max: number;
  readonly #isScarce: (newest: Socket) => boolean;
  /** Without a complete request head, in the order of the last response; those without any by their beginning. */
  readonly #waiting = new Set<Socket>();
  /** With responses due, and how many; by the first request's head. */
  readonly #busy = new Map<Socket, number>();
  /**
   * Those that were scarce when they came. While there are any, each new one takes the place of another: its own
   * descriptor may be one that was just freed, which says nothing about how many are left.
   */
  readonly #scarce = new Set<Socket>();

  /** `isScarce` tells for a new connection whether descriptors are scarce; `max` is the limit while they are not. */
  constructor(server: Server, max: number, isScarce: (newest: Socket) => boolean) {
    this.#max = max;
    this.#isScarce = isScarce;
    server.on("connection", (socket: Socket) => this.#add(socket));
    // Before the request's handlers, which may answer at once.
    server.prependListener("request", ({ socket }: IncomingMessage, response: ServerResponse) => {
      this.#begin(socket);
      response.once("close", () => this.#end(socket));
    });
  }

  #add(socket: Socket): void {
    this.#waiting.add(socket);
    socket.once("close", () => {
      this.#waiting.delete(socket);
      this.#busy.delete(socket);
      this.#scarce.delete(socket);
    });
    if (this.#isScarce(socket)) this.#scarce.add(socket);
    if (this.#scarce.size === 0 && this.#waiting.size + this.#busy.size <= this.#max) return;
    const oldest = first(this.#waiting, socket) ?? first(this.#busy.keys(), socket);
    // A reset frees the place at once, also of a client that does not read.
    oldest?.resetAndDestroy();
  }

  #begin(socket: Socket): void {
    const due = (this.#busy.get(socket) ?? 0) + 1;
    if (due > maxPipelined) socket.resetAndDestroy();
    else if (this.#waiting.delete(socket) || due > 1) this.#busy.set(socket, due);
  }

  #end(socket: Socket): void {
    const due = this.#busy.get(socket);
    if (due === undefined) return;
    if (due > 1) {
      this.#busy.set(socket, due - 1);
      return;
    }
    this.#busy.delete(socket);
    this.#waiting.add(socket);
  }
}

function first(sockets: Iterable<Socket>, except: Socket): Socket | undefined {
  for (const socket of sockets) if (socket !== except) return socket;
  return undefined;
}
