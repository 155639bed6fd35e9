import type { EndpointReport } from "../../../admin/endpoint-report.ts";
import type { LiveRelease, VersionTick } from "../../../admin/live/live-bodies.ts";
import type { RolloutBody, SplitBody } from "../../../admin/rollout-body.ts";
import { count, percent } from "../../format/numbers.ts";
import { clock } from "../../format/times.ts";
import { linkTo } from "../../places.ts";
import { recentErrors, serverNowMs, splitOf, tick, ticksOf } from "../../store/live.ts";
import { Badge, PhaseBadge } from "../../ui/badge.tsx";
import { Prose } from "../../ui/prose.tsx";
import { RolloutSentence } from "../../ui/rollout-sentence.tsx";
import { Sparkline } from "../../ui/sparkline.tsx";
import { overviewWords } from "../../words/overview.ts";
import { perSecond } from "../release/spans.ts";
import { isOver } from "../release/step-progress.ts";
import { failingChecks, type ReleaseView, unhealthy } from "./attention.ts";
import { FailingVersions } from "./failing-versions.tsx";

/** One release at a glance; the whole card leads to its page. */
export function ReleaseCard({ view: { release, rollout, endpoints, failing } }: { readonly view: ReleaseView }) {
  const words = overviewWords.value;
  const name = release.release;
  const ticks = ticksOf(name);
  const down = unhealthy(endpoints);
  const split = splitOf(name);
  const isQuiet =
    tick.value !== undefined && Object.values(ticks).every(({ fiveMinutes }) => fiveMinutes.requests === 0);
  return (
    <li class="card release-card">
      <div class="card-head">
        <h2>
          <a href={linkTo({ page: "release", release: name })}>{name}</a>
        </h2>
        {rollout === undefined ? <Badge tone="quiet" text={words.noRollout} /> : <PhaseBadge phase={rollout.phase} />}
      </div>
      {rollout !== undefined && rollout.steps.length > 0 && <StepMarks rollout={rollout} />}
      <p class="sentence">
        {rollout === undefined ? <Prose text={words.noRolloutHow(name)} /> : <RolloutSentence rollout={rollout} />}
      </p>
      {rollout?.stateProblem != null && <p class="error">{words.stateProblem(rollout.stateProblem)}</p>}
      {split !== undefined && <SplitLine split={split} />}
      {isQuiet ? (
        <p class="hint">
          <Prose text={words.noTraffic} />
        </p>
      ) : (
        <>
          <Shares release={release} ticks={ticks} rollout={rollout} />
          <Errors release={name} versions={[release.baseline, release.candidate]} ticks={ticks} />
        </>
      )}
      <p class="card-foot">
        <FailingVersions failing={failing} />
        <CheckLine rollout={rollout} />
        {down.length > 0 && <Badge tone="bad" text={`${words.endpointsDown(down.length)}: ${versionsOf(down)}`} />}
      </p>
    </li>
  );
}

const namedFirst = 3;

function versionsOf(endpoints: readonly EndpointReport[]): string {
  const names = [...new Set(endpoints.map(({ version }) => version))];
  return `${names.slice(0, namedFirst).join(", ")}${names.length > namedFirst ? ", …" : ""}`;
}

function StepMarks({ rollout }: { readonly rollout: RolloutBody }) {
  const { steps, step } = rollout;
  const stops = isOver(rollout);
  return (
    <div class="step-marks" role="img" aria-label={overviewWords.value.steps(step, steps.length)}>
      {steps.map(({ state, holdMs, heldMs, title }, index) => (
        <span
          key={`${index} ${title}`}
          class={`step-mark step-mark-${stops && state === "current" ? "stopped" : state}`}
        >
          {state === "current" && (
            <span style={{ width: `${holdMs > 0 ? Math.min(100, (100 * heldMs) / holdMs) : 0}%` }} />
          )}
        </span>
      ))}
    </div>
  );
}

function SplitLine({ split: { split, by, until } }: { readonly split: SplitBody }) {
  const words = overviewWords.value;
  const weights = Object.entries(split)
    .map(([version, weight]) => `${version} ${weight}`)
    .join(", ");
  return (
    <p>
      <Badge tone="warn" text={`${words.setBy(weights, by)}${until === null ? "" : words.until(clock(until))}`} />
    </p>
  );
}

