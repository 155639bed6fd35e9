import {
  declaredFraming,
  excerpt,
  type Framing,
  isToken,
  Malformed,
  type Reading,
  readMessage,
  valuesOf,
} from "./strict-bytes.ts";

/** Reads one request as Perch may send it: HTTP/1.1 in origin-form, unambiguous, without trailers. */
export function readStrictRequest(bytes: string, from: number): Reading {
  const reading = readMessage(bytes, from, framingOf);
  if (reading.kind !== "complete" || reading.message.trailers.length === 0) return reading;
  const { message } = reading;
  return { kind: "malformed", problem: "trailers", soFar: { ...message, body: "", trailers: [] } };
}

function framingOf(startLine: string, fields: readonly string[]): Framing {
  checkRequestLine(startLine);
  const hosts = valuesOf(fields, "host");
  if (hosts.length !== 1) throw new Malformed(`${hosts.length} Host fields`);
  const declared = declaredFraming(fields);
  if (declared === undefined) return "none";
  return declared === "chunked" ? "chunked" : "length";
}

function checkRequestLine(line: string): void {
  const parts = line.split(" ");
  const [method = "", target = "", version = ""] = parts;
  if (parts.length !== 3 || !isToken(method)) throw new Malformed(`request line: ${excerpt(line)}`);
  if (!/^\/[\x21-\x7e\x80-\xff]*$/.test(target)) throw new Malformed(`target: ${excerpt(target)}`);
  if (target.includes("#")) throw new Malformed(`fragment in the target: ${excerpt(target)}`);
  if (version !== "HTTP/1.1") throw new Malformed(`version: ${excerpt(version)}`);
}
