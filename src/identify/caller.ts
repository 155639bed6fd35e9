import type { Address } from "../decide/address.ts";

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
