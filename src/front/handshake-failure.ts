import type { TLSSocket } from "node:tls";
import type { HandshakeFailure } from "../observe/listener-cells.ts";

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
export function handshakeFailure(error: Error & { readonly code?: string }, socket: TLSSocket): HandshakeFailure {
  // Of a certificate that was shown and not verified nothing is said but this.
  if (socket.authorizationError) return "client-certificate";
  const code = error.code ?? "";
  if (code === "ECONNRESET" || code === "EPIPE") return "client-closed";
  if (code === "ERR_TLS_HANDSHAKE_TIMEOUT") return "timeout";
  if (!code.startsWith("ERR_SSL_")) return "other";
  const reason = code.slice("ERR_SSL_".length);
  return byReason[reason] ?? (reason.includes("ALERT") ? "refused-by-client" : "other");
}
