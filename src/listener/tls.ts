import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import { createSecureContext, createServer, type SecureContext, type Server, type TLSSocket } from "node:tls";
import type { TlsSpec } from "../config/compiled-config.ts";
import { socketBelowTls } from "../node-internals.ts";
import type { HandshakeFailure } from "../observe/listener-stats.ts";

/** Protocols that a client may choose from by ALPN, best first. One that asks for none speaks the last. */
const offeredProtocols = ["h2", "http/1.1"] as const;
export type Protocol = (typeof offeredProtocols)[number];

/** What node:tls wants of `ticketKeys`. */
export const ticketKeyBytes = 48;

/** A handshake must be complete within this time. */
const handshakeTimeoutMs = 10_000;

export interface TlsTerminationParts {
  readonly listener: string;
  readonly spec: TlsSpec;
  /** `ticketKeyBytes` that session tickets are sealed with: the same wherever a ticket is to be taken. */
  readonly ticketKeys: Buffer;
  /** Hears of each connection that was destroyed for want of a handshake. */
  readonly failed: (cause: HandshakeFailure) => void;
}

/** Told once TLS is spoken, and by what is spoken within. */
type Secured = (socket: TLSSocket, protocol: Protocol) => void;

/**
 * Speaks TLS on accepted connections and hands on what is spoken within. It holds one spec from start to end: a reload
 * makes another, and handshakes under way end on theirs.
 */
export class TlsTermination {
  readonly #server: Server;
  readonly #waiting = new WeakMap<Socket, Secured>();

  /** Throws where OpenSSL takes a certificate no more that it took when it was read. */
  constructor({ listener, spec, ticketKeys, failed }: TlsTerminationParts) {
    const common = {
      minVersion: spec.minVersion,
      sessionIdContext: sessionContext(listener, spec),
      ...(spec.clientCa === undefined ? {} : { ca: Buffer.from(spec.clientCa) }),
    };
    const contexts = spec.certificates.map(({ chain, key }) =>
      createSecureContext({ ...common, cert: Buffer.from(chain), key: Buffer.from(key) }),
    );
    const names = new ServerNames<SecureContext>();
    for (const [index, { hosts }] of spec.certificates.entries()) {
      const context = contexts[index];
      if (context !== undefined) for (const host of hosts) names.add(host, context);
    }
    const [first] = spec.certificates;
    this.#server = createServer({
      ...common,
      ...(first === undefined ? {} : { cert: Buffer.from(first.chain), key: Buffer.from(first.key) }),
      ALPNProtocols: [...offeredProtocols],
      SNICallback: (name, done) => done(null, names.find(name)),
      requestCert: spec.clientCa !== undefined,
      rejectUnauthorized: true,
      handshakeTimeout: handshakeTimeoutMs,
      ticketKeys,
    });
    this.#server.on("secureConnection", (socket) => this.#onSecure(socket));
    this.#server.on("tlsClientError", (error, socket) => {
      socket.destroy();
      failed(handshakeFailure(error, socket));
    });
  }

  /** Calls back once TLS is spoken; a connection that never gets there is destroyed. */
  accept(socket: Socket, secured: Secured): void {
    this.#waiting.set(socket, secured);
    // Who ends in the middle of a handshake waits for no answer.
    socket.allowHalfOpen = false;
    // It listens to nothing; node:tls takes connections that others accepted by this event.
    this.#server.emit("connection", socket);
  }

  #onSecure(socket: TLSSocket): void {
    const below = socketBelowTls(socket);
    const secured = below === undefined ? undefined : this.#waiting.get(below);
    if (secured === undefined) {
      socket.destroy();
      return;
    }
    socket.allowHalfOpen = true;
    secured(socket, socket.alpnProtocol === false ? "http/1.1" : (socket.alpnProtocol as Protocol));
  }
}

/**
 * A session is resumed only where it could have begun: by the same listener, under the same authorities. Otherwise a
 * ticket would stand in for a client certificate that was never shown (CVE-2025-23419).
 */
function sessionContext(listener: string, { clientCa }: TlsSpec): string {
  const hash = createHash("sha256").update(`${listener}\n`);
  if (clientCa !== undefined) hash.update(clientCa);
  return hash.digest("hex").slice(0, 32);
}

/**
 * Finds by the name that a client asks for (SNI): exact, then with its first label replaced by `*`. Where a name is given
 * twice the first holds.
 */
class ServerNames<T> {
  readonly #byName = new Map<string, T>();

  add(name: string, value: T): void {
    if (!this.#byName.has(name)) this.#byName.set(name, value);
  }

  find(serverName: string): T | undefined {
    const name = serverName.toLowerCase().replace(/\.$/, "");
    const dot = name.indexOf(".");
    return this.#byName.get(name) ?? (dot < 0 ? undefined : this.#byName.get(`*${name.slice(dot)}`));
  }
}

/** By OpenSSL's reason, as it stands in the code of node's errors after `ERR_SSL_`. */
const byReason: Readonly<Record<string, HandshakeFailure>> = {
  HTTP_REQUEST: "not-tls",
  HTTPS_PROXY_REQUEST: "not-tls",
  WRONG_VERSION_NUMBER: "not-tls",
  PACKET_LENGTH_TOO_LONG: "not-tls",
  BAD_RECORD_TYPE: "not-tls",
  RECORD_TOO_SMALL: "not-tls",
  UNKNOWN_PROTOCOL: "version",
  UNSUPPORTED_PROTOCOL: "version",
  VERSION_TOO_LOW: "version",
  NO_SHARED_CIPHER: "cipher",
  NO_SUITABLE_SIGNATURE_ALGORITHM: "cipher",
  NO_SUITABLE_KEY_SHARE: "cipher",
  NO_SHARED_GROUPS: "cipher",
  NO_APPLICATION_PROTOCOL: "protocol",
  PEER_DID_NOT_RETURN_A_CERTIFICATE: "client-certificate",
};

/** What a failed handshake is counted as. */
function handshakeFailure(error: Error & { readonly code?: string }, socket: TLSSocket): HandshakeFailure {
  // Of a certificate that was shown and not verified nothing is said but this.
  if (socket.authorizationError) return "client-certificate";
  const code = error.code ?? "";
  if (code === "ECONNRESET" || code === "EPIPE") return "client-closed";
  if (code === "ERR_TLS_HANDSHAKE_TIMEOUT") return "timeout";
  if (!code.startsWith("ERR_SSL_")) return "other";
  const reason = code.slice("ERR_SSL_".length);
  return byReason[reason] ?? (reason.includes("ALERT") ? "refused-by-client" : "other");
}
