import type { ErrorCode } from "../../errors.ts";
import type { Exchange } from "../exchange.ts";
import { responseTrailers } from "../response-headers.ts";
import { BodyParser, type ChunkedSink } from "./body-parser.ts";
import { type ResponseParser, responseHeadBytes } from "./response-parser.ts";
import { type HttpDate, lines, responseText } from "./response-writer.ts";
import type { SocketWriter } from "./socket-writer.ts";

/** An upstream's final answer on its way to the client, in a frame that the client understands. */
export class ResponseRelay {
  readonly status: number;
  /** Whether the upstream's connection is of no use after it. Misbehaving upstreams send a body with their answer to HEAD. */
  readonly endsConnection: boolean;
  readonly #exchange: Exchange;
  readonly #writer: SocketWriter;
  /** Undefined where none follows the head. */
  readonly #body: BodyParser | undefined;
  /** Chunks are put round a body that the upstream sends until it closes. */
  readonly #frame: "as it came" | "upstream's chunks" | "own chunks";

  /** Of the head that was read last. */
  constructor(exchange: Exchange, { status, chunked, contentLength, closing }: ResponseParser, writer: SocketWriter) {
    const isHead = exchange.head.method === "HEAD";
    const bodiless = isHead || status === 204 || status === 304;
    this.status = status;
    this.#exchange = exchange;
    this.#writer = writer;
    this.#body = bodiless ? undefined : bodyReader(chunked, contentLength);
    const framed = chunked ? "upstream's chunks" : contentLength === undefined ? "own chunks" : "as it came";
    this.#frame = bodiless ? "as it came" : framed;
    this.endsConnection = closing || isHead || this.#frame === "own chunks";
  }

  get isComplete(): boolean {
    return this.#body === undefined || this.#body.complete;
  }

  /** What is wrong with the body; undefined where nothing is so far. */
  get failure(): ErrorCode | undefined {
    return this.#body?.failure;
  }

  /** Adds the head. To be asked while the reader still holds it. */
  addHead(responses: ResponseParser, connection: "keep-alive" | "close", date: HttpDate): void {
    this.#writer.addText(
      responseText(this.#exchange, responses, {
        connection,
        coding: this.#frame === "as it came" ? "none" : "chunked",
        trailers: this.#frame === "upstream's chunks" ? "trailers may follow" : "no trailers",
        date,
      }),
    );
  }

  /** Adds of the body what came, through `sink`. Answers with the position after the last byte that belongs to it. */
  pass(bytes: Buffer, from: number, to: number, sink: ChunkedSink): number {
    const body = this.#body;
    if (body === undefined) return from;
    const isChunk = this.#frame === "own chunks" && to > from;
    if (isChunk) this.#writer.addText(`${(to - from).toString(16)}\r\n`);
    const end = body.read(bytes, from, to, sink);
    if (isChunk) this.#writer.addText("\r\n");
    this.#exchange.bytesSent = body.bytes;
    return end;
  }

  /** The upstream has closed: the end of a body that lasts until then. */
  closed(): void {
    this.#body?.closed();
  }

  /** Adds what follows a complete body. */
  addEnd(): void {
    if (this.#frame === "own chunks") this.#writer.addText("0\r\n\r\n");
    else if (this.#frame === "upstream's chunks") {
      this.#writer.addText(`${lines(responseTrailers(this.#body?.trailers ?? []).flat())}\r\n`);
    }
  }
}

/** Of the body that follows a response's head. */
export function bodyReader(chunked: boolean, contentLength: number | undefined): BodyParser {
  return new BodyParser(chunked ? "chunked" : (contentLength ?? "until close"), responseHeadBytes);
}
