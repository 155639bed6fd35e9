import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { Readable } from "node:stream";
import { PerchError } from "../../errors.ts";
import type { OwnAnswer } from "../own-answer.ts";
import type { ClientSide } from "./client-side.ts";
import type { Http2Head } from "./http2-head.ts";
import { trailerFields } from "./http2-trailers.ts";

/** A head that waits for the end of the turn, in which the end of the stream may come along. */
interface PendingHead {
  readonly fields: string[];
  readonly waitForTrailers: boolean;
}

/** A client whose request is a stream of an HTTP/2 connection. */
export class Http2Client implements ClientSide {
  readonly accept: string | undefined;
  readonly dialect: "http" | "grpc";
  readonly knowsInterim = true;
  readonly trailers: (() => readonly string[]) | undefined;
  status = 0;
  ended = false;
  readonly #stream: ServerHttp2Stream;
  readonly #hasBody: boolean;
  #pending: PendingHead | undefined;
  #isWatched = false;
  #trailers: readonly string[] = [];

  constructor(stream: ServerHttp2Stream, head: Http2Head | undefined, body: "follows" | "none") {
    this.#stream = stream;
    this.#hasBody = body === "follows";
    this.accept = textOf(head?.header("accept"));
    this.dialect = grpcType.test(textOf(head?.header("content-type")) ?? "") ? "grpc" : "http";
    this.trailers = this.#hasBody ? () => this.#trailers : undefined;
    stream.on("trailers", (_trailers: unknown, _flags: unknown, raw: string[]) => {
      this.#trailers = raw;
    });
    // A reset is told by `close` as well.
    stream.on("error", () => {});
  }

  get body(): Readable {
    return this.#stream;
  }

  get requestComplete(): boolean {
    return !this.#hasBody || this.#stream.readableEnded;
  }

  get headSent(): boolean {
    return this.status !== 0;
  }

  get finished(): boolean {
    return this.ended && this.#stream.writableFinished;
  }

  get isBehind(): boolean {
    return this.#stream.writableNeedDrain || (this.ended && !this.#stream.writableFinished);
  }

  sendContinue(): void {
    this.#inform({ ":status": 100 });
  }

  sendProcessing(): void {
    this.#inform({ ":status": 102 });
  }

  sendEarlyHints(links: readonly string[]): void {
    this.#inform({ ":status": 103, link: links.join(", ") });
  }

  sendHead(status: number, _reason: string | undefined, fields: string[], trailers: "may follow" | "none"): void {
    if (status > 599) throw new PerchError("upstream-malformed");
    const raw = [":status", String(status)];
    for (let i = 0; i < fields.length; i += 2) {
      const name = (fields[i] ?? "").toLowerCase();
      if (!isUnsendable(name, status)) raw.push(name, fields[i + 1] ?? "");
    }
    this.status = status;
    this.#pending = { fields: raw, waitForTrailers: trailers === "may follow" };
  }

  flushHead(): void {
    this.#respond("body follows");
  }

  send(chunk: Buffer): boolean {
    this.#respond("body follows");
    return this.#stream.writableEnded || this.#stream.write(chunk);
  }

  onceDrained(drained: () => void): void {
    this.#stream.once("drain", drained);
  }

  end(chunk?: Buffer, trailers: readonly [string, string][] = []): void {
    this.ended = true;
    this.#stream.once("wantTrailers", () => this.#guarded(() => this.#stream.sendTrailers(trailerFields(trailers))));
    this.#respond(chunk === undefined && trailers.length === 0 ? "nothing follows" : "body follows");
    if (!this.#stream.writableEnded) this.#stream.end(chunk);
    // The client is told to send no more of a body that nobody reads (RFC 9113 §8.1).
    if (!this.requestComplete) this.#stream.once("finish", () => setImmediate(() => this.#stop()));
  }

  sendOwn(answer: OwnAnswer): void {
    this.sendHead(answer.status, undefined, answer.headers, "none");
    this.end(answer.body === "" ? undefined : Buffer.from(answer.body));
    if (this.isBehind) this.watchSilence(readerSilenceMs, () => this.cut());
  }

  closeBehindAnswer(): void {}

  closeNow(): void {
    this.cut();
  }

  watchSilence(ms: number, silent: () => void): void {
    if (!this.#isWatched) this.#stream.on("timeout", silent);
    this.#isWatched = true;
    this.#stream.setTimeout(ms);
  }

  cut(): void {
    // Not `close`, which ends the stream before it resets it: a body that broke off would be taken for a whole one.
    this.#stream.destroy(brokenOff);
  }

  #inform(fields: OutgoingHttpHeaders): void {
    if (this.#isOpen && !this.headSent) this.#guarded(() => this.#stream.additionalHeaders(fields));
  }

  #respond(rest: "body follows" | "nothing follows"): void {
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending === undefined || !this.#isOpen) return;
    const { fields, waitForTrailers } = pending;
    // Ending with the head is what makes a gRPC answer one of trailers only.
    const options = rest === "nothing follows" ? { endStream: true } : { waitForTrailers };
    this.#guarded(() => this.#stream.respond(fields, options));
  }

  /** Node refuses some fields by an exception, at a time when nobody would catch it. */
  #guarded(send: () => void): void {
    try {
      send();
    } catch {
      this.cut();
    }
  }

  get #isOpen(): boolean {
    return !this.#stream.destroyed && !this.#stream.closed;
  }

  #stop(): void {
    if (this.#isOpen) this.#stream.close(constants.NGHTTP2_NO_ERROR);
  }
}

/** Becomes INTERNAL_ERROR on the wire. */
const brokenOff = new Error("The answer broke off.");

/** Beside what no client gets: the length of a body that there can not be makes an answer malformed (RFC 9110 §8.6). */
function isUnsendable(name: string, status: number): boolean {
  return name === "http2-settings" || (name === "content-length" && (status === 204 || status === 205));
}

/** With whatever encodes its messages, but not grpc-web, which has trailers in its body. */
const grpcType = /^application\/grpc(?:$|[+;])/i;

/** How long a client may leave an own answer untaken. */
const readerSilenceMs = 60_000;

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
