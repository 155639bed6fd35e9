import { hash } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { ValueList } from "../decide/condition.ts";
import { type AttributeType, canonicalText, parseValue } from "../decide/facts.ts";
import type { TimeZone } from "../decide/time-zone.ts";
import { isKeyReference } from "./key-reference.ts";
import { quote } from "./schema-kit/tree.ts";
import { ValueSet } from "./value-set.ts";

/** Reads a whole file, or throws as `fs` does. */
export type ReadFile = (path: string) => Uint8Array;

/** How named files are read. What is left out: files by `fs`, and keys of ConfigMaps and Secrets not at all. */
export interface FileReaders {
  /** Reads both. */
  readonly readFile?: ReadFile | undefined;
  /** Reads a key of a ConfigMap or Secret by its reference, or throws an `UnreadKeyError`. */
  readonly readKey?: ReadFile | undefined;
  /** Files that come from the Kubernetes API. Default: none. */
  readonly apiFiles?: ApiFiles | undefined;
}

export type FileContents =
  | { readonly kind: "read"; readonly path: string; readonly bytes: Uint8Array }
  | { readonly kind: "unreadable"; readonly path: string; readonly why: string };

/**
 * Where files are that no disk has: what comes from the Kubernetes API. They are part of what a configuration was loaded
 * from, like the others.
 */
const apiFolder = "/kubernetes.api/";

export const apiFile = (name: string): string => `${apiFolder}${name}`;
export const isApiFile = (path: string): boolean => path.startsWith(apiFolder);

/** The contents of files that no disk has, by absolute path. */
export type ApiFiles = ReadonlyMap<string, Uint8Array>;

/**
 * The files that a configuration names, such as secrets and lists, and keys of ConfigMaps and Secrets in their place, whose
 * path is their reference. Each is read once.
 */
export class NamedFiles {
  readonly #folder: string;
  readonly #readers: FileReaders;
  readonly #read = new Map<string, FileContents>();
  readonly #noted = new Set<string>();

  /** Relative paths start from the folder of the configuration file, or from / where it is no file. */
  constructor(configFile: string, readers: FileReaders) {
    this.#folder = isKeyReference(configFile) ? "/" : dirname(resolve(configFile));
    this.#readers = readers;
  }

  /** The absolute path of a file that is no part of the configuration. */
  pathOf(written: string): string {
    return isKeyReference(written) ? written : resolve(this.#folder, written);
  }

  /** Registers a file that is read elsewhere, and returns its absolute path. */
  note(written: string): string {
    const path = this.pathOf(written);
    this.#noted.add(path);
    return path;
  }

  read(written: string, limitBytes: number): FileContents {
    const path = this.pathOf(written);
    const known = this.#read.get(path);
    if (known !== undefined) return known;
    const contents = this.#open(path, limitBytes);
    this.#read.set(path, contents);
    return contents;
  }

  /** All files that were requested, readable or not, in request order. */
  contents(): readonly FileContents[] {
    return [...this.#read.values()];
  }

  /** The absolute paths of all files, including registered ones. */
  paths(): readonly string[] {
    return [...this.#read.keys(), ...this.#noted];
  }

  /** The contents of the readable files, by absolute path. */
  bytes(): ReadonlyMap<string, Uint8Array> {
    return new Map(this.contents().flatMap((file) => (file.kind === "read" ? [[file.path, file.bytes]] : [])));
  }

  #open(path: string, limitBytes: number): FileContents {
    try {
      const bytes = this.#bytesOf(path, limitBytes);
      if (bytes.length > limitBytes) return { kind: "unreadable", path, why: "it is too large" };
      return { kind: "read", path, bytes };
    } catch (error) {
      return { kind: "unreadable", path, why: whyUnreadable(error) };
    }
  }

  #bytesOf(path: string, limitBytes: number): Uint8Array {
    const { readFile, readKey, apiFiles } = this.#readers;
    const given = apiFiles?.get(path);
    if (given !== undefined) return given;
    if (readFile !== undefined) return readFile(path);
    if (isApiFile(path)) throw new UnfitFileError("not-in-api");
    if (!isKeyReference(path)) return readRegularFile(path, limitBytes);
    if (readKey === undefined) throw new UnreadKeyError("the Kubernetes API is not asked here");
    return readKey(path);
  }
}

/**
 * Reads a regular file of at most `limitBytes`. Other kinds are rejected before they are opened: a pipe without a
 * writer would block the process, and a device may never end.
 */
export function readRegularFile(path: string, limitBytes: number): Uint8Array {
  if (!statSync(path).isFile()) throw new UnfitFileError("not-regular");
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    // Checked again on the descriptor: the path may have been replaced since `stat`.
    const found = fstatSync(descriptor);
    if (!found.isFile()) throw new UnfitFileError("not-regular");
    return readAtMost(descriptor, found.size, limitBytes);
  } finally {
    closeSync(descriptor);
  }
}

