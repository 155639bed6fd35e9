/**
 * The base of an HTTP/1.1 parser that shares no code with Perch: bytes are Latin-1 strings, and everything that RFC
 * 9112 leaves open or tolerates is an error. Readers start at a given byte and read what has been received so far.
 */

export type Framing = "none" | "length" | "chunked" | "until close";

/** One message: the lines of its head without CRLF, its body without chunk framing. */
export interface StrictMessage {
  readonly startLine: string;
  readonly fields: readonly string[];
  readonly framing: Framing;
  readonly body: string;
  readonly trailers: readonly string[];
}

export type Reading =
  | { readonly kind: "complete"; readonly message: StrictMessage; readonly end: number }
  /** More is needed; `soFar` once the head is complete. */
  | { readonly kind: "incomplete"; readonly soFar: StrictMessage | undefined }
  | { readonly kind: "malformed"; readonly problem: string; readonly soFar: StrictMessage | undefined };

/** Why bytes are malformed; caught by `readMessage`. */
export class Malformed extends Error {
  override readonly name = "Malformed";
}

interface Lines {
  /** Without CRLF, and without the empty line that ends them. */
  readonly lines: readonly string[];
  readonly end: number;
}

const excerptLength = 80;

/** Lines up to the empty one; undefined before that is received. The lines so far are checked. */
function readLines(bytes: string, from: number): Lines | undefined {
  const lines: string[] = [];
  for (let at = from; ; ) {
    const end = bytes.indexOf("\n", at);
    const line = end < 0 ? bytes.slice(at) : bytes.slice(at, end);
    const bare = line.indexOf("\r");
    if (bare >= 0 && bare < line.length - 1) throw new Malformed(`bare CR in ${excerpt(line)}`);
    if (end < 0) return undefined;
    if (bare < 0) throw new Malformed(`bare LF after ${excerpt(line)}`);
    at = end + 1;
    if (line === "\r") return { lines, end: at };
    lines.push(line.slice(0, -1));
  }
}

const tokenPattern = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110 §5.5: visible bytes, obs-text, blanks and tabs; no other control bytes. */
const valuePattern = /^[\t\x20-\x7e\x80-\xff]*$/;

export function isToken(text: string): boolean {
  return tokenPattern.test(text);
}

/** Checks a field line: a token, a colon, and a value. */
function checkField(line: string): void {
  const colon = line.indexOf(":");
  if (/^[ \t]/.test(line)) throw new Malformed(`obs-fold: ${excerpt(line)}`);
  if (colon < 0) throw new Malformed(`no colon: ${excerpt(line)}`);
  const name = line.slice(0, colon);
  if (/[ \t]$/.test(name)) throw new Malformed(`blank before the colon: ${excerpt(line)}`);
  if (!isToken(name)) throw new Malformed(`field name: ${excerpt(line)}`);
  if (!valuePattern.test(line.slice(colon + 1))) throw new Malformed(`control byte: ${excerpt(line)}`);
}

/** The trimmed values of the fields with this lower-case name. */
export function valuesOf(fields: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (const line of fields) {
    const colon = line.indexOf(":");
    if (line.slice(0, colon).toLowerCase() === name) values.push(line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, ""));
  }
  return values;
}

/** The body framing that the fields declare; undefined without one. */
export function declaredFraming(fields: readonly string[]): { readonly length: number } | "chunked" | undefined {
  const lengths = valuesOf(fields, "content-length");
  const codings = valuesOf(fields, "transfer-encoding");
  if (lengths.length > 1) throw new Malformed("several Content-Length");
  if (codings.length > 1) throw new Malformed("several Transfer-Encoding");
  const [length] = lengths;
  const [coding] = codings;
  if (length !== undefined && coding !== undefined) throw new Malformed("Content-Length beside Transfer-Encoding");
  if (coding !== undefined) {
    if (coding !== "chunked") throw new Malformed(`Transfer-Encoding: ${excerpt(coding)}`);
    return "chunked";
  }
  if (length === undefined) return undefined;
  if (!/^\d{1,15}$/.test(length)) throw new Malformed(`Content-Length: ${excerpt(length)}`);
  return { length: Number(length) };
}

interface ChunkedBody {
  readonly body: string;
  readonly trailers: readonly string[];
  /** Undefined while it is incomplete. */
  readonly end: number | undefined;
}

/** Reads chunks; a size is hexadecimal without extensions, which Perch drops. */
function readChunks(bytes: string, from: number): ChunkedBody {
  let body = "";
  for (let at = from; ; ) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) {
      if (!/^[0-9A-Fa-f]{0,16}\r?$/.test(bytes.slice(at)))
        throw new Malformed(`chunk size: ${excerpt(bytes.slice(at))}`);
      return { body, trailers: [], end: undefined };
    }
    const size = bytes.slice(at, lineEnd);
    if (!/^[0-9A-Fa-f]{1,16}$/.test(size)) throw new Malformed(`chunk size: ${excerpt(size)}`);
    const length = Number.parseInt(size, 16);
    at = lineEnd + 2;
    if (length === 0) {
      const trailers = readLines(bytes, at);
      trailers?.lines.forEach(checkField);
      return { body, trailers: trailers?.lines ?? [], end: trailers?.end };
    }
    body += bytes.slice(at, at + length);
    at += length;
    const close = bytes.slice(at, at + 2);
    if (close !== "\r\n".slice(0, close.length)) throw new Malformed(`after a chunk: ${excerpt(close)}`);
    if (close.length < 2) return { body, trailers: [], end: undefined };
    at += 2;
  }
}

/** Reads and checks the body after a head. */
function readBody(bytes: string, from: number, head: Omit<StrictMessage, "body" | "trailers">): Reading {
  const { framing, fields } = head;
  switch (framing) {
    case "none":
      return { kind: "complete", message: { ...head, body: "", trailers: [] }, end: from };
    case "length": {
      const declared = declaredFraming(fields);
      const length = typeof declared === "object" ? declared.length : 0;
      const message = { ...head, body: bytes.slice(from, from + length), trailers: [] };
      return bytes.length - from >= length
        ? { kind: "complete", message, end: from + length }
        : { kind: "incomplete", soFar: message };
    }
    case "chunked": {
      const { body, trailers, end } = readChunks(bytes, from);
      const message = { ...head, body, trailers };
      return end === undefined ? { kind: "incomplete", soFar: message } : { kind: "complete", message, end };
    }
    case "until close":
      return { kind: "incomplete", soFar: { ...head, body: bytes.slice(from), trailers: [] } };
  }
}

export function excerpt(text: string): string {
  return JSON.stringify(text.length > excerptLength ? `${text.slice(0, excerptLength)}…` : text);
}

/** Reads one message strictly; `framingOf` checks its start line, and gives the framing of its body. */
export function readMessage(
  bytes: string,
  from: number,
  framingOf: (startLine: string, fields: readonly string[]) => Framing,
): Reading {
  let head: StrictMessage | undefined;
  try {
    const lines = readLines(bytes, from);
    if (lines === undefined) return { kind: "incomplete", soFar: undefined };
    const [startLine = "", ...fields] = lines.lines;
    fields.forEach(checkField);
    const framing = framingOf(startLine, fields);
    head = { startLine, fields, framing, body: "", trailers: [] };
    return readBody(bytes, lines.end, { startLine, fields, framing });
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return { kind: "malformed", problem: error.message, soFar: head };
  }
}
