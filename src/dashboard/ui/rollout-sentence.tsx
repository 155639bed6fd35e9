import type { RolloutBody } from "../../admin/rollout-body.ts";
import { describeRollout } from "../words/describe-rollout.ts";
import { language } from "../words/language.ts";
import { Prose } from "./prose.tsx";

/** Where it stands and what happens next. The server says it in English. */
export function RolloutSentence({ rollout }: { readonly rollout: RolloutBody }) {
  return <Prose text={language.value === "zh" ? describeRollout(rollout) : rollout.sentence} />;
}
