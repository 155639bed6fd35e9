import type { LogLine } from "../../store/log-lines.ts";

export const kinds = ["rollout", "config", "endpoint", "audit"] as const;
export type Kind = LogLine["kind"];

export function countsOf(lines: readonly LogLine[]): Readonly<Record<Kind, number>> {
  const counts = { rollout: 0, config: 0, endpoint: 0, audit: 0 };
  for (const { kind } of lines) counts[kind]++;
  return counts;
}

/** Lines of the kinds, which are all if none is chosen, that have each word of the text somewhere. */
export function filtered(lines: readonly LogLine[], chosen: ReadonlySet<Kind>, text: string): readonly LogLine[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (chosen.size === 0 && words.length === 0) return lines;
  return lines.filter((line) => (chosen.size === 0 || chosen.has(line.kind)) && hasWords(line, words));
}

function hasWords({ type, release, by, text, detail }: LogLine, words: readonly string[]): boolean {
  if (words.length === 0) return true;
  const all = [type, release, by, text, detail].join("\n").toLowerCase();
  return words.every((word) => all.includes(word));
}
