import type { Address } from "../decide/ip-address.ts";

/** Answered for a header that came more than once, where only one value can be meant. */
export const repeated: unique symbol = Symbol("repeated");

/**
 * The head of a request as any lane read it: method, target and headers, judged well-formed by the lane's parser. The
 * chain asks only through this interface, so it never knows a transport's own objects.
 */
export interface RequestHead {
  readonly method: string;
  /** Origin-form target as it goes upstream: path, and `?query` where there is one. An absolute-form target was reduced to this. */
  readonly target: string;
  readonly path: string;
  /** Where its reader saw that the path is in normal form, and holds no escape; it need not have looked. */
  readonly pathIsPlain?: boolean;
  /** Where its reader saw that the query holds no escape; it need not have looked. */
  readonly queryIsPlain?: boolean;
  /** What follows the first `?` of the target; empty where there is none. */
  readonly query: string;
  /** The authority as sent, in the Host header or an absolute-form target. */
  readonly authority: string;
  /** The authority's host: lower case, without port and without a trailing dot. */
  readonly host: string;
  /** The value of the header with this lower-case name; `repeated` where it came more than once. */
  header(name: string): string | undefined | typeof repeated;
  /** All values of the header with this lower-case name, line by line in order; empty where there is none. Seldom asked. */
  headerLines(name: string): readonly string[];
  /** All Cookie headers, joined by "; " as RFC 9113 §8.2.3 does; undefined where there is none. */
  readonly cookies: string | undefined;
}

/** The peer that sent the request to us, as far as its connection tells. */
export interface Caller {
  /** Undefined for a unix socket. */
  readonly address: Address | undefined;
  /** True where the address is in `trustedProxies`: its X-Forwarded-* are believed and extended. */
  readonly trusted: boolean;
  /** The scheme that the caller used towards us. */
  readonly scheme: "http" | "https";
  /** The local port that accepted the connection. */
  readonly localPort: number;
}
