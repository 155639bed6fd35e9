import { type Draft, lossOf } from "./draft.ts";
import { type Manifest, titleOf } from "./manifests.ts";

/** What a note says of a key, by its name. */
export interface Advice {
  readonly text: string;
  /** Whether the key protects something, which is lost. */
  readonly protects?: boolean;
  /** Whether the key has routes, which the summary counts as left out. */
  readonly isRoute?: boolean;
}

/** Names everything in the spec that was not read, so that no setting is dropped silently. */
export function noteUnread(manifest: Manifest, advice: Readonly<Record<string, Advice>>, draft: Draft): void {
  for (const path of manifest.spec.unread()) {
    const key = path.replace(/\[\d+\]$/, "").replace(/^.*\./, "");
    const { text, protects, isRoute } = advice[key] ?? { text: "not imported" };
    const loss = lossOf(protects === true);
    if (isRoute === true) draft.leftOut(titleOf(manifest), `${path} is left out: ${text}`, loss);
    else draft.note(titleOf(manifest), `${path}: ${text}`, loss);
  }
}

export const perRequestWeights =
  "the weights applied to each request separately; Perch keeps each user on one version with a signed cookie";
