import type { ErrorCause } from "../../errors.ts";
import type { ResponseParser } from "../http1/response-parser.ts";
import { interimFault } from "../interim-responses.ts";
import { earlyHintLinks } from "../response-headers.ts";
import type { SocketWriter } from "./socket-writer.ts";

/** Passes on the interim responses to one request, with a limit on their number for each attempt. */
export class InterimRelay {
  readonly #writer: SocketWriter;
  #count = 0;

  constructor(writer: SocketWriter) {
    this.#writer = writer;
  }

  /**
   * Passes on a 102, and a 103 with its links, from the parsed head. Skips others, also a 100 that the client did not
   * expect (RFC 9110 §15.2). Returns the fault of one that is not allowed.
   */
  pass(responses: ResponseParser): ErrorCause<"upstream-malformed"> | undefined {
    const { status } = responses;
    const fault = interimFault(status, ++this.#count);
    if (fault !== undefined) return fault;
    if (status === 102) this.#writer.addText("HTTP/1.1 102 Processing\r\n\r\n");
    const links = status === 103 ? earlyHintLinks(responses.flat()) : [];
    if (links.length > 0) this.#writer.addText(`HTTP/1.1 103 Early Hints\r\nLink: ${links.join(", ")}\r\n\r\n`);
    return undefined;
  }

  /** Another attempt begins. */
  restart(): void {
    this.#count = 0;
  }
}
