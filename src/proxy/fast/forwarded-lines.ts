import { fieldLines } from "../../http/header-fields.ts";
import type { Caller } from "../../http/request-head.ts";
import type { Exchange } from "../exchange.ts";
import { forwardedFields } from "../request-headers.ts";
import type { HeadTarget } from "./head-target.ts";

/** Lines of a request's head that are the same in all requests of one caller for one authority. */
interface ForwardedLines {
  /** Host and Connection. */
  readonly opening: Buffer;
  /** The forwarded headers, and the name of the next field, X-Request-Id. */
  readonly forwarded: Buffer;
}

/** Bounds what clients can make it hold. */
const maxLines = 1_024;

/** The lines that were made last; most connections come from few callers, such as the load balancer in front. */
export class ForwardedLinesCache {
  readonly #lines = new Map<string, ForwardedLines>();

  /** Only for an untrusted caller: nothing else in its request matters. */
  of(exchange: Exchange): ForwardedLines {
    const { caller, head } = exchange;
    const key = `${caller.scheme} ${caller.localPort} ${caller.address?.text} ${head.authority}`;
    const known = this.#lines.get(key);
    if (known !== undefined) return known;
    const made = {
      opening: Buffer.from(openingText(head.authority, "keep-alive"), "latin1"),
      forwarded: Buffer.from(forwardedText(exchange), "latin1"),
    };
    if (this.#lines.size >= maxLines) this.#lines.clear();
    this.#lines.set(key, made);
    return made;
  }
}

/** The lines for the requests of one client connection. */
export class ConnectionLines {
  readonly #cache: ForwardedLinesCache;
  #caller: Caller | undefined;
  #authority = "";
  #lines: ForwardedLines | undefined;

  constructor(cache: ForwardedLinesCache) {
    this.#cache = cache;
  }

  addOpening(out: HeadTarget, exchange: Exchange, connection: "keep-alive" | "close"): void {
    const { caller, head } = exchange;
    if (connection === "close" || caller.trusted) out.addText(openingText(head.authority, connection));
    else out.addView(this.#current(exchange).opening);
  }

  addForwarded(out: HeadTarget, exchange: Exchange): void {
    if (exchange.caller.trusted) out.addText(forwardedText(exchange));
    else out.addView(this.#current(exchange).forwarded);
  }

  #current(exchange: Exchange): ForwardedLines {
    const { caller, head } = exchange;
    if (this.#lines !== undefined && caller === this.#caller && head.authority === this.#authority) return this.#lines;
    this.#caller = caller;
    this.#authority = head.authority;
    this.#lines = this.#cache.of(exchange);
    return this.#lines;
  }
}

export function openingText(authority: string, connection: "keep-alive" | "close"): string {
  return `host: ${authority}\r\nconnection: ${connection}\r\n`;
}

function forwardedText(exchange: Exchange): string {
  return `${fieldLines(forwardedFields(exchange))}X-Request-Id: `;
}
