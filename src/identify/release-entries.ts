/**
 * The words of `x-perch-release: shop=canary, other=v2`, and of headers that name a version alone. What a version may be
 * called there is wider than a version's name, since others' headers say `1.0` or `Gray`; it is harmless in a header, a
 * log line and a baggage member.
 */
const entry = /^[\t ]*([a-z0-9][a-z0-9-]{0,62})=([A-Za-z0-9][A-Za-z0-9._-]{0,62})[\t ]*$/;
const word = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** Releases that one header may speak of; further ones do not count. */
const mostEntries = 64;

export function isVersionWord(text: string): boolean {
  return word.test(text);
}

/** Versions by release, from the header's lines; of one release the first counts, and what is malformed does not. */
export function parseReleaseEntries(lines: readonly string[]): ReadonlyMap<string, string> {
  const entries = new Map<string, string>();
  for (const part of lines.join(",").split(",")) {
    const [, release, version] = entry.exec(part) ?? [];
    if (release === undefined || version === undefined || entries.has(release)) continue;
    entries.set(release, version);
    if (entries.size === mostEntries) break;
  }
  return entries;
}

export function formatReleaseEntries(entries: Iterable<readonly [string, string]>): string {
  return Array.from(entries, ([release, version]) => `${release}=${version}`).join(", ");
}
