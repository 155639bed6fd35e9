import type { PropagationSpec, ReleaseSpec } from "../decide/release.ts";
import type { Trail } from "../decide/trail.ts";
import { baggageVersion } from "../identify/baggage.ts";
import type { Caller } from "../identify/caller.ts";
import { receivedLines } from "../identify/client-address.ts";
import { isVersionWord, parseReleaseEntries } from "../identify/release-entries.ts";
import type { RequestHead } from "../identify/request-head.ts";

type Lines = Pick<RequestHead, "header" | "headerLines">;

/** The version that a caller in `acceptFrom` assigned for this release, by the header, else by the baggage. */
export function receivedVersion(
  { name, propagate }: ReleaseSpec,
  service: string,
  head: Lines,
  caller: Caller,
  trail: Trail | undefined,
): string | undefined {
  if (propagate === undefined || (propagate.acceptFrom.length === 0 && trail === undefined)) return undefined;
  const version = headerVersion(propagate.header, name, service, head) ?? baggaged(propagate, name, head);
  if (version === undefined || mayPropagate(propagate, caller)) return version;
  const from = caller.address?.text ?? "an unknown address";
  trail?.push({ stage: "propagated", outcome: "ignored", detail: `${version}: ${from} is not in acceptFrom` });
  return undefined;
}

/** Whether what this caller says of the release counts. */
export function mayPropagate({ acceptFrom }: Pick<PropagationSpec, "acceptFrom">, { address }: Caller): boolean {
  return address !== undefined && acceptFrom.some((range) => range.contains(address));
}

function headerVersion(
  { name, format, words }: PropagationSpec["header"],
  release: string,
  service: string,
  head: Lines,
): string | undefined {
  const lines = receivedLines(head, name);
  if (lines === undefined) return undefined;
  const said = format === "releases" ? parseReleaseEntries(lines).get(release) : wordFor(service, lines);
  return said === undefined ? undefined : (words.find(({ word }) => word === said)?.version ?? said);
}

/** What a header that names a version alone says to a service; nothing where it came twice. */
function wordFor(service: string, lines: readonly string[]): string | undefined {
  const [line = ""] = lines;
  if (lines.length !== 1) return undefined;
  const said = line.startsWith("{") ? readWordMap(line)?.get(service) : line;
  return said !== undefined && isVersionWord(said) ? said : undefined;
}

/**
 * A JSON map of words by service, as Nepxion Discovery sends it; undefined for any other text. Entries that could not be
 * written again as they are, octet for octet, do not count.
 */
export function readWordMap(text: string): ReadonlyMap<string, string> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    return new Map(Object.entries(value).filter(isWordEntry));
  } catch {
    return undefined;
  }
}

function isWordEntry(entry: [string, unknown]): entry is [string, string] {
  const [service, said] = entry;
  return isVersionWord(service) && typeof said === "string" && isVersionWord(said);
}

function baggaged({ baggage }: PropagationSpec, release: string, head: Lines): string | undefined {
  const lines = baggage ? receivedLines(head, "baggage") : undefined;
  const said = lines === undefined ? undefined : baggageVersion(lines.join(","), release);
  return said !== undefined && isVersionWord(said) ? said : undefined;
}
