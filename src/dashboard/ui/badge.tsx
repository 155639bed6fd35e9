import type { RolloutBody } from "../../admin/rollout-body.ts";
import { shellWords } from "../words/shell.ts";

export type Tone = "good" | "warn" | "bad" | "info" | "quiet";

/** Each tone has its own mark, since colour alone must not carry meaning. */
const marks: Readonly<Record<Tone, string>> = { good: "✓", warn: "!", bad: "✕", info: "▸", quiet: "○" };

export function Badge({ tone, text }: { readonly tone: Tone; readonly text: string }) {
  return (
    <span class={`badge badge-${tone}`}>
      <span aria-hidden="true">{marks[tone]}</span> {text}
    </span>
  );
}

const phaseTones: Readonly<Record<RolloutBody["phase"], Tone>> = {
  pending: "quiet",
  progressing: "info",
  paused: "warn",
  holding: "warn",
  "rolling-back": "bad",
  "rolled-back": "bad",
  completed: "good",
  aborted: "warn",
};

export function PhaseBadge({ phase }: { readonly phase: RolloutBody["phase"] }) {
  return <Badge tone={phaseTones[phase]} text={shellWords.value.phases[phase]} />;
}
