import { type ErrorCode, errorTable } from "../errors.ts";
import { grpcStatusOfError } from "../http/grpc-status.ts";
import type { RequestHead } from "../http/request-head.ts";

/** The head and body of an answer that Perch makes itself. Flat headers, as for a forwarded one. */
export interface LocalResponse {
  readonly status: number;
  readonly headers: string[];
  readonly body: string;
}

/** Sends the client elsewhere. */
export interface Redirect {
  readonly status: 301 | 302 | 303 | 307 | 308;
  /** Visible ASCII. */
  readonly location: string;
  readonly setCookie: string | undefined;
}

/** An error with a status of its own. */
export interface Refusal {
  readonly error: Extract<ErrorCode, "rate-limited" | "fault">;
  readonly status: number;
  readonly retryAfterSeconds: number | undefined;
}

/** How Perch ends a request itself: with an error, or by a redirect. */
export type LocalReply = ErrorCode | Refusal | Redirect;

/** After these the request's own framing is in doubt, or the client is late: the connection ends with the answer. */
const closingErrors: ReadonlySet<ErrorCode | undefined> = new Set<ErrorCode>([
  "headers-too-large",
  "body-too-large",
  "uri-too-long",
  "request-timeout",
  "bad-request",
  "expectation-failed",
  "internal-error",
]);

/** Whether the connection ends with this answer, whatever else would keep it. */
export function closesConnection(ending: LocalReply): boolean {
  return closingErrors.has(errorOf(ending));
}

/** What the log and the metrics call it. */
export function errorOf(ending: LocalReply): ErrorCode | undefined {
  if (typeof ending === "string") return ending;
  return "error" in ending ? ending.error : undefined;
}

/**
 * What a caller reads when Perch itself answers: the code, a sentence, the request's id, and nothing about upstreams.
 * `retryAfterSeconds` stands on answers that say the shortage is ours or will pass.
 */
export function localResponse(
  ending: LocalReply,
  requestId: string | undefined,
  accept: unknown,
  retryAfterSeconds = 1,
): LocalResponse {
  if (typeof ending === "string") {
    const { status } = errorTable[ending];
    const seconds = status === 503 ? retryAfterSeconds : undefined;
    return errorAnswer({ error: ending, status, retryAfterSeconds: seconds }, requestId, accept);
  }
  return "error" in ending ? errorAnswer(ending, requestId, accept) : redirectAnswer(ending, requestId);
}

/** The same for a call of gRPC: an answer of trailers only, whose HTTP status tells nothing. */
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

function redirectAnswer({ status, location, setCookie }: Redirect, requestId: string | undefined): LocalResponse {
  const headers = ["Content-Length", "0"];
  // Never to be kept by a cache where a cookie comes with it: the next one who follows may not get it.
  if (setCookie !== undefined) headers.push("Cache-Control", "no-store");
  headers.push("Location", location);
  if (setCookie !== undefined) headers.push("Set-Cookie", setCookie);
  if (requestId !== undefined) headers.push("x-request-id", requestId);
  return { status, headers, body: "" };
}

function errorAnswer(
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

/** The same as bytes, with the fields that the transport adds in the order that node:http writes them. */
export function localResponseText(answer: LocalResponse, message: ResponseFrame): string {
  let head = `HTTP/1.1 ${answer.status} ${message.reasonPhrase}\r\nConnection: ${message.connection}\r\n`;
  for (let i = 0; i < answer.headers.length; i += 2) head += `${answer.headers[i]}: ${answer.headers[i + 1]}\r\n`;
  return `${head}Date: ${message.date}\r\n\r\n${message.body === "omitted" ? "" : answer.body}`;
}

/** What the transport adds to an own answer. */
export interface ResponseFrame {
  readonly reasonPhrase: string;
  readonly connection: "keep-alive" | "close";
  /** An HTTP date, for now. */
  readonly date: string;
  /** Omitted from an answer to HEAD. */
  readonly body: "sent" | "omitted";
}

/** Stands in for a head that could not be read, so that its refusal is observed like any other end. */
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
