import { parseAddress } from "../decide/ip-address.ts";
import type { Caller } from "../http/request-head.ts";
import type { Snapshot } from "./snapshot.ts";

/** The two ends of a connection and what is spoken over it, as found before its first request. */
export interface ConnectionEnds {
  /** Undefined where the connection tells none. */
  readonly remoteAddress: string | undefined;
  readonly localPort: number | undefined;
  readonly scheme: Caller["scheme"];
  /** Over a unix socket there is no address; a TCP connection that is gone already tells none either. */
  readonly transport: "tcp" | "unix";
}

const defaultPorts = { http: 80, https: 443 } as const;

/** Who sent the requests of one connection, and how many. Judged anew where a reload changed whom to trust. */
export class DownstreamInfo {
  /** Whoever has a connection last calls it when that is closed. */
  readonly left: () => void;
  readonly #ends: ConnectionEnds;
  #judgedBy: Snapshot | undefined;
  #caller: Caller | undefined;

  #requests = 0;

  constructor(ends: ConnectionEnds, left: () => void) {
    this.#ends = ends;
    this.left = left;
  }

  requestStarted(): void {
    this.#requests++;
  }

  /** Whether the connection brought as many requests as it may. */
  maxRequestsReached({ config }: Snapshot): boolean {
    return this.#requests >= config.limits.requestsPerConnection;
  }

  caller(snapshot: Snapshot): Caller {
    if (this.#caller !== undefined && this.#judgedBy === snapshot) return this.#caller;
    const { remoteAddress, scheme, transport, localPort = defaultPorts[scheme] } = this.#ends;
    // Link-local addresses come with their zone (RFC 4007 §11).
    const address = remoteAddress === undefined ? undefined : parseAddress(remoteAddress.replace(/%.*$/, ""));
    const trusted =
      address === undefined
        ? transport === "unix" && snapshot.config.trustUnixSockets
        : snapshot.trustedProxies.some((range) => range.contains(address));
    this.#judgedBy = snapshot;
    this.#caller = Object.freeze({ address, trusted, scheme, localPort });
    return this.#caller;
  }
}
