import { type ErrorCause, type ErrorCode, errorTable, knownCause } from "../errors.ts";
import { parseAuthority } from "../http/authority.ts";
import { grpcStatusOfError } from "../http/grpc-status.ts";
import { fieldLines } from "../http/header-fields.ts";
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

/** An error that Perch answers. */
export interface Refusal {
  readonly error: ErrorCode;
  /** One of the error's in the table of errors, or the code of a system or TLS error. */
  readonly cause: string;
  /** Default: the error's, with `Retry-After` if it is 503. */
  readonly status?: number;
  readonly retryAfterSeconds?: number;
}

/** The response to a CORS preflight. */
export interface Preflight {
  readonly status: 204;
  /** Flat: name, value. */
  readonly fields: readonly string[];
}

/** A response that Perch makes itself: an error, a redirect or the response to a preflight. */
export type LocalReply = Refusal | Redirect | Preflight;

/** Makes the reply for an error and one of its causes. */
export function refusal<E extends ErrorCode>(error: E, cause: ErrorCause<E>): Refusal {
  return { error, cause };
}

/**
 * Renders a local reply. An error body has the code, the cause, a sentence for each and the request id, and nothing about
 * upstreams. `retryAfterSeconds` is sent with an error whose status is 503; `corsFields`, flat, with all but a
 * preflight's response, which has them.
 */
export function localResponse(
  reply: LocalReply,
  requestId: string,
  accept: unknown,
  retryAfterSeconds = 1,
  corsFields: readonly string[] = [],
): LocalResponse {
  if ("fields" in reply) return preflightResponse(reply, requestId);
  const response = errorOrRedirect(reply, requestId, accept, retryAfterSeconds);
  response.headers.push(...corsFields);
  return response;
}

function errorOrRedirect(
  reply: Exclude<LocalReply, Preflight>,
  requestId: string,
  accept: unknown,
  retryAfterSeconds: number,
): LocalResponse {
  if (!("error" in reply)) return redirectResponse(reply, requestId);
  if (reply.status !== undefined || errorTable[reply.error].status !== 503)
    return errorResponse(reply, requestId, accept);
  return errorResponse({ ...reply, retryAfterSeconds }, requestId, accept);
}

/** A 204 has no Content-Length (RFC 9110 §8.6). */
function preflightResponse({ status, fields }: Preflight, requestId: string): LocalResponse {
  return { status, headers: [...fields, "x-request-id", requestId], body: "" };
}

function errorResponse(refusal: Refusal, requestId: string, accept: unknown): LocalResponse {
  const { error: code, status = errorTable[code].status, retryAfterSeconds } = refusal;
  const cause = knownCause(refusal);
  const message = messageOf(refusal);
  const json = typeof accept === "string" && /\bapplication\/(?:[\w.-]+\+)?json\b/i.test(accept);
  const body = json
    ? `${JSON.stringify({ error: code, cause, message, requestId })}\n`
    : `${status} ${code}: ${message}\n`;
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
  headers.push(...extraFields(code), "x-request-id", requestId);
  if (retryAfterSeconds !== undefined) headers.push("Retry-After", `${retryAfterSeconds}`);
  return { status, headers, body };
}

/** The error's message, and what the cause adds to it. */
function messageOf(refusal: Refusal): string {
  const { message, causes } = errorTable[refusal.error];
  const sentence = (causes as Readonly<Record<string, string>>)[knownCause(refusal)] ?? "";
  return sentence === "" ? message : `${message} ${sentence}`;
}

/** RFC 6455 §4.4, RFC 9110 §15.5.22. */
function extraFields(error: ErrorCode): readonly string[] {
  return error === "upgrade-required" ? ["Upgrade", "websocket", "Sec-WebSocket-Version", "13"] : [];
}

function redirectResponse({ status, location, setCookie }: Redirect, requestId: string): LocalResponse {
  const headers = ["Content-Length", "0"];
  // A cache must not hand the cookie of one client to another.
  if (setCookie !== undefined) headers.push("Cache-Control", "no-store");
  headers.push("Location", location);
  if (setCookie !== undefined) headers.push("Set-Cookie", setCookie);
  headers.push("x-request-id", requestId);
  return { status, headers, body: "" };
}

/** Renders an error for a gRPC call: a trailers-only response with HTTP status 200. */
export function grpcLocalResponse(refusal: Refusal, requestId: string): LocalResponse {
  const { error: code } = refusal;
  const headers = [
    "content-type",
    "application/grpc",
    "grpc-status",
    String(grpcStatusOfError(code)),
    "grpc-message",
    `${code}: ${messageOf(refusal)}`,
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
  const start = `HTTP/1.1 ${response.status} ${frame.reasonPhrase}\r\nConnection: ${frame.connection}\r\n`;
  return `${start}${fieldLines(response.headers)}Date: ${frame.date}\r\n\r\n${frame.body === "omitted" ? "" : response.body}`;
}

/** The error code of the reply for log and metrics; undefined for a redirect. */
export function errorOf(reply: LocalReply): ErrorCode | undefined {
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
  "upgrade-required",
  "internal-error",
]);

/** What is known of a request that is refused for its head; empty if unknown. For the log only. */
export interface RefusedHead {
  readonly method: string;
  readonly host: string;
  readonly path: string;
}

const unparsed: RefusedHead = Object.freeze({ method: "", host: "", path: "" });

/** Of a head that was parsed, what may be shown: a valid host, and a path without its query. */
export function refusedHead(method: string, authority: string, target: string): RefusedHead {
  const [path = ""] = target.startsWith("/") ? target.split(/[?#]/, 1) : [];
  return { method, host: parseAuthority(authority)?.host ?? "", path };
}

/** Stands in for a head that could not be parsed, so that its rejection is logged and counted like any other request. */
export function unreadableRequestHead({ method, host, path }: RefusedHead = unparsed): RequestHead {
  return {
    method,
    target: path,
    path,
    query: "",
    authority: "",
    host,
    cookies: undefined,
    header: () => undefined,
    headerLines: () => [],
  };
}
