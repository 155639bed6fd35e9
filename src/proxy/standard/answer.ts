import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
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
export function sendOwnAnswer(
  request: IncomingMessage,
  response: ServerResponse,
  answer: OwnAnswer,
  connection: "keep-alive" | "close",
): void {
  // The reason phrase is written out: node keeps that of a head it refused, an upstream's bad one, and would refuse again.
  response.writeHead(answer.status, STATUS_CODES[answer.status] ?? "", ["Connection", connection, ...answer.headers]);
  if (connection === "keep-alive" || request.complete) response.end(answer.body);
  else endAfterUpload(request, response, answer.body);
  const { socket } = response;
  if (socket === null || socket.writableLength === 0) return;
  response.on("timeout", () => response.destroy());
  socket.setTimeout(readerSilenceMs);
}

/**
 * Closing with unread input makes the kernel reset the connection, and the client loses the answer that tells it why. So
 * the answer goes out whole, and what still comes is read and thrown away for a while before the connection closes.
 */
function endAfterUpload(request: IncomingMessage, response: ServerResponse, body: string): void {
  if (request.method !== "HEAD") response.write(body);
  let discarded = 0;
  const end = () => response.end();
  const timer = setTimeout(end, lingerMs);
  response.once("close", () => clearTimeout(timer));
  request.once("end", end).once("error", end);
  request.on("data", (chunk: Buffer) => {
    discarded += chunk.length;
    if (discarded > lingerBytes) end();
  });
}

/** How much of an upload, and for how long, is read after the answer that refused it. */
const lingerMs = 2_000;
const lingerBytes = 32 * 1024 * 1024;

/** How long a client may leave an own answer untaken. */
const readerSilenceMs = 60_000;

/** The upstream's own words where they can stand in a status line; they mean nothing to a program (RFC 9112 §4). */
export function reasonPhrase(status: number, sent: string | undefined): string {
  return sent !== undefined && /^[\t\x20-\x7e]*$/.test(sent) ? sent : (STATUS_CODES[status] ?? "");
}

/** The same as octets, for a connection whose request node:http could not parse. Always the connection's last. */
export function rawOwnAnswer(answer: OwnAnswer, reasonPhrase: string, date: string): string {
  let head = `HTTP/1.1 ${answer.status} ${reasonPhrase}\r\nDate: ${date}\r\nConnection: close\r\n`;
  for (let i = 0; i < answer.headers.length; i += 2) head += `${answer.headers[i]}: ${answer.headers[i + 1]}\r\n`;
  return `${head}\r\n${answer.body}`;
}
