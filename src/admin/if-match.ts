/** No revision: what is compared with it always differs. */
const noRevision = -1;

/** A list of entity-tags, RFC 9110 §8.8.3; weak ones are marked. */
const tag = /^\s*(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)/;

/**
 * What an If-Match header asks of the revision (RFC 9110 §13.1.1): that it be one of these. A weak tag never matches.
 * `anything` without the header or with `*`.
 */
export function askedRevisions(ifMatch: string | undefined): readonly number[] | "anything" | "malformed" {
  if (ifMatch === undefined || ifMatch.trim() === "*") return "anything";
  const revisions: number[] = [];
  let rest = ifMatch;
  for (;;) {
    const found = tag.exec(rest);
    if (found === null) return "malformed";
    const [all, weak, text = ""] = found;
    if (weak === undefined && /^\d{1,15}$/.test(text)) revisions.push(Number(text));
    rest = rest.slice(all.length);
    if (rest.trim() === "") return all.trimEnd().endsWith(",") ? "malformed" : revisions;
  }
}

/** The one revision that a change may be made at; undefined: any. */
export function requiredRevision(asked: readonly number[] | "anything", current: number): number | undefined {
  if (asked === "anything") return undefined;
  return asked.includes(current) ? current : (asked[0] ?? noRevision);
}
