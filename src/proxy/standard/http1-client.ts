import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import type { Readable } from "node:stream";
import type { LocalResponse } from "../local-reply.ts";
import type { ClientSide, ConnectionFate } from "./client.ts";

const noBytes = Buffer.alloc(0);

/** The client's side of a request read by node:http. */
export class Http1Client implements ClientSide {
  readonly dialect = "http";
  readonly trailers = undefined;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #isLast: () => boolean;
  #bodyStarted = false;
  #isWatched = false;

  /** `isLast`: whether the connection closes after the response. */
  constructor(request: IncomingMessage, response: ServerResponse, isLast: () => boolean) {
    this.#request = request;
    this.#response = response;
    this.#isLast = isLast;
  }

  get accept(): string | undefined {
    return this.#request.headers.accept;
  }

  get body(): Readable {
    return this.#request;
  }

  get requestComplete(): boolean {
    return this.#request.complete;
  }

  get supportsInterim(): boolean {
    return this.#request.httpVersionMinor === 1;
  }

  get status(): number {
    return this.#response.statusCode;
  }

  get headSent(): boolean {
    return this.#response.headersSent;
  }

  get ended(): boolean {
    return this.#response.writableEnded;
  }

  get finished(): boolean {
    return this.#response.writableFinished;
  }

  get isBehind(): boolean {
    const { writableNeedDrain, writableEnded } = this.#response;
    return writableNeedDrain || (writableEnded && this.#request.socket.writableLength > 0);
  }

  sendContinue(): void {
    this.#response.writeContinue();
  }

  sendProcessing(): void {
    if (!this.#request.socket.writableNeedDrain) this.#response.writeProcessing();
  }

  sendEarlyHints(links: readonly string[]): void {
    if (this.#request.socket.writableNeedDrain) return;
    try {
      this.#response.writeEarlyHints({ link: [...links] });
    } catch {
      // node accepts fewer forms of Link than RFC 8288. A rejected hint is dropped; the final response is unaffected.
    }
  }

  sendHead(status: number, reason: string | undefined, fields: string[]): void {
    fields.push("Connection", this.supportsInterim || hasLength(fields) ? this.#connection() : "close");
    this.#response.writeHead(status, reasonPhrase(status, reason), fields);
  }

  flushHead(): void {
    // Not flushHeaders: it encodes the head as UTF-8, but the fields are Latin-1 and must be forwarded unchanged.
    if (!this.#bodyStarted && !this.#response.writableEnded && !this.#response.destroyed) this.#response.write(noBytes);
  }

  send(chunk: Buffer): boolean {
    this.#bodyStarted = true;
    return this.#response.write(chunk);
  }

  onceDrained(drained: () => void): void {
    this.#response.once("drain", drained);
  }

  end(chunk?: Buffer, trailers: readonly [string, string][] = []): void {
    if (trailers.length > 0) this.#response.addTrailers(trailers);
    this.#response.end(chunk);
  }

  sendLocal(local: LocalResponse, connection: ConnectionFate): void {
    sendLocalResponse(this.#request, this.#response, local, connection === "close" ? "close" : this.#connection());
  }

  closeAfterResponse(): void {
    this.#response.shouldKeepAlive = false;
    if (this.#request.complete) this.#response.once("finish", () => this.#request.socket.destroySoon());
  }

  closeNow(): void {
    this.#request.socket.destroySoon();
  }

  watchIdle(ms: number, onIdle: () => void): void {
    if (!this.#isWatched) this.#response.on("timeout", onIdle);
    this.#isWatched = true;
    this.#request.socket.setTimeout(ms);
  }

  abort(): void {
    this.#response.destroy();
  }

  #connection(): "keep-alive" | "close" {
    return this.#response.shouldKeepAlive && !this.#isLast() ? "keep-alive" : "close";
  }
}

/** In HTTP/1.0 a body without a length ends with the connection. */
function hasLength(fields: readonly string[]): boolean {
  return fields.some((name, at) => at % 2 === 0 && name.toLowerCase() === "content-length");
}

/** Sends a local reply through node:http. */
export function sendLocalResponse(
  request: IncomingMessage,
  response: ServerResponse,
  local: LocalResponse,
  connection: "keep-alive" | "close" | "close, upgrade",
): void {
  // Sets the reason phrase: node would otherwise reuse the invalid one of an upstream's head that it rejected before.
  response.writeHead(local.status, STATUS_CODES[local.status] ?? "", ["Connection", connection, ...local.headers]);
  // A request without a body is `complete` only after its handler returns, but already has `readableEnded`.
  if (connection === "keep-alive" || request.complete || request.readableEnded) response.end(local.body);
  else endAfterUpload(request, response, local.body);
  const { socket } = response;
  if (socket === null || socket.writableLength === 0) return;
  response.on("timeout", () => response.destroy());
  socket.setTimeout(localReplyTimeoutMs);
}

/**
 * Closing a socket with unread input makes the kernel reset the connection, and the client may lose the response. So
 * the response is written first, and the upload is discarded for a limited time before the connection closes.
 */
function endAfterUpload(request: IncomingMessage, response: ServerResponse, body: string): void {
  if (request.method !== "HEAD") response.write(body);
  let discarded = 0;
  const end = () => response.end();
  const timer = setTimeout(end, lingerMs);
  response.once("close", () => clearTimeout(timer));
  request.once("end", end).once("error", end);
  request.on("data", (chunk: Buffer) => {
    discarded += chunk.length;
    if (discarded > lingerBytes) end();
  });
}

/** Limits of discarding an upload after its response. */
const lingerMs = 2_000;
const lingerBytes = 32 * 1024 * 1024;

/** How long a client may take to read a local reply. */
const localReplyTimeoutMs = 60_000;

/** The upstream's reason phrase if it is valid; clients should ignore it (RFC 9112 §4). */
export function reasonPhrase(status: number, sent: string | undefined): string {
  return sent !== undefined && /^[\t\x20-\x7e]*$/.test(sent) ? sent : (STATUS_CODES[status] ?? "");
}
