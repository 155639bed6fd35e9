/**
 * The ground of an HTTP/1.1 reader that shares nothing with Perch: bytes are Latin-1 text, and whatever RFC 9112 leaves
 * open or forgives is a problem here. Readers start at the byte they are given and read what has come so far.
 */

export type Framing = "none" | "length" | "chunked" | "until close";

/** One message as it came: the lines of its head without their ends, its body with the chunks taken off. */
export interface StrictMessage {
  readonly startLine: string;
  readonly fields: readonly string[];
  readonly framing: Framing;
  readonly body: string;
  readonly trailers: readonly string[];
}

export type Reading =
  | { readonly kind: "complete"; readonly message: StrictMessage; readonly end: number }
  /** More is to come; `soFar` once the head is whole. */
  | { readonly kind: "incomplete"; readonly soFar: StrictMessage | undefined }
  | { readonly kind: "malformed"; readonly problem: string; readonly soFar: StrictMessage | undefined };

/** What makes bytes malformed; thrown here and caught by the readers. */
export class Malformed extends Error {
  override readonly name = "Malformed";
}

export interface Lines {
  /** Without their CRLF, and without the empty line that ends them. */
  readonly lines: readonly string[];
  readonly end: number;
}

const excerptLength = 80;

/** Lines up to and with the empty one; undefined where that has not come. What is there is judged all the same. */
export function readLines(bytes: string, from: number): Lines | undefined {
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
/** RFC 9110 §5.5: visible bytes, obs-text, blanks and tabs; no other control byte. */
const valuePattern = /^[\t\x20-\x7e\x80-\xff]*$/;

export function isToken(text: string): boolean {
  return tokenPattern.test(text);
}

/** Judges a field line: a token, a colon, one blank or a value that has none before or after it. */
export function checkField(line: string): void {
  const colon = line.indexOf(":");
  if (/^[ \t]/.test(line)) throw new Malformed(`obs-fold: ${excerpt(line)}`);
  if (colon < 0) throw new Malformed(`no colon: ${excerpt(line)}`);
  const name = line.slice(0, colon);
  if (/[ \t]$/.test(name)) throw new Malformed(`blank before the colon: ${excerpt(line)}`);
  if (!isToken(name)) throw new Malformed(`field name: ${excerpt(line)}`);
  if (!valuePattern.test(line.slice(colon + 1))) throw new Malformed(`control byte: ${excerpt(line)}`);
}

/** The values of the fields of this lower-case name, without the blanks around them. */
export function valuesOf(fields: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (const line of fields) {
    const colon = line.indexOf(":");
    if (line.slice(0, colon).toLowerCase() === name) values.push(line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, ""));
  }
  return values;
}

/** What the fields say of a body's end; undefined where they say nothing. */
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

export interface ChunkedBody {
  readonly body: string;
  readonly trailers: readonly string[];
  /** Undefined while more is to come. */
  readonly end: number | undefined;
}

/** Reads chunks; a size is hexadecimal and nothing else: Perch sends no extensions on. */
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

/** Reads the body after a head, and judges it. */
export function readBody(bytes: string, from: number, head: Omit<StrictMessage, "body" | "trailers">): Reading {
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

/** Runs a reader; what it throws as malformed becomes its reading. */
export function judged(read: () => Reading, head: () => StrictMessage | undefined = () => undefined): Reading {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return { kind: "malformed", problem: error.message, soFar: head() };
  }
}
