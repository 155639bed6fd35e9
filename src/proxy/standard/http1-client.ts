import type { IncomingMessage, ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import type { OwnAnswer } from "../own-answer.ts";
import { reasonPhrase, sendOwnAnswer } from "./answer.ts";
import type { Afterwards, ClientSide } from "./client-side.ts";

const noOctets = Buffer.alloc(0);

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
    // Not flushHeaders, which writes the head as UTF-8: its octets are Latin-1 here, and must arrive as they came.
    if (!this.#bodyBegun && !this.#response.writableEnded && !this.#response.destroyed) this.#response.write(noOctets);
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

  sendOwn(answer: OwnAnswer, afterwards: Afterwards): void {
    sendOwnAnswer(this.#request, this.#response, answer, afterwards === "close" ? "close" : this.#connection());
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
