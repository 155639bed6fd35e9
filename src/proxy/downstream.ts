import { parseAddress } from "../decide/ip-address.ts";
import { defaultPorts } from "../http/authority.ts";
import type { Caller } from "../http/request-head.ts";
import type { Snapshot } from "./snapshot.ts";

/** The addresses and scheme of a connection, as known before its first request. */
export interface ConnectionEnds {
  /** Undefined if unknown. */
  readonly remoteAddress: string | undefined;
  readonly localPort: number | undefined;
  readonly scheme: Caller["scheme"];
  /** The name of the listener. */
  readonly listener: string;
  /** Tells a unix socket, which has no address, from a closed TCP connection, whose address is no longer known. */
  readonly transport: "tcp" | "unix";
}

/** The caller of one connection, and its request count. A new snapshot may change whether the caller is trusted. */
export class DownstreamInfo {
  /** The last owner of the connection calls it on close. */
  readonly left: () => void;
  readonly #ends: ConnectionEnds;
  /** The snapshot that `#caller` was derived from. */
  #callerSnapshot: Snapshot | undefined;
  #caller: Caller | undefined;
  #requests = 0;

  constructor(ends: ConnectionEnds, left: () => void) {
    this.#ends = ends;
    this.left = left;
  }

  requestsStarted(count: number): void {
    this.#requests += count;
  }

  /** Whether the connection must close because of `requestsPerConnection`. */
  maxRequestsReached({ config }: Snapshot): boolean {
    return this.#requests >= config.limits.requestsPerConnection;
  }

  caller(snapshot: Snapshot): Caller {
    if (this.#caller !== undefined && this.#callerSnapshot === snapshot) return this.#caller;
    const { remoteAddress, scheme, listener, transport, localPort = defaultPorts[scheme] } = this.#ends;
    // Link-local addresses carry a zone (RFC 4007 §11).
    const address = remoteAddress === undefined ? undefined : parseAddress(remoteAddress.replace(/%.*$/, ""));
    const trusted =
      address === undefined
        ? transport === "unix" && snapshot.config.trustUnixSockets
        : snapshot.trustedProxies.some((range) => range.contains(address));
    this.#callerSnapshot = snapshot;
    this.#caller = callerOf({ address, trusted, scheme, localPort, listener });
    return this.#caller;
  }
}

/** Bounds what clients can make it hold. */
const maxCallers = 1_024;
const callers = new Map<string, Caller>();

/** Equal callers share an object: behind a load balancer most connections come from few addresses. */
function callerOf(caller: Caller): Caller {
  const { address, trusted, scheme, localPort, listener } = caller;
  const key = `${trusted} ${scheme} ${localPort} ${listener} ${address?.text}`;
  const known = callers.get(key);
  if (known !== undefined) return known;
  if (callers.size >= maxCallers) callers.clear();
  callers.set(key, Object.freeze(caller));
  return caller;
}
