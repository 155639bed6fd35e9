import { STATUS_CODES } from "node:http";
import type { Exchange } from "../exchange.ts";
import { type BodyParser, nowhere } from "../http1/body-parser.ts";
import { closesConnection, errorOf, type LocalReply, localResponseText } from "../local-reply.ts";
import type { ActiveRequest, ClientSide, FastContext, RecordInUse } from "./fast-context.ts";

/** How long a client may take to read from a local reply. */
const clientIdleMs = 60_000;

/** One request with a local reply: nothing is forwarded, and the request's body is read and discarded. */
export class LocalReplyExchange implements ActiveRequest {
  readonly #context: FastContext;
  readonly #client: ClientSide;
  readonly #exchange: Exchange;
  readonly #record: RecordInUse;
  readonly #body: BodyParser | undefined;
  #status = 0;

  constructor(
    context: FastContext,
    client: ClientSide,
    exchange: Exchange,
    record: RecordInUse,
    body: BodyParser | undefined,
  ) {
    this.#context = context;
    this.#client = client;
    this.#exchange = exchange;
    this.#record = record;
    this.#body = body;
  }

  /** Writes the reply, and reads the bytes after the head. Returns the position where the next request starts. */
  start(reply: LocalReply, bytes: Buffer, from: number, to: number): number {
    const { writer } = this.#client;
    const next = this.onClientData(bytes, from, to);
    this.#status = writeLocalReply(this.#context, this.#client, this.#exchange, reply);
    this.#exchange.error = errorOf(reply);
    if (writer.pending) this.#client.watchFlush(clientIdleMs);
    else if (!writer.broken) this.#complete();
    return next;
  }

  get awaitsBody(): boolean {
    return this.#body?.complete === false;
  }

  onClientData(bytes: Buffer, from: number, to: number): number {
    if (this.#body === undefined) return from;
    const end = this.#body.read(bytes, from, to, nowhere);
    // A malformed body has no known end: what follows must not be parsed as the next request.
    if (this.#body.failure === undefined) return end;
    this.#client.connectionAfter("last response");
    return to;
  }

  onClientFlushed(): void {
    if (!this.#client.writer.pending) this.#complete();
  }

  /** The last byte was written. */
  #complete(): void {
    this.#exchange.end(this.#status, this.#exchange.error);
    this.#client.requestEnded(this.#body);
    if (!this.awaitsBody && this.#exchange.mayRestart) this.#record.putBack();
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

/** Writes a local reply, and returns its status. */
export function writeLocalReply(
  { date }: Pick<FastContext, "date">,
  client: ClientSide,
  exchange: Exchange,
  reply: LocalReply,
): number {
  const { head } = exchange;
  const response = exchange.localResponse(reply, head.headerLines("accept").join(", "));
  client.writer.addText(
    localResponseText(response, {
      reasonPhrase: STATUS_CODES[response.status] ?? "",
      connection: client.connectionAfter(closesConnection(reply) ? "last response" : "response"),
      date: date.now(),
      body: head.method === "HEAD" ? "omitted" : "sent",
    }),
  );
  client.writer.flush();
  return response.status;
}
