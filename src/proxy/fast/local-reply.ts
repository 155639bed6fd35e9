import { STATUS_CODES } from "node:http";
import type { Exchange } from "../exchange.ts";
import { closesConnection, errorOf, type LocalReply, localResponse, localResponseText } from "../local-reply.ts";
import type { BodyParser, ChunkedSink } from "./body-parser.ts";
import type { ActiveRequest, ClientSide, FastContext } from "./fast-context.ts";

/** How long a client may leave an own answer untaken. */
const readerSilenceMs = 60_000;

/** One request that Perch answers itself: nothing is forwarded, and what there is of a body is read and thrown away. */
export class LocalReplyExchange implements ActiveRequest {
  readonly #context: FastContext;
  readonly #client: ClientSide;
  readonly #exchange: Exchange;
  readonly #body: BodyParser | undefined;
  #status = 0;

  constructor(context: FastContext, client: ClientSide, exchange: Exchange, body: BodyParser | undefined) {
    this.#context = context;
    this.#client = client;
    this.#exchange = exchange;
    this.#body = body;
  }

  /** Answers, and reads what came behind the head. Answers with the position where the next request starts. */
  start(ending: LocalReply, bytes: Buffer, from: number, to: number): number {
    const { head, requestId } = this.#exchange;
    const { writer } = this.#client;
    const answer = localResponse(ending, requestId, head.headerLines("accept").join(", "));
    const next = this.onClientData(bytes, from, to);
    this.#status = answer.status;
    this.#exchange.error = errorOf(ending);
    this.#exchange.bytesSent = answer.body.length;
    writer.addText(
      localResponseText(answer, {
        reasonPhrase: STATUS_CODES[answer.status] ?? "",
        connection: this.#client.connectionAfter(closesConnection(ending) ? "last answer" : "response"),
        date: this.#context.date.now(),
        body: head.method === "HEAD" ? "omitted" : "sent",
      }),
    );
    writer.flush();
    if (writer.pending) this.#client.watchFlush(readerSilenceMs);
    else if (!writer.broken) this.#complete();
    return next;
  }

  get awaitsBody(): boolean {
    return this.#body?.complete === false;
  }

  onClientData(bytes: Buffer, from: number, to: number): number {
    if (this.#body === undefined) return from;
    const end = this.#body.read(bytes, from, to, nowhere);
    // What is no body any more would be taken for the next request.
    if (this.#body.failure === undefined) return end;
    this.#client.connectionAfter("last answer");
    return to;
  }

  onClientFlushed(): void {
    if (!this.#client.writer.pending) this.#complete();
  }

  /** The last byte has left. */
  #complete(): void {
    this.#exchange.end(this.#status, this.#exchange.error);
    this.#client.requestEnded(this.#body);
  }

  onClientGone(): void {
    this.#exchange.end(499, "client-closed");
  }

  onDeadline(): void {
    this.#client.destroy();
  }

  onDefect(error: unknown): void {
    this.#context.context.defect(error);
    this.#client.destroy();
  }
}

const nowhere: ChunkedSink = { passBytes: () => {} };
