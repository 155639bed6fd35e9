import { scalar, Wrong } from "./scalars.ts";
import type { Schema } from "./schema.ts";
import { quote } from "./tree.ts";

const millisecondsOf: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const durationText = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/;
const durationPart = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/g;

/** Reads `500ms`, `30s`, `1h30m`, `7d` as milliseconds; units from large to small. Undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  if (text.length > 40 || !durationText.test(text)) return undefined;
  let total = 0;
  let lastUnit = Number.POSITIVE_INFINITY;
  for (const [, count, unit] of text.matchAll(durationPart)) {
    const unitMs = millisecondsOf[unit ?? ""] ?? 0;
    if (unitMs >= lastUnit) return undefined;
    lastUnit = unitMs;
    total += Number(count) * unitMs;
  }
  return Math.round(total);
}

/** Milliseconds as a duration is written, in the largest unit that fits evenly. */
export function formatDuration(ms: number): string {
  for (const unit of ["d", "h", "m", "s"]) {
    const unitMs = millisecondsOf[unit] ?? 1;
    if (ms >= unitMs && ms % unitMs === 0) return `${ms / unitMs}${unit}`;
  }
  return `${ms}ms`;
}

/** A duration within bounds, which are milliseconds, as is the value. */
export function duration(bounds: { readonly minMs: number; readonly maxMs: number }): Schema<number> {
  const what = "a duration such as 30s";
  const parse = (written: string): number | Wrong => {
    const ms = parseDuration(written);
    if (ms === undefined) {
      const suggestion = /^\d+(?:\.\d+)?$/.test(written)
        ? `write a unit, as in ${written}s`
        : "the units are ms, s, m, h, d";
      return new Wrong(`${quote(written)} is not a duration`, suggestion);
    }
    if (ms >= bounds.minMs && ms <= bounds.maxMs) return ms;
    return new Wrong(`${written} is not between ${formatDuration(bounds.minMs)} and ${formatDuration(bounds.maxMs)}`);
  };
  return scalar({ what, parse, json: { type: "string", pattern: durationText.source } });
}

const octetsOf: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  KB: 1_000,
  MB: 1_000_000,
  GB: 1_000_000_000,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};
const sizeText = /^(\d+(?:\.\d+)?)(B|KiB|MiB|GiB|KB|MB|GB)?$/;

/** Reads `64KiB`, `10MiB`, or a bare number of octets. Undefined for anything else. */
export function parseSize(text: string): number | undefined {
  const parts = text.length > 40 ? null : sizeText.exec(text);
  if (parts === null) return undefined;
  const octets = Number(parts[1]) * (octetsOf[parts[2] ?? ""] ?? 1);
  return Number.isSafeInteger(octets) ? octets : undefined;
}

/** A size within bounds, which are octets, as is the value. */
export function size(bounds: { readonly min: number; readonly max: number }): Schema<number> {
  const parse = (written: string): number | Wrong => {
    const octets = parseSize(written);
    if (octets === undefined) {
      return new Wrong(`${quote(written)} is not a size`, "write it as in 64KiB or 10MiB");
    }
    if (octets >= bounds.min && octets <= bounds.max) return octets;
    return new Wrong(`${written} is not between ${bounds.min} and ${bounds.max} octets`);
  };
  const json = {
    anyOf: [
      { type: "string", pattern: sizeText.source },
      { type: "integer", minimum: 0 },
    ],
  };
  return scalar({ what: "a size such as 64KiB", parse, json });
}
