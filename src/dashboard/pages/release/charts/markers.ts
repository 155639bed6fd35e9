import type { LogLine } from "../../../store/log-lines.ts";

/** Something that happened, on the charts a line with a letter. */
export interface Marker {
  readonly id: number;
  readonly atMs: number;
  readonly letter: string;
  readonly isBad: boolean;
  /** What a rollout did, by the event's type; undefined for other events. */
  readonly did: string | undefined;
  readonly text: string;
}

const letters: Readonly<Record<string, string>> = {
  "rollout started": "S",
  "rollout step": "S",
  "rollout holding": "H",
  "rollout paused": "P",
  "rollout resumed": "G",
  "rollout rolled-back": "B",
  "rollout completed": "C",
  "rollout aborted": "A",
  "rollout split": "W",
  "config reloaded": "R",
  "config rejected": "X",
};

/** What of the log belongs on a release's charts, the newest first. */
export function markersOf(lines: readonly LogLine[], release: string, fromMs: number): readonly Marker[] {
  const markers: Marker[] = [];
  for (const { id, at, kind, type, release: of, level, text } of lines) {
    const atMs = Date.parse(at);
    const letter = letters[`${kind} ${type}`];
    if (letter === undefined || atMs < fromMs || (of !== null && of !== release)) continue;
    const isBad = level === "error" || type === "rolled-back";
    markers.push({ id, atMs, letter, isBad, did: kind === "rollout" ? type : undefined, text });
  }
  return markers;
}
