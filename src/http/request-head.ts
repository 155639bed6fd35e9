import type { Address } from "../decide/ip-address.ts";

/** Returned in place of the value of a header that was sent more than once. */
export const repeated: unique symbol = Symbol("repeated");

/**
 * A request's method, target and headers, which the lane's parser has validated. Decisions read requests only through
 * this interface, so they do not depend on a transport.
 */
export interface RequestHead {
  readonly method: string;
  /** Origin form, as sent upstream: the path, and `?query` if there is one. */
  readonly target: string;
  readonly path: string;
  /**
   * True if the path is in normal form, from a slash on, and has no escapes and no parameters; undefined if the parser
   * did not check.
   */
  readonly pathIsPlain?: boolean;
  /** True if the parser found no escapes in the query; undefined if it did not check. */
  readonly queryIsPlain?: boolean;
  /** The part after the first `?` of the target; may be empty. */
  readonly query: string;
  /** The authority as sent, in the Host header or an absolute-form target. */
  readonly authority: string;
  /** The authority's host: lower case, without port and without a trailing dot. */
  readonly host: string;
  /** The value of the header with this lower-case name; `repeated` if it was sent more than once. */
  header(name: string): string | undefined | typeof repeated;
  /** All values of the header with this lower-case name, in order. May be slow. */
  headerLines(name: string): readonly string[];
  /** All Cookie headers, joined by "; " (RFC 9113 §8.2.3); undefined if there is none. */
  readonly cookies: string | undefined;
  /** The values of cookies of this name as bytes, in order; undefined where only `cookies` tells. Valid until the next call. */
  cookieBytes?(name: string): CookieBytes | undefined;
}

/** The values of cookies of one name. */
export interface CookieBytes {
  readonly bytes: Uint8Array;
  /** Pairs of positions in `bytes`: where each value starts and ends, exclusive. */
  readonly places: Int32Array;
  readonly count: number;
}

/** The peer that sent the request to Perch. */
export interface Caller {
  /** Undefined for a unix socket. */
  readonly address: Address | undefined;
  /** Whether the address is in `trustedProxies`: its X-Forwarded-* headers are used and extended. */
  readonly trusted: boolean;
  /** The scheme of the connection to Perch. */
  readonly scheme: "http" | "https";
  /** The local port that accepted the connection. */
  readonly localPort: number;
  /** The name of the listener that accepted the connection; empty if there is none. */
  readonly listener: string;
}
