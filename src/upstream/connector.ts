import { isIP, type Socket } from "node:net";
import { type ConnectionOptions, createSecureContext, type SecureContext } from "node:tls";
import { buildConnector } from "undici";
import { PerchError } from "../errors.ts";
import type { EndpointAddress, UpstreamTls } from "./service-spec.ts";

/** For undici, whose origins know no unix socket; the Host that is sent comes from the request. */
export function clientOrigin({ origin, place }: EndpointAddress): string {
  return "path" in place ? "http://localhost" : origin;
}

/**
 * undici takes the TLS server name from the Host of each request, which is the client's to choose, and drops a connection
 * whenever it changes. The endpoint is who its address says.
 */
export function connectTo(
  address: EndpointAddress,
  timeoutMs: number,
  tls: UpstreamTls | undefined,
): buildConnector.connector {
  const { place, scheme } = address;
  const { servername, ...secure } = upstreamTlsOptions(address, tls);
  const path = "path" in place ? { socketPath: place.path } : {};
  const connect = buildConnector({ timeout: timeoutMs, ...path, ...(scheme === "https" ? secure : {}) });
  if (scheme === "http") return (options, done) => connect({ ...options, servername }, done);
  return (options, done) => connectSecurely(connect, { ...options, servername }, done);
}

/** Once there is a connection, what goes wrong is no fault of the network but of certificates, or of who speaks TLS. */
function connectSecurely(
  connect: buildConnector.connector,
  options: buildConnector.Options,
  done: buildConnector.Callback,
): void {
  let connected = false;
  // It answers with the socket, which its declaration does not know.
  const socket = connect(options, (...result) => {
    const [error] = result;
    if (error === null || !connected || isTimeout(error)) done(...result);
    else done(new PerchError("tls-failed", error), null);
  }) as unknown as Socket;
  socket.once("connect", () => {
    connected = true;
  });
}

function isTimeout(error: Error & { readonly code?: unknown }): boolean {
  return error.code === "UND_ERR_CONNECT_TIMEOUT";
}

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