/** Reads to the end, not to the reported size: files in /proc report 0, and a file that is being written grows. */
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

/** The file must not be used. Has a `code`, like the errors of `fs`. `not-given`: only what is in memory may be read. */
export class UnfitFileError extends Error {
  override readonly name = "UnfitFileError";
  readonly code: "not-regular" | "too-large" | "not-given" | "not-in-api";

  constructor(code: UnfitFileError["code"]) {
    super(code);
    this.code = code;
  }
}

/** A key of a ConfigMap or Secret that cannot be read; the message says why. */
export class UnreadKeyError extends Error {
  override readonly name = "UnreadKeyError";
}

const reasonByCode: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  ENOTDIR: "a part of its path is not a directory",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EISDIR: "it is a directory",
  ELOOP: "too many levels of symbolic links",
  "not-regular": "it is not a regular file",
  "too-large": "it is too large",
  "not-in-api": "the Kubernetes API has not provided it",
  "not-given": "the running configuration does not read this file; run perch plan where the file is",
};

/** Why a file could not be read, as a phrase for messages. */
export function whyUnreadable(error: unknown): string {
  if (error instanceof UnreadKeyError) return error.message;
  const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
  return (code === undefined ? undefined : reasonByCode[code]) ?? (code === undefined ? "it could not be read" : code);
}

export const maxSecretBytes = 64 * 1024;

/** Shorter keys weaken HMAC-SHA256 (RFC 2104 §3). */
const minSecretBytes = 32;

/**
 * Reads secrets: one per line, trimmed, at least 32 bytes each. Blank lines are skipped. Secrets need not be UTF-8.
 *
 * @returns the secrets, or a problem, whose text never quotes a secret.
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
    if (secret.length < minSecretBytes) {
      return {
        problem: `line ${lineNumber} has ${secret.length} bytes; a secret needs at least ${minSecretBytes}`,
      };
    }
    secrets.push(secret);
  }
  return secrets.length === 0 ? { problem: "it contains no secret" } : secrets;
}

const isBlank = (byte: number): boolean => byte === 0x20 || byte === 0x09 || byte === 0x0d;

/** Returns a copy, so that a secret does not keep the whole file in memory. */
function trim(line: Uint8Array): Uint8Array {
  let start = 0;
  let end = line.length;
  while (start < end && isBlank(line[start] ?? 0)) start++;
  while (end > start && isBlank(line[end - 1] ?? 0)) end--;
  return line.slice(start, end);
}

/** About 500,000 user ids. */
export const maxListBytes = 16 * 1024 * 1024;

/**
 * Reads a list of values: one per line, trimmed. Blank lines and lines that start with `#` are skipped.
 *
 * @returns the list, or the problem of the first line that is not a value of `type`.
 */
export function parseValueList(
  path: string,
  bytes: Uint8Array,
  type: AttributeType,
  zone?: TimeZone,
): ValueList | { readonly problem: string } {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return { problem: "it is not valid UTF-8" };
  }
  const list = new ValueSet(path, `${type} ${zone?.name} ${hash("sha256", bytes)}`);
  let lineNumber = 0;
  for (const line of text.split("\n")) {
    lineNumber++;
    const written = line.trim();
    if (written === "" || written.startsWith("#")) continue;
    const value = parseValue(type, written, zone);
    if (value === undefined) return { problem: `line ${lineNumber}: ${quote(written)} is not a value of type ${type}` };
    list.add(canonicalText(value));
  }
  return list.complete();
}
