import type { Readable } from "node:stream";
import { grpcStatusOfError } from "../../http/grpc-status.ts";
import type { Exchange } from "../exchange.ts";
import { closesConnection, errorOf, type LocalReply, type LocalResponse } from "../local-reply.ts";

/** Whether the client's connection is kept after a local reply. */
export type ConnectionFate = "keep" | "close";

/**
 * The client's side of one request, independent of the HTTP version: the source of its body and the sink of its
 * response. Forwarding uses only this interface.
 */
export interface ClientSide {
  /** The value of Accept. */
  readonly accept: string | undefined;
  /** gRPC clients expect errors in `grpc-status`, with HTTP status 200. */
  readonly dialect: "http" | "grpc";
  /** The request body, unread. */
  readonly body: Readable;
  /** The trailers of the request, flat. Undefined if they are not forwarded. */
  readonly trailers: (() => readonly string[]) | undefined;
  /** Whether the whole request has been received. */
  readonly requestComplete: boolean;
  /** Whether the client understands interim responses and trailers. HTTP/1.0 does not. */
  readonly supportsInterim: boolean;
  /** The status sent last. */
  readonly status: number;
  readonly headSent: boolean;
  /** Whether the last byte of the response was written. */
  readonly ended: boolean;
  /** Whether the whole response was passed to the kernel. */
  readonly finished: boolean;
  /** Whether the client has not read everything that was written. */
  readonly isBehind: boolean;

  sendContinue(): void;
  /** Sends a 102. It is optional: dropped if the client does not read. */
  sendProcessing(): void;
  /** Sends a 103 with these Link values. Dropped if the client does not read: the final response repeats them. */
  sendEarlyHints(links: readonly string[]): void;
  /** Sends the head of the final response, with flat fields. `trailers`: whether trailers may follow the body. */
  sendHead(status: number, reason: string | undefined, fields: string[], trailers: "may follow" | "none"): void;
  /** Sends the head without waiting for the body. */
  flushHead(): void;
  /** False if the caller should wait for `onceDrained`. */
  send(chunk: Buffer): boolean;
  onceDrained(drained: () => void): void;
  /** Sends the last bytes, then the trailers. */
  end(chunk?: Buffer, trailers?: readonly [string, string][]): void;
  sendLocal(response: LocalResponse, connection: ConnectionFate): void;
  closeAfterResponse(): void;
  /** Closes the connection once pending data is written. */
  closeNow(): void;
  /** Calls `onIdle` when nothing was read or written for `ms`. Calling again restarts the timer. */
  watchIdle(ms: number, onIdle: () => void): void;
  /** Aborts the response such that the client cannot take it for complete. */
  abort(): void;
}

/** Sends a local reply, for gRPC clients as a gRPC error. Returns the HTTP status sent. */
export function sendLocalReply(exchange: Exchange, reply: LocalReply, client: ClientSide): number {
  const error = errorOf(reply);
  const response = exchange.localResponse(reply, client.accept, client.dialect);
  if (client.dialect === "grpc" && error !== undefined) exchange.grpcStatus = grpcStatusOfError(error);
  client.sendLocal(response, closesConnection(reply) ? "close" : "keep");
  return response.status;
}
