import type { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import type { ResponseHeadLimits, Timeouts, UpstreamProtocol, UpstreamTls } from "../../upstream/service-spec.ts";

/** One request to an endpoint, independent of the HTTP version. */
export interface UpstreamRequest {
  readonly method: string;
  readonly path: string;
  /** Flat: name, value, name, value. */
  readonly headers: string[];
  readonly body: Readable | null;
  /** The endpoint's host. undici chooses a connection by it. */
  readonly servername: string;
  /** Milliseconds from the end of the request to the response head. */
  readonly headersTimeout: number;
  /** Milliseconds between two chunks of the response body. */
  readonly bodyTimeout: number;
  /** The request trailers, called once the body has ended. Sent over HTTP/2 only. */
  readonly trailers?: (() => readonly (readonly [string, string])[]) | undefined;
  /** Whether the connection carries no further request. HTTP/1.1 only. */
  readonly reset?: boolean;
}

/** A request that waits for a connection. */
export interface QueuedRequest {
  readonly request: UpstreamRequest;
  readonly handler: Dispatcher.DispatchHandler;
}

/** The connections to one endpoint. */
export interface UpstreamPool {
  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): unknown;
  /** Closes the connections once requests in flight have ended. */
  close(): Promise<unknown>;
  destroy(): Promise<unknown>;
}

/** How to connect to a service's endpoints. */
export interface TransportOptions {
  readonly protocol: UpstreamProtocol;
  readonly timeouts: Timeouts;
  readonly tls: UpstreamTls | undefined;
  readonly responseHead: ResponseHeadLimits;
}

/** The controller of a request that never got a connection. */
export const neverStarted: Dispatcher.DispatchController = {
  aborted: false,
  paused: false,
  reason: null,
  abort() {},
  pause() {},
  resume() {},
};
