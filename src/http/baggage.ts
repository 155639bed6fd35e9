import { skipBlanks, skipBlanksBack } from "./header-fields.ts";

/**
 * The `baggage` header (W3C Baggage): a comma-separated list, in which Perch's members start with `perch.`. Other
 * members pass unread, unchanged and in order, even if malformed. Splitting at commas is safe, since neither keys nor
 * values may contain one. Everything here takes linear time.
 */

/** Whether to keep the received member of this release. */
export type KeepsMember = (release: string) => boolean;

/** Every participant must propagate this much (W3C Baggage §3.3.2); above it any member may be dropped. */
const maxMembers = 64;
const maxBytes = 8192;

/**
 * The baggage for the upstream: the received members (lines joined by commas) without Perch's own, except those that
 * `keeps` accepts, then `own`. If `own` would exceed the limits it is omitted, since Perch must not drop the members of
 * others. Undefined if nothing is left.
 */
export function mergeBaggage(
  received: string | undefined,
  keeps: KeepsMember,
  own: string | undefined,
): string | undefined {
  const kept = received === undefined ? "" : withoutOwn(received, keeps);
  if (own === undefined) return kept === "" ? undefined : kept;
  const end = contentEnd(kept);
  if (end === 0) return own;
  const fits = end + 1 + own.length <= maxBytes && memberCount(kept) < maxMembers;
  return fits ? `${kept.slice(0, end)},${own}` : kept;
}

const ownPrefix = "perch.";

export function baggageMember(release: string, version: string): string {
  return `${ownPrefix}${release}=${version}`;
}

/** The value of the release's first member, without properties; undefined if there is none. */
export function baggageVersion(received: string, release: string): string | undefined {
  if (!mayHoldOwn(received)) return undefined;
  for (const member of received.split(",")) {
    if (ownRelease(member) !== release) continue;
    const keyAt = keyEnd(member);
    if (member[keyAt] !== "=") return undefined;
    const start = skipBlanks(member, keyAt + 1);
    const properties = member.indexOf(";", start);
    return member.slice(start, skipBlanksBack(member, properties < 0 ? member.length : properties));
  }
  return undefined;
}

function withoutOwn(received: string, keeps: KeepsMember): string {
  if (!mayHoldOwn(received)) return received;
  const members = received.split(",");
  const kept = members.filter((member) => {
    const release = ownRelease(member);
    return release === undefined || keeps(release);
  });
  // If the first members were removed, so are the blanks after the removed comma.
  return kept.length === members.length ? received : kept.join(",").replace(/^[\t ]+/, "");
}

/**
 * Finds the key at any offset, also percent-encoded: some readers trim more than blanks and decode keys, so an
 * untrusted client's `\xa0perch.shop` or `%70erch.shop` would otherwise pass and be trusted as Perch's member
 * downstream.
 */
const memberKey = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/;

/** The release of one of Perch's members; undefined for other members. */
function ownRelease(member: string): string | undefined {
  const written = memberKey.exec(member.slice(0, keyEnd(member)))?.[0] ?? "";
  const key = written.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return key.startsWith(ownPrefix) ? key.slice(ownPrefix.length) : undefined;
}

function keyEnd(member: string): number {
  const end = member.search(/[=;]/);
  return end < 0 ? member.length : end;
}

function mayHoldOwn(received: string): boolean {
  return received.includes(ownPrefix) || received.includes("%");
}

const comma = 0x2c;

/** The end of the last nonempty member: strict parsers reject a list with empty members. */
function contentEnd(list: string): number {
  let end = skipBlanksBack(list, list.length);
  while (end > 0 && list.charCodeAt(end - 1) === comma) end = skipBlanksBack(list, end - 1);
  return end;
}

function memberCount(list: string): number {
  let count = 1;
  for (let at = list.indexOf(","); at >= 0; at = list.indexOf(",", at + 1)) count++;
  return count;
}
