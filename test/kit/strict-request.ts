import {
  checkField,
  declaredFraming,
  excerpt,
  isToken,
  judged,
  Malformed,
  type Reading,
  readBody,
  readLines,
  type StrictMessage,
  valuesOf,
} from "./strict-bytes.ts";

/** Reads one request as Perch may send it: HTTP/1.1 in origin-form, unambiguous, without trailers. */
export function readStrictRequest(bytes: string, from: number): Reading {
  let head: StrictMessage | undefined;
  return judged(
    () => {
      const lines = readLines(bytes, from);
      if (lines === undefined) return { kind: "incomplete", soFar: undefined };
      const [startLine = "", ...fields] = lines.lines;
      checkRequestLine(startLine);
      fields.forEach(checkField);
      const hosts = valuesOf(fields, "host");
      if (hosts.length !== 1) throw new Malformed(`${hosts.length} Host fields`);
      const declared = declaredFraming(fields);
      const framing = declared === undefined ? "none" : declared === "chunked" ? "chunked" : "length";
      head = { startLine, fields, framing, body: "", trailers: [] };
      const reading = readBody(bytes, lines.end, { startLine, fields, framing });
      if (reading.kind === "complete" && reading.message.trailers.length > 0) throw new Malformed("trailers");
      return reading;
    },
    () => head,
  );
}

function checkRequestLine(line: string): void {
  const parts = line.split(" ");
  const [method = "", target = "", version = ""] = parts;
  if (parts.length !== 3 || !isToken(method)) throw new Malformed(`request line: ${excerpt(line)}`);
  if (!/^\/[\x21-\x7e\x80-\xff]*$/.test(target)) throw new Malformed(`target: ${excerpt(target)}`);
  if (target.includes("#")) throw new Malformed(`fragment in the target: ${excerpt(target)}`);
  if (version !== "HTTP/1.1") throw new Malformed(`version: ${excerpt(version)}`);
}
