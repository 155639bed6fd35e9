import type { RequestHead, repeated } from "./request-head.ts";

/**
 * The head with its path in normal form: the same object if it already is. Undefined if the path has no normal form.
 */
export function normalHead(head: RequestHead): RequestHead | undefined {
  if (head.pathIsPlain) return head;
  const path = normalPath(head.path);
  if (path === undefined) return undefined;
  return path === head.path ? head : new HeadWithPath(head, path);
}

const encoded = /%([\dA-Fa-f]{2})/g;
/** RFC 3986 §2.3: equivalent to their escapes. */
const unreserved = /[A-Za-z0-9._~-]/;

/**
 * The path that routes match and upstreams receive (RFC 3986 §6.2.2): unreserved characters decoded, the digits of
 * other escapes in upper case, dot segments resolved, empty segments dropped. So the upstream sees the path that the
 * route matched. The same string if nothing changes.
 *
 * Undefined for a path that servers interpret differently: above the root, with a NUL, or with dot segments next to an
 * encoded slash, a backslash or a `;`.
 */
export function normalPath(path: string): string | undefined {
  if (isPlain(path)) return path;
  if (path.includes("%00")) return undefined;
  const decoded = path.replace(encoded, (triplet, digits: string) => {
    const character = String.fromCharCode(Number.parseInt(digits, 16));
    return unreserved.test(character) ? character : triplet.toUpperCase();
  });
  const segments: string[] = [];
  const parts = decoded.split("/");
  for (const part of parts) {
    if (hidesDotSegment(part)) return undefined;
    if (part === "..") {
      if (segments.pop() === undefined) return undefined;
    } else if (part !== "" && part !== ".") segments.push(part);
  }
  // `/a/.` and `/a/..` denote a directory, as `/a/` does.
  const last = parts.at(-1);
  const isDirectory = last === "" || last === "." || last === "..";
  return `/${segments.join("/")}${isDirectory && segments.length > 0 ? "/" : ""}`;
}

const slash = 0x2f;
const backslash = 0x5c;
const percent = 0x25;
const dot = 0x2e;

/** A fast check, run for every request: true for nearly every path, which then needs no change. */
function isPlain(path: string): boolean {
  let before = 0;
  for (let at = 0; at < path.length; at++) {
    const code = path.charCodeAt(at);
    if (code === percent || code === backslash) return false;
    if (before === slash && (code === slash || code === dot)) return false;
    before = code;
  }
  return true;
}

/** Some servers treat these as a slash, others do not. */
const ambiguousSlash = /%2[Ff]|%5[Cc]|\\/;
const everyAmbiguousSlash = new RegExp(ambiguousSlash, "g");
/** Tomcat and others remove `;…` before they resolve dot segments. */
const dotsWithParameter = /^\.\.?;/;

function hidesDotSegment(segment: string): boolean {
  if (dotsWithParameter.test(segment)) return true;
  if (!ambiguousSlash.test(segment)) return false;
  return segment
    .split(everyAmbiguousSlash)
    .some((part) => part === "." || part === ".." || dotsWithParameter.test(part));
}

/**
 * A path in normal form as seen by servers that treat encoded slashes and backslashes as slashes; undefined if it is
 * unambiguous.
 */
export function otherReading(path: string): string | undefined {
  if (!path.includes("%") && !path.includes("\\")) return undefined;
  return ambiguousSlash.test(path) ? path.replace(everyAmbiguousSlash, "/").replace(/\/{2,}/g, "/") : undefined;
}

/** A head with another path, otherwise unchanged. */
class HeadWithPath implements RequestHead {
  readonly path: string;
  readonly target: string;
  readonly #head: RequestHead;

  constructor(head: RequestHead, path: string) {
    this.path = path;
    this.target = path + head.target.slice(head.path.length);
    this.#head = head;
  }

  get method(): string {
    return this.#head.method;
  }

  get query(): string {
    return this.#head.query;
  }

  get authority(): string {
    return this.#head.authority;
  }

  get host(): string {
    return this.#head.host;
  }

  get cookies(): string | undefined {
    return this.#head.cookies;
  }

  header(name: string): string | undefined | typeof repeated {
    return this.#head.header(name);
  }

  headerLines(name: string): readonly string[] {
    return this.#head.headerLines(name);
  }
}
