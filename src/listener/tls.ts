import { constants, createHash } from "node:crypto";
import type { Socket } from "node:net";
import { createSecureContext, createServer, type SecureContext, type Server, type TLSSocket } from "node:tls";
import type { TlsSpec } from "../config/compiled-config.ts";
import { socketBelowTls } from "../node-internals.ts";
import type { HandshakeFailure } from "../observe/listener-stats.ts";

/** Offered by ALPN, in order of preference. A client without ALPN speaks the last. */
const offeredProtocols = ["h2", "http/1.1"] as const;
export type Protocol = (typeof offeredProtocols)[number];

/** Required by the `ticketKeys` option of node:tls. */
export const ticketKeyBytes = 48;

const handshakeTimeoutMs = 10_000;

export interface TlsTerminationParts {
  readonly listener: string;
  readonly spec: TlsSpec;
  /** `ticketKeyBytes` long. Encrypts session tickets; only listeners with the same keys accept them. */
  readonly ticketKeys: Buffer;
  /** Called for each connection that was destroyed because its handshake failed. */
  readonly failed: (cause: HandshakeFailure) => void;
}

/** Called once the handshake is complete. */
type Secured = (socket: TLSSocket, protocol: Protocol) => void;

/**
 * Terminates TLS on accepted connections. Its spec is fixed: a reload creates another instance, and handshakes under
 * way complete on the old one.
 */
export class TlsTermination {
  readonly #server: Server;
  readonly #pending = new WeakMap<Socket, Secured>();

  /** Throws if OpenSSL rejects a certificate, although it was valid when the configuration was loaded. */
  constructor({ listener, spec, ticketKeys, failed }: TlsTerminationParts) {
    const common = {
      minVersion: spec.minVersion,
      // A client of TLS 1.2 could make one connection compute one handshake after another; HTTP/2 forbids it (RFC 9113
      // §9.2.1).
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
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

  /** Calls back once the handshake is complete. If it fails, the connection is destroyed. */
  accept(socket: Socket, secured: Secured): void {
    this.#pending.set(socket, secured);
    // A client that closes its half during the handshake does not wait for a response.
    socket.allowHalfOpen = false;
    // The TLS server does not listen. This event gives it a connection that was accepted elsewhere.
    this.#server.emit("connection", socket);
  }

  #onSecure(socket: TLSSocket): void {
    const below = socketBelowTls(socket);
    const secured = below === undefined ? undefined : this.#pending.get(below);
    if (secured === undefined) {
      socket.destroy();
      return;
    }
    socket.allowHalfOpen = true;
    secured(socket, socket.alpnProtocol === false ? "http/1.1" : (socket.alpnProtocol as Protocol));
  }
}

/**
 * Limits session resumption to the same listener with the same client CAs. Otherwise a ticket would replace a client
 * certificate that was never verified (CVE-2025-23419).
 */
function sessionContext(listener: string, { clientCa }: TlsSpec): string {
  const hash = createHash("sha256").update(`${listener}\n`);
  if (clientCa !== undefined) hash.update(clientCa);
  return hash.digest("hex").slice(0, 32);
}

/** Looks up a server name (SNI): exact, then with its first label replaced by `*`. Of duplicates the first counts. */
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

/** By OpenSSL's reason, which follows `ERR_SSL_` in the codes of node's errors. */
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

function handshakeFailure(error: Error & { readonly code?: string }, socket: TLSSocket): HandshakeFailure {
  // The only sign of a client certificate that failed verification.
  if (socket.authorizationError) return "client-certificate";
  const code = error.code ?? "";
  if (code === "ECONNRESET" || code === "EPIPE") return "client-closed";
  if (code === "ERR_TLS_HANDSHAKE_TIMEOUT") return "timeout";
  if (!code.startsWith("ERR_SSL_")) return "other";
  const reason = code.slice("ERR_SSL_".length);
  return byReason[reason] ?? (reason.includes("ALERT") ? "refused-by-client" : "other");
}