interface SharesProps {
  readonly release: LiveRelease;
  readonly ticks: Readonly<Record<string, VersionTick>>;
  readonly rollout: RolloutBody | undefined;
}

/** Of the candidate: as configured, by drawn requests and by users. */
function Shares({ release: { candidate, versions }, ticks, rollout }: SharesProps) {
  const words = overviewWords.value;
  if (candidate === null) return null;
  const own = ticks[candidate];
  const configured = versions.find(({ version }) => version === candidate)?.configuredShare ?? own?.expectedShare;
  const decisions = Object.values(ticks).reduce((sum, each) => sum + each.decisions, 0);
  const users = rollout && rollout.stepUsers.candidate + rollout.stepUsers.baseline;
  return (
    <dl class="figures">
      <dt>{words.shareOf(candidate)}</dt>
      <dd>{words.configured(percent(configured))}</dd>
      <dt>{words.drawnRequests}</dt>
      <dd>
        <strong>{percent(own?.share)}</strong>{" "}
        {decisions > 0 && <span class="hint">{words.partOf(count(own?.decisions), count(decisions))}</span>}
      </dd>
      {rollout !== undefined && users !== undefined && (
        <>
          <dt>{words.stepUsers}</dt>
          <dd>
            <strong>{percent(users === 0 ? null : rollout.stepUsers.candidate / users)}</strong>{" "}
            {users > 0 && <span class="hint">{words.partOf(count(rollout.stepUsers.candidate), count(users))}</span>}
          </dd>
        </>
      )}
    </dl>
  );
}

interface ErrorsProps {
  readonly release: string;
  readonly versions: readonly [baseline: string | null, candidate: string | null];
  readonly ticks: Readonly<Record<string, VersionTick>>;
}

/** Below, a sparkline shows noise as mountains. */
const leastTop = 0.01;

function Errors({ release, versions, ticks }: ErrorsProps) {
  const words = overviewWords.value;
  // Read so that the lines move with each second.
  recentErrors.changes.value;
  const now = serverNowMs.value;
  const [baseline = [], candidate = []] = versions.map((version) => recentErrors.shares(release, version ?? "", now));
  const most = (shares: readonly (number | null)[]) => Math.max(0, ...shares.map((share) => share ?? 0));
  const top = Math.max(leastTop, most(baseline), most(candidate));
  const named = versions.flatMap((version, index) => (version === null ? [] : [{ version, index }]));
  const texts = named.map(({ version, index }) =>
    words.sparkline(version, percent(most(index === 0 ? baseline : candidate), 2)),
  );
  return (
    <div class="errors">
      <table>
        <thead>
          <tr>
            <th scope="col">{words.errors}</th>
            <th scope="col" class="number">
              {words.perSecond}
            </th>
          </tr>
        </thead>
        <tbody>
          {named.map(({ version, index }) => {
            const minute = ticks[version]?.minute;
            const requests = minute?.requests ?? 0;
            return (
              <tr key={version}>
                <th scope="row">
                  <span class={`swatch swatch-${index === 0 ? "baseline" : "candidate"}`} aria-hidden="true" />{" "}
                  {version}
                  <span class="errors-share">
                    <strong>{percent(requests === 0 ? null : (minute?.failed ?? 0) / requests)}</strong>{" "}
                    {requests > 0 && words.partOf(count(minute?.failed), count(requests))}
                  </span>
                </th>
                <td class="number">{perSecond(minute)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      <div class="errors-line">
        <Sparkline label={words.sparklineLabel(texts.join("; "))} baseline={baseline} candidate={candidate} top={top} />
        <span class="hint">{words.fiveMinutes(percent(top, 2))}</span>
      </div>
    </div>
  );
}

function CheckLine({ rollout }: { readonly rollout: RolloutBody | undefined }) {
  const words = overviewWords.value;
  if (rollout === undefined) return null;
  const failing = failingChecks(rollout);
  if (failing.length > 0) return <Badge tone="bad" text={`${words.checks(failing.length)}: ${failing.join(", ")}`} />;
  const { length } = rollout.checks;
  return <span class="hint">{length === 0 ? words.noChecks : words.checksFine(length)}</span>;
}
