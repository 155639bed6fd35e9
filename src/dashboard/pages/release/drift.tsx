import type { LiveRelease } from "../../../admin/live/live-bodies.ts";
import type { RolloutBody } from "../../../admin/rollout-body.ts";
import { count, percent } from "../../format/numbers.ts";
import { ticksOf } from "../../store/live.ts";
import { Card } from "../../ui/card.tsx";
import { releaseWords } from "../../words/release.ts";
import { VerdictBadge } from "./verdict-badge.tsx";

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
  return (
    <Card title={words.drift} aside={check && <VerdictBadge verdict={check.verdict} />}>
      <p>
        {tick === undefined || tick.share === null
          ? words.noDrawn
          : `${candidate}: ${words.driftNow(percent(tick.share), percent(tick.expectedShare), count(decisions))}`}
      </p>
      {check === undefined ? (
        <p class="hint">{words.noDriftCheck}</p>
      ) : (
        <p class="hint" lang="en">
          {check.why}
        </p>
      )}
    </Card>
  );
}
