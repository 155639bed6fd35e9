/**
 * Every error that Perch answers or records, and every cause of each, in one table. Callers match on `code` and `cause`,
 * never on the message or the class.
 */

/** Which side caused the error. */
export type ErrorSource = "client" | "upstream" | "perch";

export interface ErrorEntry<C extends string = string> {
  /** HTTP status of the local reply. 499 is only recorded: the client has gone. */
  readonly status: number;
  readonly source: ErrorSource;
  /** Sent to the client. Never contains an address, a stack or data from the request. */
  readonly message: string;
  /** Why it happened: a sentence for the client for each possible cause. The first is for a cause that is not known. */
  readonly causes: Readonly<Record<C, string>>;
}

function entry<C extends string>(
  status: number,
  source: ErrorSource,
  message: string,
  causes: Readonly<Record<C, string>>,
): ErrorEntry<C> {
  return Object.freeze({ status, source, message, causes: Object.freeze(causes) });
}

export const errorTable = Object.freeze({
  "bad-request": entry(400, "client", "The request is malformed.", {
    other: "",
    "invalid-method": "The request line does not begin with a method and a space.",
    "unsupported-method": "The method is not supported.",
    "invalid-target-character": "The target has a character that must be percent-encoded.",
    "invalid-target": "The target is neither a path nor an absolute http or https URL.",
    "invalid-version": "The request line does not end with HTTP/1.0 or HTTP/1.1.",
    "other-protocol": "The request line is of another protocol.",
    "invalid-header-name": "A header name is empty, has a character that is not allowed, or no colon follows it.",
    "invalid-header-value": "A header value has a character that is not allowed.",
    "folded-header": "A header is folded over several lines.",
    "invalid-line-ending": "A line does not end with CR LF.",
    "missing-host": "The Host header is missing.",
    "several-hosts": "There are several Host headers.",
    "invalid-host": "The host is not valid.",
    "conflicting-hosts": "The Host header differs from :authority.",
    "conflicting-lengths": "There are several Content-Length headers.",
    "invalid-content-length": "The Content-Length is not a valid number.",
    "length-and-chunks": "There are both Content-Length and Transfer-Encoding.",
    "unsupported-transfer-encoding": "The Transfer-Encoding is not chunked alone.",
    "invalid-chunk": "A chunk of the body is not valid.",
    "invalid-trailer": "A trailer field is not valid.",
    "forbidden-trailer": "A trailer field frames the message.",
    "data-after-close": "There is data after a request with Connection: close.",
    "ambiguous-path": "The path can be read in different ways.",
    "invalid-rewrite": "The rewritten path is not valid.",
    "unsendable-header": "A header cannot be forwarded.",
    "invalid-websocket-key": "The Sec-WebSocket-Key is missing, repeated, or not 16 bytes in base64.",
    "missing-websocket-version": "The Sec-WebSocket-Version header is missing.",
  }),
  "no-route": entry(404, "client", "No route matches this request.", { "no-match": "" }),
  "request-timeout": entry(408, "client", "The request did not arrive in time.", {
    body: "The body was not complete.",
    head: "The headers were not complete.",
  }),
  "body-too-large": entry(413, "client", "The request body is larger than this route allows.", {
    received: "More bytes than allowed were received.",
    "content-length": "Its Content-Length is above the limit.",
  }),
  "uri-too-long": entry(414, "client", "The request target is too long.", { "target-size": "" }),
  "expectation-failed": entry(417, "client", "The Expect header supports only 100-continue.", {
    "unknown-expectation": "",
  }),
  "upgrade-required": entry(426, "client", "The WebSocket version is not supported.", {
    "websocket-version": "The supported version is 13.",
  }),
  "rate-limited": entry(429, "client", "Too many requests. Try again later.", { "route-limit": "" }),
  "headers-too-large": entry(431, "client", "The request headers are too large.", {
    size: "Their size is above the limit.",
    count: "There are more than allowed.",
    cookies: "There are more cookies than allowed.",
    trailers: "The trailer fields are larger than allowed.",
    "chunk-extensions": "The chunk extensions are larger than allowed.",
  }),
  "client-closed": entry(499, "client", "The client closed the connection before the response was complete.", {
    closed: "",
  }),
  "internal-error": entry(500, "perch", "The proxy failed to handle this request.", { defect: "" }),
  fault: entry(503, "perch", "This error was injected by the configuration.", { abort: "" }),
  "connect-failed": entry(502, "upstream", "The proxy could not connect to the upstream.", {
    other: "",
    closed: "The connection was closed before it could be used.",
    "no-http2": "The upstream does not accept HTTP/2.",
    ECONNREFUSED: "The connection was refused.",
    ECONNRESET: "The connection was reset.",
    EHOSTUNREACH: "There is no way to the host.",
    ENETUNREACH: "There is no way to the network.",
    EHOSTDOWN: "The host is down.",
    EACCES: "Access was denied.",
    EPERM: "Access was denied.",
    ENOENT: "The socket does not exist.",
    ENOTFOUND: "The name has no address.",
    EAI_AGAIN: "The name could not be resolved.",
  }),
  "tls-failed": entry(502, "upstream", "The TLS handshake with the upstream failed.", {
    other: "",
    ECONNRESET: "The connection was reset.",
    CERT_HAS_EXPIRED: "The upstream's certificate has expired.",
    CERT_NOT_YET_VALID: "The upstream's certificate is not valid yet.",
    ERR_TLS_CERT_ALTNAME_INVALID: "The upstream's certificate is for another name.",
    DEPTH_ZERO_SELF_SIGNED_CERT: "The upstream's certificate is self-signed.",
    SELF_SIGNED_CERT_IN_CHAIN: "The upstream's certificate is from an unknown authority.",
    UNABLE_TO_GET_ISSUER_CERT: "The upstream's certificate is from an unknown authority.",
    UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "The upstream's certificate is from an unknown authority.",
    UNABLE_TO_VERIFY_LEAF_SIGNATURE: "The upstream's certificate is from an unknown authority.",
    ERR_SSL_WRONG_VERSION_NUMBER: "The upstream does not speak TLS.",
    ERR_SSL_PACKET_LENGTH_TOO_LONG: "The upstream does not speak TLS.",
    ERR_SSL_UNSUPPORTED_PROTOCOL: "The upstream supports no common TLS version.",
    ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: "The upstream supports no common TLS version.",
    ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: "The upstream refused the handshake.",
    ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: "The upstream requires a client certificate.",
    ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: "The upstream does not accept the client certificate.",
    ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: "The upstream does not accept the client certificate.",
    ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: "The upstream does not accept the client certificate.",
    ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: "The upstream does not accept the client certificate.",
  }),
  "upstream-reset": entry(502, "upstream", "The upstream closed the connection before it responded.", {
    "before-response": "",
    "within-response": "",
  }),
  "upstream-refused": entry(503, "upstream", "The upstream refused the request without processing it.", {
    "stream-refused": "",
  }),
  "upstream-malformed": entry(502, "upstream", "The upstream's response was not valid HTTP.", {
    other: "",
    "head-too-large": "Its headers are larger than limits.responseHeaders of the service, or than HTTP/2 can carry.",
    "too-many-headers": "It has more headers than limits.responseHeaderCount of the service allows.",
    "invalid-status-line": "It does not begin with an HTTP/1.x status line.",
    "invalid-status": "Its status is not valid.",
    "invalid-header-name": "A header name is empty, has a character that is not allowed, or no colon follows it.",
    "invalid-header-value": "A header value has a character that is not allowed.",
    "folded-header": "A header is folded over several lines.",
    "invalid-line-ending": "A line of the headers does not end with CR LF.",
    "conflicting-lengths": "It has several Content-Length headers.",
    "invalid-content-length": "Its Content-Length is not a valid number.",
    "length-and-chunks": "It has both Content-Length and Transfer-Encoding.",
    "several-transfer-encodings": "It has several transfer codings.",
    "unsupported-transfer-encoding": "Its Transfer-Encoding is not chunked.",
    "invalid-chunk": "A chunk of the body is not valid.",
    "chunk-extensions-too-large": "The chunk extensions are larger than allowed.",
    "invalid-trailer": "A trailer field is not valid.",
    "trailers-too-large": "The trailer fields are larger than allowed.",
    "unasked-upgrade": "It switched to a protocol that the request did not ask for.",
    "invalid-websocket-accept": "Its Sec-WebSocket-Accept does not belong to the request's Sec-WebSocket-Key.",
    "too-many-interim-responses": "It sent too many interim responses.",
    "protocol-error": "It violated HTTP/2.",
  }),
  "no-websocket": entry(502, "upstream", "This service does not support WebSocket.", { "http2-service": "" }),
  "no-healthy-endpoint": entry(503, "upstream", "No healthy endpoint is available for the requested version.", {
    mixed: "Its endpoints are unavailable for different reasons.",
    "no-address": "It has no address.",
    ejected: "Its endpoints failed too many requests.",
    "failing-checks": "Its endpoints fail their health checks.",
    unreachable: "Its endpoints cannot be connected to.",
    busy: "Its endpoints have no free connection.",
  }),
  overloaded: entry(503, "perch", "The proxy is overloaded. Try again shortly.", {
    "in-flight": "Too many requests are in flight.",
    "loop-delay": "Requests are processed with a delay.",
    "queue-full": "The queue of the requested version is full.",
    "queue-timeout": "The request was queued for too long.",
    "out-of-resources": "No further connection can be opened.",
    draining: "The proxy is shutting down.",
  }),
  "connect-timeout": entry(504, "upstream", "Connecting to the upstream timed out.", { "no-connection": "" }),
  "upstream-timeout": entry(504, "upstream", "The upstream did not respond in time.", {
    "response-headers": "Its response did not begin in time.",
    idle: "Its response paused for too long.",
    total: "The time limit of the whole request has passed.",
  }),
} satisfies Readonly<Record<string, ErrorEntry>>);

/** The value of `x-perch-error`, and `error` in the access log. */
export type ErrorCode = keyof typeof errorTable;

/** Why the error happened; `cause` in the access log and in metrics. */
export type ErrorCause<E extends ErrorCode> = E extends ErrorCode ? keyof (typeof errorTable)[E]["causes"] : never;

/** The cause of an error for which no better one is known. */
export function firstCause(error: ErrorCode): string {
  return Object.keys(errorTable[error].causes)[0] ?? "other";
}

/** The cause if it is in the table, else the first one: the code of a system error may be any. */
export function knownCause({ error, cause }: { readonly error: ErrorCode; readonly cause: string }): string {
  return Object.hasOwn(errorTable[error].causes, cause) ? cause : firstCause(error);
}

/** An error that ends an exchange. An error as its cause is only logged, never sent to a peer. */
export class PerchError extends Error {
  override readonly name = "PerchError";
  readonly code: ErrorCode;

  /** `cause`: the underlying error, or the word for the cause. */
  constructor(code: ErrorCode, cause?: unknown) {
    super(errorTable[code].message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
