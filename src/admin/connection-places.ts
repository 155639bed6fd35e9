import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/**
 * Limits the connections of a server without refusing new ones: over the limit, another connection is closed to make
 * room. The first to go is the one that has waited longest for a complete request head, then the one whose response is
 * oldest. So connections that send slowly, idle, or do not read cannot keep a probe out.
 */
export class ConnectionPlaces {
  readonly #isFull: (open: number, newest: Socket) => boolean;
  /** Without a complete request head, in the order of the last response; those without any by their beginning. */
  readonly #waiting = new Set<Socket>();
  /** With a response due, by its request's head. */
  readonly #busy = new Set<Socket>();

  /** `isFull` is asked for each new connection, which is counted in `open`. */
  constructor(server: Server, isFull: (open: number, newest: Socket) => boolean) {
    this.#isFull = isFull;
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
    });
    if (!this.#isFull(this.#waiting.size + this.#busy.size, socket)) return;
    const oldest = first(this.#waiting, socket) ?? first(this.#busy, socket);
    // A reset frees the place at once, also of a client that does not read.
    oldest?.resetAndDestroy();
  }

  #begin(socket: Socket): void {
    if (this.#waiting.delete(socket)) this.#busy.add(socket);
  }

  #end(socket: Socket): void {
    if (this.#busy.delete(socket)) this.#waiting.add(socket);
  }
}

function first(sockets: ReadonlySet<Socket>, except: Socket): Socket | undefined {
  for (const socket of sockets) if (socket !== except) return socket;
  return undefined;
}
