import type { RequestHead, repeated } from "./request-head.ts";

/** The head with its path in normal form; the very head where it is. Undefined where the path has none. */
export function normalHead(head: RequestHead): RequestHead | undefined {
  if (head.pathIsPlain) return head;
  const path = normalPath(head.path);
  if (path === undefined) return undefined;
  return path === head.path ? head : new HeadWithPath(head, path);
}

/** A head that asks for another path; all else is as it came. */
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

const encoded = /%([\dA-Fa-f]{2})/g;
/** RFC 3986 §2.3: encoded or not, they mean the same. */
const unreserved = /[A-Za-z0-9._~-]/;
/** What some servers take for a slash and others do not. */
const maybeSlash = /%2[Ff]|%5[Cc]|\\/;
const everyMaybeSlash = new RegExp(maybeSlash, "g");
/** Tomcat and its kin cut `;…` off before they look at dots. */
const disguisedDots = /^\.\.?;/;

/**
 * The path in the form in which routes match it and upstreams get it (RFC 3986 §6.2.2): unreserved characters decoded,
 * the digits of other escapes in upper case, dot segments resolved, empty segments dropped. So what a route judged is
 * what the upstream sees. The same text where nothing is to be done.
 *
 * Undefined where a path has no meaning that everybody agrees on: one that leads above the root, a NUL, dot segments
 * that are hidden behind an encoded slash, a backslash or a `;`.
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
    if (hidesDots(part)) return undefined;
    if (part === "..") {
      if (segments.pop() === undefined) return undefined;
    } else if (part !== "" && part !== ".") segments.push(part);
  }
  // `/a/.` and `/a/..` name what is in a folder, as `/a/` does.
  const last = parts.at(-1);
  const isFolder = last === "" || last === "." || last === "..";
  return `/${segments.join("/")}${isFolder && segments.length > 0 ? "/" : ""}`;
}

/** True for nearly every path: none of its characters could have to be changed. Every request pays for this. */
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

const slash = 0x2f;
const backslash = 0x5c;
const percent = 0x25;
const dot = 0x2e;

function hidesDots(segment: string): boolean {
  if (disguisedDots.test(segment)) return true;
  if (!maybeSlash.test(segment)) return false;
  return segment.split(everyMaybeSlash).some((part) => part === "." || part === ".." || disguisedDots.test(part));
}

/**
 * A path in normal form as a server reads it that takes encoded slashes and backslashes for slashes; undefined where all
 * servers read it alike.
 */
export function otherReading(path: string): string | undefined {
  if (!path.includes("%") && !path.includes("\\")) return undefined;
  return maybeSlash.test(path) ? path.replace(everyMaybeSlash, "/").replace(/\/{2,}/g, "/") : undefined;
}
