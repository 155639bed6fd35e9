import type { Socket } from "node:net";
import type { Peer } from "../peer.ts";
import type { ClientConnection } from "./client-connection.ts";

/** What a connection asks of the lane that it belongs to. */
export interface ConnectionOwner {
  /** True once it waits for its connections to end: none is kept behind its answer. */
  readonly isClosing: boolean;
  /** Gives the connection to the standard lane, with what was read and not understood. */
  handOver(socket: Socket, peer: Peer): void;
  closed(connection: ClientConnection): void;
}

/** The request that a connection is answering; hears all that happens to it. */
export interface AnsweredRequest {
  /** Whether octets of the client still belong to it. */
  readonly awaitsBody: boolean;
  /** More of its body. Answers with the position where the next request starts. */
  onClientData(octets: Buffer, from: number, to: number): number;
  /** What was written to the client has left. */
  onClientFlushed(): void;
  onClientGone(): void;
  /** Nothing happened for as long as the present step may take. */
  onDeadline(): void;
  /** One of the others threw. */
  onDefect(error: unknown): void;
}
