import { isIP } from "node:net";
import type { EndpointAddress } from "../../upstream/endpoint-address.ts";

/** The name that is asked for in a TLS handshake; empty for an IP address, which goes without one (RFC 6066 §3). */
export function serverNameOf({ host }: EndpointAddress): string {
  return isIP(host) === 0 ? host : "";
}
