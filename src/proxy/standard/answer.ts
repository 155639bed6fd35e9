import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import type { OwnAnswer } from "../own-answer.ts";

/** Sends an own answer through node:http. `connection` is written out, so that node adds nothing of its own. */
export function sendOwnAnswer(
  request: IncomingMessage,
  response: ServerResponse,
  answer: OwnAnswer,
  connection: "keep-alive" | "close",
): void {
  // The reason phrase is written out: node keeps that of a head it refused, an upstream's bad one, and would refuse again.
  response.writeHead(answer.status, STATUS_CODES[answer.status] ?? "", ["Connection", connection, ...answer.headers]);
  // Without a body a request is `complete` only once its handler has returned, but it has nothing left to read by now.
  if (connection === "keep-alive" || request.complete || request.readableEnded) response.end(answer.body);
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
