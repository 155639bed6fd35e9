import { type ChunkedFailure, ChunkedReader, type ChunkedSink } from "./chunked-reader.ts";

/** Follows the body of one message, whatever frames it, and passes it on. */
export class BodyReader {
  readonly #chunks: ChunkedReader | undefined;
  /** What frames the body: its length in octets, or something else. */
  readonly framing: number | "chunked" | "until close";
  readonly #length: number;
  #bytes = 0;
  #ended = false;

  /** A length in octets; `chunked`; or `until close`, where the sender's end of the connection is that of the body. */
  constructor(framing: number | "chunked" | "until close", mostTrailerBytes: number) {
    this.framing = framing;
    this.#chunks = framing === "chunked" ? new ChunkedReader(mostTrailerBytes) : undefined;
    this.#length = typeof framing === "number" ? framing : Number.POSITIVE_INFINITY;
  }

  /** Octets of content so far, without framing. */
  get bytes(): number {
    return this.#chunks?.dataBytes ?? this.#bytes;
  }

  get complete(): boolean {
    return this.#chunks?.done ?? (this.#ended || this.#bytes === this.#length);
  }

  /** What is wrong with it; undefined where nothing is so far. */
  get failure(): ChunkedFailure | undefined {
    return this.#chunks?.failure;
  }

  /** Trailer fields of a complete chunked body, flat. */
  get trailers(): readonly string[] {
    return this.#chunks?.trailers ?? [];
  }

  /** Answers with the position after the last octet that belongs to the body. A chunked one is passed on framed. */
  read(octets: Buffer, from: number, to: number, sink: ChunkedSink): number {
    if (this.#chunks !== undefined) return this.#chunks.read(octets, from, to, sink);
    const end = Math.min(to, from + this.#length - this.#bytes);
    this.#bytes += end - from;
    if (end > from) sink.passOctets(octets, from, end);
    return end;
  }

  /** The sender has closed: the end of a body that lasts until then. */
  closed(): void {
    this.#ended = this.#length === Number.POSITIVE_INFINITY && this.#chunks === undefined;
  }
}
