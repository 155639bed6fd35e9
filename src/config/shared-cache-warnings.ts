import { isTargetedCacheControl } from "../http/header-names.ts";
import type { Config } from "./schema.ts";
import type { ParseContext } from "./schema-kit/schema.ts";
import { quote } from "./schema-kit/tree.ts";
import type { HeaderEditsConfig } from "./sections/header-edits.ts";

/**
 * Warns of edits that let shared caches store responses, where responses are private because a release decides. A
 * version's edits are reported if they have no effect on any route of its service.
 */
export function warnOfSharedCacheEdits({ routes, services }: Config, parsing: ParseContext): void {
  const shared = new Set<string | undefined>();
  const decided = new Set<string | undefined>();
  for (const { name, service, release, sharedCache, responseHeaders } of routes) {
    const isPrivate = release !== undefined && sharedCache === "private";
    (isPrivate ? decided : shared).add(service);
    if (isPrivate) warnOfEdits(responseHeaders, `route ${quote(name)}`, parsing);
  }
  for (const { name: service, value } of services) {
    if (!decided.has(service) || shared.has(service)) continue;
    for (const { name, value: version } of value.versions) {
      warnOfEdits(version.responseHeaders, `version ${quote(name)}`, parsing);
    }
  }
}

function warnOfEdits(edits: HeaderEditsConfig | undefined, where: string, parsing: ParseContext): void {
  const added = (edits?.add ?? []).map((entry) => ({ entry, text: entry.value.join(",") }));
  const set = (edits?.set ?? []).map((entry) => ({ entry, text: entry.value }));
  for (const { entry, text } of [...set, ...added]) {
    const { name } = entry;
    const lost = isTargetedCacheControl(name) ? name : name === "cache-control" ? sharedDirective(text) : undefined;
    if (lost === undefined) continue;
    const message = `${lost} has no effect in ${where}: a release decides its responses, so they are private`;
    parsing.warn(parsing.keySpanOf(entry), "risky", message, "set sharedCache: keep for assets with hashed names");
  }
}

/** The first directive that only shared caches need; undefined if there is none, or if nothing may be stored. */
function sharedDirective(value: string): string | undefined {
  const names = value.split(",").map((directive) => (directive.split("=")[0] ?? "").trim().toLowerCase());
  return names.find((name) => name === "public" || name === "s-maxage");
}
