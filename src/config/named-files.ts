import { closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { ValueList } from "../decide/condition.ts";
import { type AttributeType, type AttributeValue, canonicalText, parseValue } from "../decide/facts.ts";
import { quote } from "./schema-kit/tree.ts";

/** Reads a file whole, or throws what `fs` throws. */
export type ReadFile = (path: string) => Uint8Array;

/** A file that is no regular one, or too large: told like `fs`'s own errors, by a code. */
export class UnfitFileError extends Error {
  override readonly name = "UnfitFileError";
  readonly code: "not-regular" | "too-large";

  constructor(code: UnfitFileError["code"]) {
    super(code);
    this.code = code;
  }
}

/**
 * Reads a regular file of at most so many bytes. Anything else is refused before it is opened: a pipe without a writer
 * would hang the process, a device never ends.
 */
export function readRegularFile(path: string, limitBytes: number): Uint8Array {
  if (!statSync(path).isFile()) throw new UnfitFileError("not-regular");
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    // Asked again of what was opened: the name may lead elsewhere by now.
    const found = fstatSync(descriptor);
    if (!found.isFile()) throw new UnfitFileError("not-regular");
    return readAtMost(descriptor, found.size, limitBytes);
  } finally {
    closeSync(descriptor);
  }
}

/** Reads to the end and not only to the size told: a file of /proc tells 0, and one that is being written grows. */
function readAtMost(descriptor: number, sizeBytes: number, limitBytes: number): Uint8Array {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for (;;) {
    const chunk = new Uint8Array(Math.min(Math.max(sizeBytes - total, 4_096), limitBytes + 1));
    const count = readSync(descriptor, chunk);
    if (count === 0) return Buffer.concat(chunks, total);
    chunks.push(chunk.subarray(0, count));
    total += count;
    if (total > limitBytes) throw new UnfitFileError("too-large");
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "a part of its path is not a directory",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EISDIR: "it is a directory",
  ELOOP: "its links run in a circle",
  "not-regular": "it is not a regular file",
  "too-large": "it is too large",
};

/** Why a file could not be read, in words; never a stack. */
export function whyUnreadable(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
  return (code === undefined ? undefined : reasons[code]) ?? (code === undefined ? "it could not be read" : code);
}

/** What came of reading a file that the configuration names. */
export type FileContents =
  | { readonly kind: "read"; readonly path: string; readonly bytes: Uint8Array }
  | { readonly kind: "unreadable"; readonly path: string; readonly why: string };

/** The files that a configuration names: secrets and lists. Each is read once for all its uses. */
export class NamedFiles {
  readonly #folder: string;
  readonly #readFile: ReadFile | undefined;
  readonly #read = new Map<string, FileContents>();
  readonly #noted = new Set<string>();

  /** Relative paths start from the folder of the configuration file. */
  constructor(configFile: string, readFile: ReadFile | undefined) {
    this.#folder = dirname(resolve(configFile));
    this.#readFile = readFile;
  }

  /** The path of a file that is named and read by others; they tell its digest, which stands for its contents. */
  note(written: string): string {
    const path = resolve(this.#folder, written);
    this.#noted.add(path);
    return path;
  }

  read(written: string, limitBytes: number): FileContents {
    const path = resolve(this.#folder, written);
    const known = this.#read.get(path);
    if (known !== undefined) return known;
    const contents = this.#open(path, limitBytes);
    this.#read.set(path, contents);
    return contents;
  }

  /** All that were asked for, readable or not, in the order they were asked for. */
  contents(): readonly FileContents[] {
    return [...this.#read.values()];
  }

  /** The paths of all that are named. */
  paths(): readonly string[] {
    return [...this.#read.keys(), ...this.#noted];
  }

  /** Those that could be read. */
  bytes(): ReadonlyMap<string, Uint8Array> {
    return new Map(this.contents().flatMap((file) => (file.kind === "read" ? [[file.path, file.bytes]] : [])));
  }

  #open(path: string, limitBytes: number): FileContents {
    try {
      const bytes = this.#readFile === undefined ? readRegularFile(path, limitBytes) : this.#readFile(path);
      if (bytes.length > limitBytes) return { kind: "unreadable", path, why: "it is too large" };
      return { kind: "read", path, bytes };
    } catch (error) {
      return { kind: "unreadable", path, why: whyUnreadable(error) };
    }
  }
}

/** A file of secrets holds a handful of lines. */
export const maxSecretBytes = 64 * 1024;

/** HMAC-SHA256 gains nothing beyond 32 bytes, and is weaker below (RFC 2104 §3). */
const shortestSecretBytes = 32;

const blank = (byte: number): boolean => byte === 0x20 || byte === 0x09 || byte === 0x0d;

/**
 * Reads secrets: one a line, trimmed, at least 32 bytes each; blank lines are skipped. They need not be UTF-8.
 *
 * @returns the secrets, or what is wrong; the words never quote a secret.
 */
export function parseSecrets(bytes: Uint8Array): readonly Uint8Array[] | { readonly problem: string } {
  const secrets: Uint8Array[] = [];
  let lineNumber = 0;
  for (let start = 0; start <= bytes.length; ) {
    const lineBreak = bytes.indexOf(0x0a, start);
    const end = lineBreak === -1 ? bytes.length : lineBreak;
    const secret = trim(bytes.subarray(start, end));
    start = end + 1;
    lineNumber++;
    if (secret.length === 0) continue;
    if (secret.length < shortestSecretBytes) {
      return {
        problem: `line ${lineNumber} has ${secret.length} bytes; a secret needs at least ${shortestSecretBytes}`,
      };
    }
    secrets.push(secret);
  }
  return secrets.length === 0 ? { problem: "it holds no secret" } : secrets;
}

/** A copy, so that a secret does not keep the whole file in memory. */
function trim(line: Uint8Array): Uint8Array {
  let start = 0;
  let end = line.length;
  while (start < end && blank(line[start] ?? 0)) start++;
  while (end > start && blank(line[end - 1] ?? 0)) end--;
  return line.slice(start, end);
}

/** The largest list that is read, in bytes: some 500,000 user ids. */
export const maxListBytes = 16 * 1024 * 1024;

/** Values by their canonical texts, so that `v4.2` in the file holds a client's `4.2.0`. */
class ValueSet implements ValueList {
  readonly path: string;
  readonly #texts: ReadonlySet<string>;

  constructor(path: string, texts: ReadonlySet<string>) {
    this.path = path;
    this.#texts = texts;
  }

  has(value: AttributeValue): boolean {
    return this.#texts.has(canonicalText(value));
  }

  values(): Iterable<string> {
    return this.#texts;
  }
}

/**
 * Reads a list of values: one a line, trimmed; blank lines and lines that begin with `#` are skipped.
 *
 * @returns the list, or what is wrong with the first line that is no value of the type.
 */
export function parseValueList(
  path: string,
  bytes: Uint8Array,
  type: AttributeType,
): ValueList | { readonly problem: string } {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return { problem: "it is not valid UTF-8" };
  }
  const texts = new Set<string>();
  let lineNumber = 0;
  for (const line of text.split("\n")) {
    lineNumber++;
    const written = line.trim();
    if (written === "" || written.startsWith("#")) continue;
    const value = parseValue(type, written);
    if (value === undefined) return { problem: `line ${lineNumber}: ${quote(written)} is no value of type ${type}` };
    texts.add(canonicalText(value));
  }
  return Object.freeze(new ValueSet(path, texts));
}
