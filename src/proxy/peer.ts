import { parseAddress } from "../decide/address.ts";
import type { Caller } from "../identify/caller.ts";
import type { Snapshot } from "./snapshot.ts";

/** The two ends of a connection, as its socket tells them. */
export interface ConnectionEnds {
  readonly remoteAddress?: string | undefined;
  readonly localPort?: number | undefined;
}

/** Who sent the requests of one connection. Judged anew where a reload changed whom to trust. */
export class Peer {
  readonly #ends: ConnectionEnds;
  #judgedBy: Snapshot | undefined;
  #caller: Caller | undefined;

  constructor(ends: ConnectionEnds) {
    this.#ends = ends;
  }

  caller(snapshot: Snapshot): Caller {
    if (this.#caller !== undefined && this.#judgedBy === snapshot) return this.#caller;
    const { remoteAddress, localPort = 0 } = this.#ends;
    // Link-local addresses come with their zone (RFC 4007 §11).
    const address = remoteAddress === undefined ? undefined : parseAddress(remoteAddress.replace(/%.*$/, ""));
    const trusted = address !== undefined && snapshot.trustedProxies.some((range) => range.contains(address));
    this.#judgedBy = snapshot;
    this.#caller = Object.freeze({ address, trusted, scheme: "http", localPort });
    return this.#caller;
  }
}
