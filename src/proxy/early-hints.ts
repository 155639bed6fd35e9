/** One link with parameters of simple values (RFC 8288 §3): what node:http agrees to send as well. */
const plainLink = /^<[^<>]*>(?:\s*;\s*[^;"\s=]+(?:=(?:"[^;"\s]*"|[^;"\s]*))?)*$/;

/**
 * The links of an upstream's 103 (RFC 8297) that a client gets, from the response's fields in a flat list. Empty where
 * there are none, or where one of them is of a form that not everybody reads alike: the final answer says it again.
 */
export function earlyHintLinks(fields: readonly string[]): readonly string[] {
  const links: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]?.toLowerCase() === "link") links.push(...linkValues(fields[i + 1] ?? ""));
  }
  return links.every((link) => plainLink.test(link)) ? links : [];
}

/** Link values, split at the commas that stand outside `<…>` and quotes. */
function linkValues(line: string): string[] {
  const values = line.match(/(?:<[^>]*>|"(?:[^"\\]|\\.)*"|[^,<"])+/g) ?? [];
  return values.map((value) => value.trim()).filter((value) => value !== "");
}
