import { hostText, urlPath } from "../scalars.ts";
import { accepts } from "./accepts.ts";
import { isYamlMap, type YamlMap, type YamlValue } from "./draft.ts";

/** Parts of a redirect; empty or undefined ones stay as in the request. */
export interface RedirectParts {
  readonly scheme?: string;
  readonly host?: string;
  readonly port?: number | undefined;
  /** The whole new path. */
  readonly path?: string;
  /** The replacement of the prefix that the route matches. */
  readonly prefix?: string;
  readonly status: number;
}

/** A Perch redirect, or why there is none. */
export function redirectOf(parts: RedirectParts): { readonly redirect: YamlMap } | { readonly problem: string } {
  const { scheme = "", host = "", port, path = "", prefix = "", status } = parts;
  if (scheme !== "" && !/^https?$/.test(scheme)) return { problem: `it has the scheme ${scheme}` };
  if (host !== "" && !accepts(hostText, host)) return { problem: `${host} is not a host` };
  for (const one of [path, prefix]) {
    if (one !== "" && !accepts(urlPath, one)) return { problem: `${one} is not a path without variables` };
  }
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65_536)) {
    return { problem: `${port} is not a port` };
  }
  const redirect = {
    ...(scheme === "" ? {} : { scheme }),
    ...(host === "" ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    ...(path === "" ? {} : { path }),
    ...(prefix === "" ? {} : { prefix }),
  };
  if (Object.keys(redirect).length === 0) return { problem: "it redirects to the same URL" };
  return { redirect: { ...redirect, status } };
}

/** A status that a redirect may have in Perch. */
export function statusIn(text: string): number | undefined {
  return /^30[12378]$/.test(text) ? Number(text) : undefined;
}

/**
 * The match of a route that redirects. If only the scheme changes, the match is of the other one: the original stood on
 * the listener of plain HTTP, and here clients would loop.
 */
export function redirectedMatch(match: YamlMap, redirect: YamlValue): YamlMap {
  const { scheme, status: _, ...others } = isYamlMap(redirect) ? redirect : {};
  if (scheme === undefined || Object.keys(others).length > 0) return match;
  return { ...match, scheme: scheme === "https" ? "http" : "https" };
}
