import { type ServerResponse, STATUS_CODES } from "node:http";
import { type ErrorCode, errorTable } from "../../errors.ts";

/** Seconds after which a client may try again, on answers that say the shortage is ours or will pass. */
const retryAfterSeconds = "1";

/** The head and body of an answer that Perch makes itself. Flat headers, as for a forwarded one. */
export interface OwnAnswer {
  readonly status: number;
  readonly headers: string[];
  readonly body: string;
}

/** What a caller reads when Perch itself answers: the code, a sentence, the request's id, and nothing about upstreams. */
export function ownAnswer(code: ErrorCode, requestId: string | undefined, accept: unknown): OwnAnswer {
  const { status, message } = errorTable[code];
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
  if (status === 503) headers.push("Retry-After", retryAfterSeconds);
  return { status, headers, body };
}

/** Sends an own answer through node:http. `connection` is written out, so that node adds nothing of its own. */
export function sendOwnAnswer(response: ServerResponse, answer: OwnAnswer, connection: "keep-alive" | "close"): void {
  // The reason phrase is written out: node keeps that of a head it refused, an upstream's bad one, and would refuse again.
  response.writeHead(answer.status, STATUS_CODES[answer.status] ?? "", ["Connection", connection, ...answer.headers]);
  response.end(answer.body);
}

/** The same as octets, for a connection whose request node:http could not parse. Always the connection's last. */
export function rawOwnAnswer(answer: OwnAnswer, reasonPhrase: string, date: string): string {
  let head = `HTTP/1.1 ${answer.status} ${reasonPhrase}\r\nDate: ${date}\r\nConnection: close\r\n`;
  for (let i = 0; i < answer.headers.length; i += 2) head += `${answer.headers[i]}: ${answer.headers[i + 1]}\r\n`;
  return `${head}\r\n${answer.body}`;
}
