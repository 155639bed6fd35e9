import { ActingBar } from "../../acting/acting-bar.tsx";
import { SplitEditor } from "../../acting/split-editor.tsx";
import { linkTo } from "../../places.ts";
import { endpoints, releases, rolloutOf, ticksOf } from "../../store/live.ts";
import { Badge, PhaseBadge } from "../../ui/badge.tsx";
import { Prose } from "../../ui/prose.tsx";
import { RolloutSentence } from "../../ui/rollout-sentence.tsx";
import { overviewWords } from "../../words/overview.ts";
import { releaseWords } from "../../words/release.ts";
import { endpointsOf, failingVersions } from "../overview/attention.ts";
import { FailingVersions } from "../overview/failing-versions.tsx";
import { LiveCharts } from "./charts/live-charts.tsx";
import { Checks } from "./checks.tsx";
import { Comparison } from "./comparison.tsx";
import { Drift } from "./drift.tsx";
import { Endpoints } from "./endpoints.tsx";
import { Rules } from "./rules.tsx";
import { StepTrack } from "./step-track.tsx";

export function ReleasePage({ release: name }: { readonly release: string }) {
  const words = releaseWords.value;
  const release = releases.value?.find((each) => each.release === name);
  const rollout = rolloutOf(name);
  if (release === undefined) {
    return (
      <>
        <h1>{name}</h1>
        <p>
          {words.missing(name)} <a href={linkTo({ page: "overview" })}>{words.toOverview}</a>
        </p>
      </>
    );
  }
  return (
    <>
      <div class="release-head">
        <div class="page-head">
          <h1>{name}</h1>
          {rollout === undefined ? (
            <Badge tone="quiet" text={overviewWords.value.noRollout} />
          ) : (
            <PhaseBadge phase={rollout.phase} />
          )}
          <FailingVersions failing={failingVersions(ticksOf(name))} />
        </div>
        <p class="lead">
          {rollout === undefined ? (
            <Prose text={overviewWords.value.noRolloutHow(name)} />
          ) : (
            <RolloutSentence rollout={rollout} />
          )}
        </p>
        {rollout?.stateProblem != null && <p class="error">{overviewWords.value.stateProblem(rollout.stateProblem)}</p>}
        <p class="hint">
          {words.unit(release.unit)} {words.decidesOn(release.routes.join(", "))}
        </p>
        <ActingBar release={name} />
      </div>
      <div class="release-columns">
        <Comparison release={release} rollout={rollout} />
        <Checks rollout={rollout} />
      </div>
      {rollout !== undefined && <StepTrack rollout={rollout} />}
      <SplitEditor release={name} />
      <LiveCharts release={name} baseline={release.baseline} candidate={release.candidate} />
      <div class="release-columns">
        <Rules release={release} />
        <div class="release-column">
          <Endpoints endpoints={endpointsOf(release, endpoints.value)} />
          <Drift release={release} rollout={rollout} />
        </div>
      </div>
    </>
  );
}
