import { type ErrorCode, errorTable } from "../errors.ts";
import { grpcStatusOfError } from "../http/grpc-status.ts";
import type { RequestHead } from "../http/request-head.ts";

/** The head and body of a local reply. `headers` is flat: name, value, name, value. */
export interface LocalResponse {
  readonly status: number;
  readonly headers: string[];
  readonly body: string;
}

export interface Redirect {
  readonly status: 301 | 302 | 303 | 307 | 308;
  /** Visible ASCII. */
  readonly location: string;
  readonly setCookie: string | undefined;
}

/** An error with its own status and `Retry-After`. */
export interface Refusal {
  readonly error: Extract<ErrorCode, "rate-limited" | "fault">;
  readonly status: number;
  readonly retryAfterSeconds: number | undefined;
}

/** The response to a CORS preflight. */
export interface Preflight {
  readonly status: 204;
  /** Flat: name, value. */
  readonly fields: readonly string[];
}

/** A response that Perch makes itself: an error, a redirect or the response to a preflight. */
export type LocalReply = ErrorCode | Refusal | Redirect | Preflight;

/**
 * Renders a local reply. An error body has the code, a message and the request id, and nothing about upstreams.
 * `retryAfterSeconds` is sent with status 503; `corsFields`, flat, with all but a preflight's response, which has them.
 */
export function localResponse(
  reply: LocalReply,
  requestId: string | undefined,
  accept: unknown,
  retryAfterSeconds = 1,
  corsFields: readonly string[] = [],
): LocalResponse {
  if (typeof reply === "object" && "fields" in reply) return preflightResponse(reply, requestId);
  const response = errorOrRedirect(reply, requestId, accept, retryAfterSeconds);
  response.headers.push(...corsFields);
  return response;
}

function errorOrRedirect(
  reply: Exclude<LocalReply, Preflight>,
  requestId: string | undefined,
  accept: unknown,
  retryAfterSeconds: number,
): LocalResponse {
  if (typeof reply === "string") {
    const { status } = errorTable[reply];
    const seconds = status === 503 ? retryAfterSeconds : undefined;
    return errorResponse({ error: reply, status, retryAfterSeconds: seconds }, requestId, accept);
  }
  return "error" in reply ? errorResponse(reply, requestId, accept) : redirectResponse(reply, requestId);
}

/** A 204 has no Content-Length (RFC 9110 §8.6). */
function preflightResponse({ status, fields }: Preflight, requestId: string | undefined): LocalResponse {
  return { status, headers: requestId === undefined ? [...fields] : [...fields, "x-request-id", requestId], body: "" };
}

function errorResponse(
  { error: code, status, retryAfterSeconds }: Omit<Refusal, "error"> & { readonly error: ErrorCode },
  requestId: string | undefined,
  accept: unknown,
): LocalResponse {
  const { message } = errorTable[code];
  const json = typeof accept === "string" && /\bapplication\/(?:[\w.-]+\+)?json\b/i.test(accept);
  const body = json ? `${JSON.stringify({ error: code, message, requestId })}\n` : `${status} ${code}: ${message}\n`;
  const headers = [
    "Content-Type",
    json ? "application/json" : "text/plain; charset=utf-8",
    "Content-Length",
    String(Buffer.byteLength(body)),
    "Cache-Control",
    "no-store",
    "x-perch-error",
    code,
  ];
  if (requestId !== undefined) headers.push("x-request-id", requestId);
  if (retryAfterSeconds !== undefined) headers.push("Retry-After", `${retryAfterSeconds}`);
  return { status, headers, body };
}

function redirectResponse({ status, location, setCookie }: Redirect, requestId: string | undefined): LocalResponse {
  const headers = ["Content-Length", "0"];
  // A cache must not hand the cookie of one client to another.
  if (setCookie !== undefined) headers.push("Cache-Control", "no-store");
  headers.push("Location", location);
  if (setCookie !== undefined) headers.push("Set-Cookie", setCookie);
  if (requestId !== undefined) headers.push("x-request-id", requestId);
  return { status, headers, body: "" };
}

/** Renders an error for a gRPC call: a trailers-only response with HTTP status 200. */
export function grpcLocalResponse(code: ErrorCode, requestId: string): LocalResponse {
  const headers = [
    "content-type",
    "application/grpc",
    "grpc-status",
    String(grpcStatusOfError(code)),
    "grpc-message",
    `${code}: ${errorTable[code].message}`,
    "x-perch-error",
    code,
    "x-request-id",
    requestId,
  ];
  return { status: 200, headers, body: "" };
}

/** What the transport adds to a local reply. */
export interface ResponseFrame {
  readonly reasonPhrase: string;
  readonly connection: "keep-alive" | "close";
  /** The current time as an HTTP date. */
  readonly date: string;
  /** Omitted for HEAD. */
  readonly body: "sent" | "omitted";
}

/** The HTTP/1.1 message, with the fields that the transport adds in the order that node:http writes them. */
export function localResponseText(response: LocalResponse, frame: ResponseFrame): string {
  let head = `HTTP/1.1 ${response.status} ${frame.reasonPhrase}\r\nConnection: ${frame.connection}\r\n`;
  for (let i = 0; i < response.headers.length; i += 2) head += `${response.headers[i]}: ${response.headers[i + 1]}\r\n`;
  return `${head}Date: ${frame.date}\r\n\r\n${frame.body === "omitted" ? "" : response.body}`;
}

/** The error code of the reply for log and metrics; undefined for a redirect. */
export function errorOf(reply: LocalReply): ErrorCode | undefined {
  if (typeof reply === "string") return reply;
  return "error" in reply ? reply.error : undefined;
}

/** Whether the connection must close after this reply. */
export function closesConnection(reply: LocalReply): boolean {
  return closingErrors.has(errorOf(reply));
}

/** After these the framing of the request is in doubt, or the client is late. */
const closingErrors: ReadonlySet<ErrorCode | undefined> = new Set<ErrorCode>([
  "headers-too-large",
  "body-too-large",
  "uri-too-long",
  "request-timeout",
  "bad-request",
  "expectation-failed",
  "internal-error",
]);

/** Stands in for a head that could not be parsed, so that its rejection is logged and counted like any other request. */
export function unreadableRequestHead(method = ""): RequestHead {
  return {
    method,
    target: "",
    path: "",
    query: "",
    authority: "",
    host: "",
    cookies: undefined,
    header: () => undefined,
    headerLines: () => [],
  };
}
