import { skipBlanks, skipBlanksBack } from "./header-fields.ts";

/**
 * The `baggage` header (W3C Baggage) as Perch handles it: pieces between commas, of which ours begin with `perch.`. Others'
 * are never read, changed or put in another order, whether they are well-formed or not; a comma parts members in any case,
 * since neither keys nor values may hold one. Linear time, whatever came.
 */

/** What the keys of Perch's own members begin with. */
const ownPrefix = "perch.";

/**
 * A member's key, wherever it begins: readers trim more than blanks, so bytes that no key can hold do not hide one; and
 * they decode, so `%70erch.shop` is ours as well. A stranger's member that is taken for one of ours further on would be
 * honoured there.
 */
const memberKey = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/;

/** What every participant has to pass on (W3C Baggage §3.3.2); beyond, anyone may drop any member. */
const maxMembers = 64;
const maxBytes = 8192;

const comma = 0x2c;

/** Whether a release's member is kept. */
export type KeepsMember = (release: string) => boolean;

/**
 * The baggage that goes on: all that was received (its lines joined by commas) without Perch's own members that may not
 * be kept, and `own` at its end. An `own` that does not fit into the limits is left out: others' members are not ours to
 * drop. Undefined where nothing is left.
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

/** A release's member, as it is written. */
export function baggageMember(release: string, version: string): string {
  return `${ownPrefix}${release}=${version}`;
}

/** The value of a release's member, without properties; undefined where there is none. The first counts. */
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
  // Where the first ones went, the blanks after them belonged to the comma that went with them.
  return kept.length === members.length ? received : kept.join(",").replace(/^[\t ]+/, "");
}

/** The release that a member of ours names; undefined for others' members. */
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

/** Where the last member ends: empty ones at the end would make a list that strict readers refuse. */
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
