import type { RequestHead, repeated } from "./request-head.ts";

/** What is done about segment parameters (RFC 3986 §3.3), such as `;x=1` in `/a;x=1/b`. Servlet containers remove them. */
export const pathParameterPolicies = ["refuse-leading", "refuse", "strip", "keep"] as const;
export type PathParameters = (typeof pathParameterPolicies)[number];

/** How a configuration wants paths to be read. */
export interface PathRules {
  /** off: routes match the path as the client wrote it. */
  readonly pathNormalisation: "on" | "off";
  readonly pathParameters: PathParameters;
}

/**
 * The head with the path that routes match: the same object if nothing changes. Undefined if the path is refused: it has
 * no normal form, or has parameters that the rules refuse.
 */
export function routedHead(head: RequestHead, rules: PathRules): RequestHead | undefined {
  if (head.pathIsPlain) return head;
  const path = routedPath(head.path, rules);
  if (path === undefined) return undefined;
  return path === head.path ? head : new HeadWithPath(head, path);
}

/** The path that routes match; undefined if it is refused. */
export function routedPath(path: string, { pathNormalisation, pathParameters }: PathRules): string | undefined {
  return pathNormalisation === "on" ? normalPath(path, pathParameters) : withoutParameters(path, pathParameters);
}

const encoded = /%([\dA-Fa-f]{2})/g;
/** RFC 3986 §2.3: equivalent to their escapes. */
const unreserved = /[A-Za-z0-9._~-]/;

/**
 * The path that routes match and upstreams receive (RFC 3986 §6.2.2): unreserved characters decoded, the digits of
 * other escapes in upper case, dot segments resolved, empty segments dropped. So the upstream sees the path that the
 * route matched. The same string if nothing changes.
 *
 * Undefined for a path that servers interpret differently: above the root, with a NUL, with dot segments next to an
 * encoded slash, a backslash or a `;`, or with escapes that appear by decoding others; and for one with parameters that
 * are refused.
 */
export function normalPath(path: string, parameters: PathParameters = "keep"): string | undefined {
  if (isPlain(path)) return path;
  if (path.includes("%00")) return undefined;
  const decoded = withoutNeedlessEscapes(path);
  if (decoded === undefined) return undefined;
  if (decoded.split("/").some(hidesDotSegment)) return undefined;
  const parts = withoutParameters(decoded, parameters)?.split("/");
  if (parts === undefined) return undefined;
  const segments: string[] = [];
  for (const part of parts) {
    if (part === "..") {
      if (segments.pop() === undefined) return undefined;
    } else if (part !== "" && part !== ".") segments.push(part);
  }
  // `/a/.` and `/a/..` denote a directory, as `/a/` does.
  const last = parts.at(-1);
  const isDirectory = last === "" || last === "." || last === "..";
  return `/${segments.join("/")}${isDirectory && segments.length > 0 ? "/" : ""}`;
}

/** Undefined if decoding makes new escapes: `%2%65` would become that of a dot. */
function withoutNeedlessEscapes(path: string): string | undefined {
  let left = 0;
  const decoded = path.replace(encoded, (triplet, digits: string) => {
    const character = String.fromCharCode(Number.parseInt(digits, 16));
    if (unreserved.test(character)) return character;
    left++;
    return triplet.toUpperCase();
  });
  return (decoded.match(encoded)?.length ?? 0) === left ? decoded : undefined;
}

/** Some servers decode before they look for parameters. */
const parameter = /;|%3b/i;
/** A segment of parameters alone: where they are removed, `/;x/admin` is `//admin`. */
const leadingParameter = /(?:^|[/\\]|%2f|%5c)(?:;|%3b)/i;
/** Where parameters are removed, `/..;/` leads up. */
const dotSegmentWithParameter = /(?:^|[/\\]|%2f|%5c)(?:\.|%2e){1,2}(?:;|%3b)/i;
const leadingEscape = /(?:^|[/\\]|%2f|%5c)%3b/i;

/** The path with its parameters treated by the policy; undefined if it is refused, as dot segments with parameters are. */
export function withoutParameters(path: string, policy: PathParameters): string | undefined {
  if (policy === "keep" || !parameter.test(path)) return path;
  if (dotSegmentWithParameter.test(path)) return undefined;
  switch (policy) {
    case "refuse":
      return undefined;
    case "refuse-leading":
      return leadingParameter.test(path) ? undefined : path;
    case "strip":
      // An escaped semicolon may be data, so it is not removed.
      return leadingEscape.test(path) ? undefined : path.replace(/;[^/]*/g, "");
  }
}

const slash = 0x2f;
const backslash = 0x5c;
const percent = 0x25;
const dot = 0x2e;
const semicolon = 0x3b;

/** A fast check, run for every request: true for nearly every path, which then needs no change. */
function isPlain(path: string): boolean {
  let before = 0;
  for (let at = 0; at < path.length; at++) {
    const code = path.charCodeAt(at);
    if (code === percent || code === backslash || code === semicolon) return false;
    if (before === slash && (code === slash || code === dot)) return false;
    before = code;
  }
  return true;
}

/** Some servers treat these as a slash, others do not. */
const ambiguousSlash = /%2[Ff]|%5[Cc]|\\/;
const everyAmbiguousSlash = new RegExp(ambiguousSlash, "g");
/** Tomcat and others remove `;…` before they resolve dot segments. */
const dotsWithParameter = /^\.\.?(?:;|%3[Bb])/;

function hidesDotSegment(segment: string): boolean {
  if (dotsWithParameter.test(segment)) return true;
  if (!ambiguousSlash.test(segment)) return false;
  return segment
    .split(everyAmbiguousSlash)
    .some((part) => part === "." || part === ".." || dotsWithParameter.test(part));
}

/** Whether a segment is `.` or `..` for any server, whatever it takes for a slash. */
export function hasDotSegment(path: string): boolean {
  return dotSegment.test(path);
}

const dotSegment = /(?:[/\\]|%2f|%5c)(?:\.|%2e){1,2}(?:[/\\;]|%2f|%5c|%3b|$)/i;

const noReadings: readonly string[] = Object.freeze([]);

/**
 * A path in normal form as seen by servers that treat encoded slashes and backslashes as slashes, that remove
 * parameters, or that do both. Empty if all servers read it alike.
 */
export function otherReadings(path: string, parameters: PathParameters): readonly string[] {
  if (!ambiguous.test(path)) return noReadings;
  const slashes = path.replace(everyAmbiguousSlash, "/");
  const readings =
    parameters === "keep"
      ? [slashes]
      : [slashes, path.replace(everyParameter, ""), slashes.replace(everyParameter, "")];
  const found = new Set(readings.map((reading) => reading.replace(/\/{2,}/g, "/")));
  found.delete(path);
  return [...found];
}

const ambiguous = /%2f|%5c|%3b|[\\;]/i;
const everyParameter = /(?:;|%3b)[^/]*/gi;

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
