import type { Dispatcher } from "undici";
import type { EndpointAddress } from "../../upstream/endpoint-address.ts";
import { Http2UpstreamSession } from "./http2-upstream-session.ts";
import type { UpstreamRequest, Way } from "./pools.ts";

/**
 * The HTTP/2 connections to one endpoint: as few as carry its requests at a time. Not undici's, which sends a request
 * again by itself that was refused, joins repeated fields, and neither sends trailers nor tells an answer of trailers
 * only from one without a body.
 */
export class Http2Upstream {
  readonly #address: EndpointAddress;
  readonly #way: Way;
  readonly #sessions = new Set<Http2UpstreamSession>();

  constructor(address: EndpointAddress, way: Way) {
    this.#address = address;
    this.#way = way;
  }

  /** As undici's: the handler hears of the request's start once it has a connection, and of its end once. */
  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void {
    (this.#withRoom() ?? this.#open()).send(request, handler);
  }

  /** What is in flight ends, then its connections close. */
  async close(): Promise<void> {
    for (const session of this.#sessions) session.retire();
  }

  /** Breaks off whatever is still in flight. */
  async destroy(): Promise<void> {
    for (const session of this.#sessions) session.destroy();
  }

  #withRoom(): Http2UpstreamSession | undefined {
    for (const session of this.#sessions) if (session.hasRoom) return session;
    return undefined;
  }

  #open(): Http2UpstreamSession {
    const session: Http2UpstreamSession = new Http2UpstreamSession(this.#address, this.#way, {
      gone: () => this.#sessions.delete(session),
      overflow: ({ request, handler }) => this.dispatch(request, handler),
    });
    this.#sessions.add(session);
    return session;
  }
}
