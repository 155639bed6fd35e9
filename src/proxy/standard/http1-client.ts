import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import type { Readable } from "node:stream";
import type { LocalResponse } from "../local-reply.ts";
import type { Afterwards, ClientSide } from "./client.ts";

const noBytes = Buffer.alloc(0);

/** A client whose request node:http has read. */
export class Http1Client implements ClientSide {
  readonly dialect = "http";
  readonly trailers = undefined;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #isLast: () => boolean;
  #bodyBegun = false;
  #isWatched = false;

  /** `isLast`: whether the connection is to end behind the answer. */
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

  get knowsInterim(): boolean {
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
    this.#response.writeProcessing();
  }

  sendEarlyHints(links: readonly string[]): void {
    try {
      this.#response.writeEarlyHints({ link: [...links] });
    } catch {
      // node knows fewer forms of Link than RFC 8288; a hint that it refuses is dropped, the answer still comes.
    }
  }

  sendHead(status: number, reason: string | undefined, fields: string[]): void {
    fields.push("Connection", this.knowsInterim || hasLength(fields) ? this.#connection() : "close");
    this.#response.writeHead(status, reasonPhrase(status, reason), fields);
  }

  flushHead(): void {
    // Not flushHeaders, which writes the head as UTF-8: its bytes are Latin-1 here, and must arrive as they came.
    if (!this.#bodyBegun && !this.#response.writableEnded && !this.#response.destroyed) this.#response.write(noBytes);
  }

  send(chunk: Buffer): boolean {
    this.#bodyBegun = true;
    return this.#response.write(chunk);
  }

  onceDrained(drained: () => void): void {
    this.#response.once("drain", drained);
  }

  end(chunk?: Buffer, trailers: readonly [string, string][] = []): void {
    if (trailers.length > 0) this.#response.addTrailers(trailers);
    this.#response.end(chunk);
  }

  sendOwn(answer: LocalResponse, afterwards: Afterwards): void {
    sendLocalResponse(this.#request, this.#response, answer, afterwards === "close" ? "close" : this.#connection());
  }

  closeBehindAnswer(): void {
    this.#response.shouldKeepAlive = false;
    if (this.#request.complete) this.#response.once("finish", () => this.#request.socket.destroySoon());
  }

  closeNow(): void {
    this.#request.socket.destroySoon();
  }

  watchSilence(ms: number, silent: () => void): void {
    if (!this.#isWatched) this.#response.on("timeout", silent);
    this.#isWatched = true;
    this.#request.socket.setTimeout(ms);
  }

  cut(): void {
    this.#response.destroy();
  }

  #connection(): "keep-alive" | "close" {
    return this.#response.shouldKeepAlive && !this.#isLast() ? "keep-alive" : "close";
  }
}

/** HTTP/1.0 knows no other end of a body than a length or that of the connection. */
function hasLength(fields: readonly string[]): boolean {
  return fields.some((name, at) => at % 2 === 0 && name.toLowerCase() === "content-length");
}

/** Sends an own answer through node:http. `connection` is written out, so that node adds nothing of its own. */
export function sendLocalResponse(
  request: IncomingMessage,
  response: ServerResponse,
  answer: LocalResponse,
  connection: "keep-alive" | "close",
): void {
  // The reason phrase is written out: node keeps that of a head it refused, an upstream's bad one, and would refuse again.
  response.writeHead(answer.status, STATUS_CODES[answer.status] ?? "", ["Connection", connection, ...answer.headers]);
  // Without a body a request is `complete` only once its handler has returned, but it has nothing left to read by now.
  if (connection === "keep-alive" || request.complete || request.readableEnded) response.end(answer.body);
  else endAfterUpload(request, response, answer.body);
  const { socket } = response;
  if (socket === null || socket.writableLength === 0) return;
  response.on("timeout", () => response.destroy());
  socket.setTimeout(readerSilenceMs);
}

/**
 * Closing with unread input makes the kernel reset the connection, and the client loses the answer that tells it why. So
 * the answer goes out whole, and what still comes is read and thrown away for a while before the connection closes.
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

/** How much of an upload, and for how long, is read after the answer that refused it. */
const lingerMs = 2_000;
const lingerBytes = 32 * 1024 * 1024;

/** How long a client may leave an own answer untaken. */
const readerSilenceMs = 60_000;

/** The upstream's own words where they can stand in a status line; they mean nothing to a program (RFC 9112 §4). */
export function reasonPhrase(status: number, sent: string | undefined): string {
  return sent !== undefined && /^[\t\x20-\x7e]*$/.test(sent) ? sent : (STATUS_CODES[status] ?? "");
}
