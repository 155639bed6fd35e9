import type { MirrorSpec } from "../../config/compiled-config.ts";

/** What a change does to the copies of a release's requests, in sentences. */
export function mirrorNotes(before: MirrorSpec | undefined, after: MirrorSpec | undefined): string[] {
  if (before === undefined) return after === undefined ? [] : [`requests are copied to ${textOf(after)}`];
  if (after === undefined) return [`requests are no longer copied to ${before.version}`];
  const notes: string[] = [];
  if (textOf(before) !== textOf(after)) notes.push(`copies go from ${textOf(before)} to ${textOf(after)}`);
  if (before.maxBodyBytes !== after.maxBodyBytes) {
    notes.push(`copies are of bodies up to ${after.maxBodyBytes} octets, before ${before.maxBodyBytes}`);
  }
  if (before.maxInFlight !== after.maxInFlight) {
    notes.push(`the most copies under way in a worker go from ${before.maxInFlight} to ${after.maxInFlight}`);
  }
  return notes;
}

function textOf({ version, percent, methods }: MirrorSpec): string {
  return `${version} (${percent} % of units, ${methods.join(", ")})`;
}
