import type { ErrorCause } from "../../errors.ts";
import { byteClasses, carriageReturn, colon, isBlank, lineFeed, tokenByte, valueByte } from "./header-scanner.ts";

type Fault = ErrorCause<"upstream-malformed">;

const statusLine = /^HTTP\/1\.[01] (\d{3})(?: |$)/;

/**
 * What is wrong with a response head that the parser rejected: the first fault, line by line; undefined if there is none
 * up to `to`, the end of what was received. Slow, and only called for a response that is not forwarded.
 */
export function responseFault(bytes: Buffer, from: number, to: number, maxFields: number): Fault | undefined {
  const firstEnd = lineEnd(bytes, from, to);
  const first = bytes.toString("latin1", from, firstEnd);
  if (!statusLine.test(first) || !endsLine(bytes, firstEnd, to)) return "invalid-status-line";
  const seen = { length: false, coding: false };
  let coding: Fault | undefined;
  let at = firstEnd + 2;
  let fields = 0;
  for (let end: number; at < to && bytes[at] !== carriageReturn; at = end + 2) {
    if (++fields > maxFields) return "too-many-headers";
    end = lineEnd(bytes, at, to);
    const fault = fieldFault(bytes, at, end);
    if (fault !== undefined) return fault;
    if (!endsLine(bytes, end, to)) return "invalid-line-ending";
    const line = bytes.toString("latin1", at, end);
    const nameEnd = line.indexOf(":");
    const framing = framingFault(line.slice(0, nameEnd).toLowerCase(), line.slice(nameEnd + 1).trim(), seen);
    if (framing === "unsupported-transfer-encoding" || framing === "several-transfer-encodings") coding ??= framing;
    else if (framing !== undefined) return framing;
  }
  if (at + 1 < to && bytes[at + 1] !== lineFeed) return "invalid-line-ending";
  return coding;
}

/** The position of the next CR or LF; `to` if there is none. */
function lineEnd(bytes: Buffer, from: number, to: number): number {
  let at = from;
  while (at < to && bytes[at] !== carriageReturn && bytes[at] !== lineFeed) at++;
  return at;
}

/** True as well if the rest of the line end was not received. */
function endsLine(bytes: Buffer, end: number, to: number): boolean {
  if (end === to) return true;
  return bytes[end] === carriageReturn && (end + 1 === to || bytes[end + 1] === lineFeed);
}

function fieldFault(bytes: Buffer, from: number, end: number): Fault | undefined {
  if (isBlank(bytes[from])) return "folded-header";
  let at = from;
  while (at < end && ((byteClasses[bytes[at] as number] as number) & tokenByte) !== 0) at++;
  if (at === from || bytes[at] !== colon) return "invalid-header-name";
  for (at++; at < end; at++) {
    if (((byteClasses[bytes[at] as number] as number) & valueByte) === 0) return "invalid-header-value";
  }
  return undefined;
}

/** RFC 9112 §6.3: framing that two readers may understand differently. */
function framingFault(name: string, value: string, seen: { length: boolean; coding: boolean }): Fault | undefined {
  if (name === "content-length") {
    if (seen.coding) return "length-and-chunks";
    if (seen.length) return "conflicting-lengths";
    seen.length = true;
    return /^\d{1,15}$/.test(value) ? undefined : "invalid-content-length";
  }
  if (name !== "transfer-encoding") return undefined;
  if (seen.length) return "length-and-chunks";
  if (seen.coding || value.includes(",")) return "several-transfer-encodings";
  seen.coding = true;
  return value.toLowerCase() === "chunked" ? undefined : "unsupported-transfer-encoding";
}
