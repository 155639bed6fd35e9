import { hasHost } from "../host-pattern.ts";

/** A host, a wildcard such as `*.example.com` for any host below, or any host, as one of these. */
export type Hostname = string;

/** Any host, as Gateway API writes it, and as Istio does. */
const anyHost: readonly Hostname[] = ["", "*"];

/** Whether every request for `hostname` is one for `pattern`. */
export function covers(pattern: Hostname, hostname: Hostname): boolean {
  return anyHost.includes(pattern) || hasHost(pattern, hostname);
}

/** The hosts of both; undefined if there are none. */
export function intersection(a: Hostname, b: Hostname): Hostname | undefined {
  if (covers(a, b)) return b;
  return covers(b, a) ? a : undefined;
}

/** Sorts the more specific first: hosts, longer wildcards, shorter ones, any host. */
export function bySpecificity(a: Hostname, b: Hostname): number {
  return rankOf(a) - rankOf(b) || b.length - a.length;
}

function rankOf(hostname: Hostname): number {
  if (hostname === "") return 2;
  return hostname.startsWith("*.") ? 1 : 0;
}
