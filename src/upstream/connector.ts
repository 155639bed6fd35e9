import { isIP, type Socket } from "node:net";
import { type ConnectionOptions, createSecureContext, type SecureContext } from "node:tls";
import { buildConnector } from "undici";
import { PerchError } from "../errors.ts";
import { descriptorReserve } from "./descriptor-reserve.ts";
import type { EndpointAddress, UpstreamTls } from "./service-spec.ts";

/** An origin for undici, whose origins cannot name a unix socket. The Host header comes from the request. */
export function clientOrigin({ origin, place }: EndpointAddress): string {
  return "path" in place ? "http://localhost" : origin;
}

/**
 * A connector with a fixed TLS server name. By default undici takes the name from each request's Host header, which the
 * client chooses, and closes the connection whenever it changes.
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
  return (options, done) => {
    const failing = descriptorReserve.socketWithoutDescriptor();
    if (failing !== undefined) failing.once("error", (error) => done(error, null));
    else if (scheme === "http") connect({ ...options, servername }, done);
    else connectSecurely(connect, { ...options, servername }, done);
  };
}

/** After the TCP connection is established, errors other than a timeout are TLS errors. */
function connectSecurely(
  connect: buildConnector.connector,
  options: buildConnector.Options,
  done: buildConnector.Callback,
): void {
  let connected = false;
  // undici's connector returns the socket, which its type omits.
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

/** Creating a context parses the CA certificates, so it is done once and not per connection. */
const contexts = new WeakMap<UpstreamTls, SecureContext>();

/** The server name is empty for an IP address, which is not sent as SNI (RFC 6066 §3). */
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
