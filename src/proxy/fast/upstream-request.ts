import { latin1Slice } from "../../node-internals.ts";
import type { Attempts } from "../attempts.ts";
import type { Exchange } from "../exchange.ts";
import type { Mirror, Mirroring } from "../mirror.ts";
import { copyFields, upstreamTarget } from "../request-headers.ts";
import type { BodyParser, ChunkedSink } from "./body-parser.ts";
import { changedText, fieldsOf, framingText } from "./request-writer.ts";
import { lines } from "./response-writer.ts";
import type { SocketWriter } from "./socket-writer.ts";

/** What a request is made of. */
export interface UpstreamRequestParts {
  readonly exchange: Exchange;
  readonly attempts: Attempts;
  /** What follows the head; undefined where nothing does. */
  readonly body: BodyParser | undefined;
  /** The head as it goes upstream, without what frames the body. */
  readonly headText: string;
}

/** One request on its way to an endpoint: its head, and what came of its body. */
export class UpstreamRequest {
  /** Undefined where nothing follows the head. */
  readonly body: BodyParser | undefined;
  readonly #exchange: Exchange;
  readonly #headText: string;
  /** Of the body, as text: what had come before there was a connection to write it to; where it is kept, all that came. */
  #gathered = "";
  /** As many bytes of the body as may be kept for another attempt; 0: none, or too many have come. */
  #keptBytes: number;
  #mirror: Mirror | undefined;

  constructor({ exchange, attempts, headText, body }: UpstreamRequestParts) {
    this.#exchange = exchange;
    this.#headText = headText;
    this.body = body;
    this.#keptBytes = body === undefined ? 0 : attempts.keptBodyBytes;
  }

  /** Whether bytes of the client still belong to this request. */
  get awaitsBody(): boolean {
    return this.body !== undefined && !this.body.complete;
  }

  /** Whether all that was sent is still at hand for another attempt. */
  get isKept(): boolean {
    return this.body === undefined || this.#keptBytes > 0;
  }

  /** Before that it is not known whether chunks have any content, and nothing needs to wait for it upstream. */
  get mayBeSent(): boolean {
    const { body } = this;
    return body === undefined || body.complete || body.framing !== "chunked" || body.bytes > 0;
  }

  /** What is written first to a connection: the head, and as much of the body as had come by then. */
  opening(): string {
    const { method } = this.#exchange.head;
    const { body } = this;
    const headText = this.#attemptText();
    if (body === undefined || (body.complete && body.bytes === 0)) return headText + framingText(method, "none");
    return headText + framingText(method, body.framing === "until close" ? "none" : body.framing) + this.#gathered;
  }

  /** The opening was written: a copy of the request leaves, where there is to be one; what need not be kept is not. */
  opened(): void {
    const mirroring = this.#exchange.route?.mirroring;
    if (mirroring !== undefined && this.#mirror === undefined) this.#beginMirror(mirroring);
    this.#keepNoMoreThanAllowed();
  }

  /** Keeps what came of the body, while there is nobody to send it to. Answers with the position after it. */
  gather(body: BodyParser, bytes: Buffer, from: number, to: number): number {
    const end = this.#read(body, bytes, from, to, {
      passBytes: (piece, start, end) => this.#gatherBytes(piece, start, end),
    });
    if (body.complete && body.failure === undefined) this.#gathered += ending(body);
    return end;
  }

  /** More of the body; leaves with the writer's next flush. Answers with the position after it. */
  pass(body: BodyParser, bytes: Buffer, from: number, to: number, writer: SocketWriter): number {
    const end = this.#read(body, bytes, from, to, this.#keptBytes > 0 ? this.#keeping(writer) : writer);
    if (body.complete && body.failure === undefined) {
      writer.addText(ending(body));
      if (this.#keptBytes > 0) this.#gathered += ending(body);
    }
    return end;
  }

  /** The head for the present attempt. */
  #attemptText(): string {
    const { route, trace } = this.#exchange;
    if (route?.transforms !== undefined) return changedText(this.#exchange, this.#headText);
    // Each attempt is another parent to its upstream.
    return trace === undefined ? this.#headText : this.#headText + lines(trace.fields());
  }

  #beginMirror({ version }: Mirroring): void {
    const { body } = this;
    const { framing } = body ?? {};
    this.#mirror = this.#exchange.mirror(() => ({
      method: this.#exchange.head.method,
      target: upstreamTarget(this.#exchange),
      headersFor: (endpoint) => copyFields(this.#exchange, fieldsOf(this.#headText), version, endpoint),
      body: typeof framing === "number" && framing > 0 ? framing : "none",
    }));
    if (this.#mirror === undefined || body === undefined) return;
    if (this.#gathered !== "") this.#mirror.bytes(Buffer.from(this.#gathered, "latin1"));
    if (body.complete) this.#mirror.bodyEnded();
  }

  #gatherBytes(bytes: Buffer, from: number, to: number): void {
    this.#gathered += latin1Slice(bytes, from, to);
  }

  /** What passes on is kept as well, until it is too much. */
  #keeping(writer: SocketWriter): ChunkedSink {
    return {
      passBytes: (bytes, from, to) => {
        writer.passBytes(bytes, from, to);
        this.#gatherBytes(bytes, from, to);
        this.#keepNoMoreThanAllowed();
      },
    };
  }

  #keepNoMoreThanAllowed(): void {
    if (this.body === undefined || this.body.bytes <= this.#keptBytes) return;
    this.#keptBytes = 0;
    this.#gathered = "";
  }

  #read(body: BodyParser, bytes: Buffer, from: number, to: number, sink: ChunkedSink): number {
    const end = body.read(bytes, from, to, sink);
    this.#exchange.bytesReceived = body.bytes;
    // A mirrored body has a length, so that what was read is content and nothing else.
    if (this.#mirror !== undefined) {
      this.#mirror.bytes(Buffer.from(bytes.subarray(from, end)));
      if (body.complete) this.#mirror.bodyEnded();
    }
    return end;
  }
}

/** Trailer fields of requests are not passed on. */
function ending(body: BodyParser): string {
  return body.framing === "chunked" ? "\r\n" : "";
}
