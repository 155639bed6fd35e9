import type { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import type { Timeouts, UpstreamProtocol, UpstreamTls } from "../../upstream/service-spec.ts";

/** One request for an endpoint, however it is spoken to. */
export interface UpstreamRequest {
  readonly method: string;
  readonly path: string;
  /** Flat: name, value, name, value. */
  readonly headers: string[];
  readonly body: Readable | null;
  /** The endpoint's name: undici takes connections by it. */
  readonly servername: string;
  /** From the end of the request to the response's head, and between two pieces of its body, in milliseconds. */
  readonly headersTimeout: number;
  readonly bodyTimeout: number;
  /** What came behind the body, asked for once it has ended; sent by HTTP/2 only. */
  readonly trailers?: (() => readonly (readonly [string, string])[]) | undefined;
}

/** The connections to one endpoint. */
export interface UpstreamPool {
  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): unknown;
  /** What is in flight ends, then its connections close. */
  close(): Promise<unknown>;
  destroy(): Promise<unknown>;
}

/** How a service's endpoints are spoken to. */
export interface TransportOptions {
  readonly protocol: UpstreamProtocol;
  readonly timeouts: Timeouts;
  readonly tls: UpstreamTls | undefined;
}
