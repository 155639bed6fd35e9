import { type IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { ErrorCode } from "../../errors.ts";
import type { Exchange } from "../exchange.ts";
import { type Ending, ownAnswer } from "../own-answer.ts";
import { responseHeaders, responseTrailers } from "../response-headers.ts";
import { reasonPhrase, sendOwnAnswer } from "./answer.ts";

/** How relaying an upstream's answer ended. */
export type RelayEnd = Extract<ErrorCode, "client-closed" | "upstream-reset" | "upstream-timeout"> | undefined;

/**
 * The answer to an upgrade that did not come about, on a socket that node:http has let go of. node's own response frames
 * and checks it, as it does any other; what the server does for it otherwise (`drain`, timeouts, closing) is done here.
 * It is always the connection's last.
 */
export class UpgradeAnswer {
  readonly #exchange: Exchange;
  readonly #request: IncomingMessage;
  readonly #client: Socket;
  readonly #response: ServerResponse;

  constructor(exchange: Exchange, request: IncomingMessage, client: Socket) {
    this.#exchange = exchange;
    this.#request = request;
    this.#client = client;
    this.#response = new ServerResponse(request);
    this.#response.assignSocket(client);
    this.#response.on("finish", () => client.destroySoon());
    // Nobody reads what the client says from here on, but its leaving has to be noticed.
    client.resume();
  }

  /** Answers in the upstream's place; returns the status. */
  refuse(ending: Ending, retryAfterSeconds = 1): number {
    const answer = ownAnswer(ending, this.#exchange.requestId, this.#request.headers.accept, retryAfterSeconds);
    this.#exchange.bytesSent = answer.body.length;
    sendOwnAnswer(this.#request, this.#response, answer, "close");
    return answer.status;
  }

  /**
   * Passes the upstream's answer on, streaming. False where its head can not be written as HTTP (a control character in
   * the status text, say); then nothing was. `ended` is called once; where it names an error the transfer was cut, and
   * the client can tell, since neither its length nor its last chunk arrives.
   */
  relay(upstream: IncomingMessage, idleMs: number, ended: (error: RelayEnd) => void): boolean {
    const response = this.#response;
    const status = upstream.statusCode ?? 0;
    const trailing = upstream.headers["transfer-encoding"] === "chunked" && status !== 204 && status !== 304;
    const trailers = trailing ? "trailers may follow" : "no trailers";
    const headers = responseHeaders(this.#exchange, upstream.rawHeaders, trailers);
    headers.push("Connection", "close");
    try {
      response.writeHead(status, reasonPhrase(status, upstream.statusMessage), headers);
    } catch {
      // It keeps the text that it refused, and would refuse our own answer for it.
      response.statusMessage = "";
      return false;
    }
    // node keeps the head back until there is a body, which may take its time, or break off before it began.
    // Not flushHeaders, which writes the head as UTF-8: its octets are Latin-1 here, and must arrive as they came.
    response.write(noOctets);
    let open = true;
    const end = (error: RelayEnd) => {
      if (!open) return;
      open = false;
      if (error !== undefined) {
        upstream.destroy();
        this.#client.destroy();
      }
      ended(error);
    };
    upstream.on("data", (chunk: Buffer) => this.#pass(upstream, chunk));
    upstream.on("error", () => end("upstream-reset"));
    upstream.on("end", () => {
      const trailers = responseTrailers(upstream.rawTrailers);
      if (trailers.length > 0) response.addTrailers(trailers);
      response.end();
    });
    // The client's connection is silent when either side is; whose turn it was tells whose fault it is.
    this.#client.setTimeout(idleMs, () => end(this.#client.writableNeedDrain ? "client-closed" : "upstream-timeout"));
    // node:http takes the end of one half for a client that has left, so it is the same here.
    this.#client.on("end", () => end("client-closed")).on("close", () => end("client-closed"));
    response.on("finish", () => end(undefined));
    return true;
  }

  #pass(upstream: IncomingMessage, chunk: Buffer): void {
    this.#exchange.bytesSent += chunk.length;
    if (this.#response.write(chunk)) return;
    upstream.pause();
    this.#client.once("drain", () => upstream.resume());
  }
}

const noOctets = Buffer.alloc(0);
