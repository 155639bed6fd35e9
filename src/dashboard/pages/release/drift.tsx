import type { LiveRelease } from "../../../admin/live/live-bodies.ts";
import type { RolloutBody } from "../../../admin/rollout-body.ts";
import { count, percent } from "../../format/numbers.ts";
import { ticksOf } from "../../store/live.ts";
import { Badge } from "../../ui/badge.tsx";
import { Card } from "../../ui/card.tsx";
import { checkWords } from "../../words/checks.ts";
import { releaseWords } from "../../words/release.ts";

interface DriftProps {
  readonly release: LiveRelease;
  readonly rollout: RolloutBody | undefined;
}

/** Whether users are where the draw put them. */
export function Drift({ release: { release, candidate }, rollout }: DriftProps) {
  const words = releaseWords.value;
  const check = rollout?.checks.find(({ metric }) => metric === "drift");
  const ticks = ticksOf(release);
  const tick = candidate === null ? undefined : ticks[candidate];
  const decisions = Object.values(ticks).reduce((sum, each) => sum + each.decisions, 0);
  const verdict = check && (
    <Badge
      tone={({ pass: "good", fail: "warn", "not-enough-data": "quiet" } as const)[check.verdict]}
      text={checkWords.value.verdicts[check.verdict]}
    />
  );
  return (
    <Card title={words.drift} aside={verdict}>
      <p>
        {tick === undefined || tick.share === null
          ? words.noDrawn
          : `${candidate}: ${words.driftNow(percent(tick.share), percent(tick.expectedShare), count(decisions))}`}
      </p>
      <p class="hint">{check?.why ?? words.noDriftCheck}</p>
    </Card>
  );
}
