import type { ErrorCause } from "../../errors.ts";
import { interimFault } from "../interim-responses.ts";
import { earlyHintLinks } from "../response-headers.ts";
import type { ResponseParser } from "./response-parser.ts";

/** Passes on the interim responses to one request, with a limit on their number for each attempt. */
export class InterimRelay {
  readonly #to: { addText(text: string): void };
  #count = 0;

  /** `to` gets the text of those that are passed on. */
  constructor(to: { addText(text: string): void }) {
    this.#to = to;
  }

  /**
   * Passes on a 102, and a 103 with its links, from the parsed head. Skips others, also a 100 that the client did not
   * expect (RFC 9110 §15.2). Returns the fault of one that is not allowed.
   */
  pass(head: ResponseParser): ErrorCause<"upstream-malformed"> | undefined {
    const { status } = head;
    const fault = interimFault(status, ++this.#count);
    if (fault !== undefined) return fault;
    if (status === 102) this.#to.addText("HTTP/1.1 102 Processing\r\n\r\n");
    const links = status === 103 ? earlyHintLinks(head.flat()) : [];
    if (links.length > 0) this.#to.addText(`HTTP/1.1 103 Early Hints\r\nLink: ${links.join(", ")}\r\n\r\n`);
    return undefined;
  }

  /** Another attempt begins. */
  restart(): void {
    this.#count = 0;
  }
}
