import { declaredFraming, excerpt, type Framing, Malformed, type Reading, readMessage } from "./strict-bytes.ts";

/** Reads one final or interim response as Perch may send it to a request with this method. */
export function readStrictResponse(bytes: string, from: number, method: string): Reading {
  return readMessage(bytes, from, (startLine, fields) => framingOf(fields, statusOf(startLine), method));
}

/** The status of a response's first line. */
function statusOf(startLine: string): number {
  const match = /^HTTP\/1\.1 ([1-5]\d\d) [\t\x20-\x7e]*$/.exec(startLine);
  if (match === null) throw new Malformed(`status line: ${excerpt(startLine)}`);
  return Number(match[1]);
}

/** RFC 9112 §6.3. */
function framingOf(fields: readonly string[], status: number, method: string): Framing {
  const declared = declaredFraming(fields);
  if ((status < 200 || status === 204) && declared === "chunked") throw new Malformed(`chunks with a ${status}`);
  if (status < 200 || status === 204 || status === 304 || method === "HEAD") return "none";
  if (declared === undefined) return "until close";
  return declared === "chunked" ? "chunked" : "length";
}
