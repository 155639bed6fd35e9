import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { Socket } from "node:net";
import type { Schedule } from "../upstream/clock.ts";

/**
 * So many bytes may come between two answers. The client keeps whatever comes, asked or not, until it is a whole reply, and
 * takes one of 2 GB.
 */
const maxBytes = 256 * 1024;
const flooded = `more than ${maxBytes / 1024} KiB came that answer nothing`;
/** Under TLS a socket tells of no bytes, but counts them: they are looked at this often. */
const lookMs = 100;

export interface ByteWatchParts {
  readonly schedule: Schedule;
  /** Called, perhaps more than once, when more comes than answers have. */
  readonly onFlood: (why: string) => void;
}

/** Watches what comes through a TCP socket, of which only answers are expected. */
export class ByteWatch {
  readonly #socket: Socket;
  readonly #parts: ByteWatchParts;
  #answeredBytes = 0;
  #cancelLook: (() => void) | undefined;

  constructor(socket: Socket, isTls: boolean, parts: ByteWatchParts) {
    this.#socket = socket;
    this.#parts = parts;
    if (isTls) this.#lookLater();
    else socket.on("data", () => this.#look());
    socket.on("close", () => this.#cancelLook?.());
  }

  /** What came so far has ended with an answer. */
  answered(): void {
    this.#answeredBytes = this.#socket.bytesRead;
  }

  #look(): void {
    if (this.#socket.bytesRead - this.#answeredBytes > maxBytes) this.#parts.onFlood(flooded);
  }

  #lookLater(): void {
    this.#cancelLook = this.#parts.schedule(lookMs, () => {
      this.#look();
      if (!this.#socket.destroyed) this.#lookLater();
    });
  }
}

/**
 * The TCP socket that `connect` opens before it returns. The client of Redis does not give it away, but Node tells of each
 * one. Undefined if it has not.
 */
export function socketOf(connect: () => void): Socket | undefined {
  let opened: Socket | undefined;
  const onSocket = (message: unknown) => {
    const { socket } = message as { readonly socket?: unknown };
    if (socket instanceof Socket) opened = socket;
  };
  subscribe("net.client.socket", onSocket);
  try {
    connect();
  } finally {
    unsubscribe("net.client.socket", onSocket);
  }
  return opened;
}
