import { Badge, type Tone } from "../../ui/badge.tsx";
import { checkWords } from "../../words/checks.ts";
import type { Check } from "./check-evidence.ts";

const tones: Readonly<Record<Check["verdict"], Tone>> = { pass: "good", fail: "bad", "not-enough-data": "quiet" };

export function VerdictBadge({ verdict }: Pick<Check, "verdict">) {
  return <Badge tone={tones[verdict]} text={checkWords.value.verdicts[verdict]} />;
}
