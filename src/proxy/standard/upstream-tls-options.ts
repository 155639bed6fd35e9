import { isIP } from "node:net";
import { type ConnectionOptions, createSecureContext, type SecureContext } from "node:tls";
import type { EndpointAddress } from "../../upstream/endpoint-address.ts";
import type { UpstreamTls } from "../../upstream/upstream-tls.ts";

type TlsOptions = Pick<ConnectionOptions, "secureContext" | "rejectUnauthorized"> & { readonly servername: string };

/** Authorities are parsed when a context is made: once, and not for each connection. */
const contexts = new WeakMap<UpstreamTls, SecureContext>();

/**
 * For TLS connections to an endpoint. The name is empty where it is known by an IP address, which goes without one
 * (RFC 6066 §3).
 */
export function upstreamTlsOptions({ host }: EndpointAddress, tls: UpstreamTls | undefined): TlsOptions {
  const servername = tls?.serverName ?? (isIP(host) === 0 ? host : "");
  if (tls === undefined) return { servername };
  const secureContext = contexts.get(tls) ?? contextOf(tls);
  contexts.set(tls, secureContext);
  return { servername, secureContext, rejectUnauthorized: tls.verify === "certificates" };
}

function contextOf({ ca, client }: UpstreamTls): SecureContext {
  return createSecureContext({
    ...(ca && { ca: Buffer.from(ca) }),
    ...(client && { cert: Buffer.from(client.chain), key: Buffer.from(client.key) }),
    minVersion: "TLSv1.2",
  });
}
