import { useSignal } from "@preact/signals";
import type { LiveRelease, SummaryBody, VersionTick } from "../../../admin/live/live-bodies.ts";
import type { RolloutBody } from "../../../admin/rollout-body.ts";
import { count, millis, percent, points, signedMillis, unknown } from "../../format/numbers.ts";
import { span } from "../../format/times.ts";
import { differenceEstimate, type Estimate, quantileEstimate, readingOf, shareEstimate } from "../../statistics.ts";
import { ticksOf } from "../../store/live.ts";
import { Card } from "../../ui/card.tsx";
import { Segments } from "../../ui/segments.tsx";
import { releaseWords } from "../../words/release.ts";
import { OtherVersions } from "./other-versions.tsx";
import { isCutShort, perSecond, type SpanName, spans } from "./spans.ts";

interface ComparisonProps {
  readonly release: LiveRelease;
  readonly rollout: RolloutBody | undefined;
}

const quantiles = ["p50", "p95", "p99"] as const;

/** What baseline and candidate do now, side by side, and what all others do. */
export function Comparison({ release, rollout }: ComparisonProps) {
  const words = releaseWords.value;
  const name = useSignal<SpanName>("minute");
  const ticks = ticksOf(release.release);
  const { baseline, candidate } = release;
  const others = release.versions.filter(({ version }) => version !== baseline && version !== candidate);
  const countedMs = Object.values(ticks)[0]?.[name.value].spanMs;
  const title = candidate === null ? words.versions : words.comparison;
  const choice = (
    <Segments
      label={words.span}
      options={spans.map((each) => [each, words[each]])}
      chosen={name.value}
      onChoose={(chosen) => {
        name.value = chosen;
      }}
    />
  );
  return (
    <Card title={title} aside={choice}>
      {baseline !== null && <Figures of={{ baseline, candidate }} ticks={ticks} name={name.value} rollout={rollout} />}
      {candidate !== null && <p class="hint under-table">{words.tooNarrow}</p>}
      {countedMs !== undefined && isCutShort(name.value, countedMs) && (
        <p class="hint under-table">{words.cutShort(span(countedMs))}</p>
      )}
      {others.length > 0 && <OtherVersions versions={others} ticks={ticks} name={name.value} />}
    </Card>
  );
}

interface FiguresProps {
  readonly of: { readonly baseline: string; readonly candidate: string | null };
  readonly ticks: Readonly<Record<string, VersionTick>>;
  readonly name: SpanName;
  readonly rollout: RolloutBody | undefined;
}

function Figures({ of: { baseline, candidate }, ticks, name, rollout }: FiguresProps) {
  const words = releaseWords.value;
  const base = ticks[baseline]?.[name];
  const other = candidate === null ? undefined : ticks[candidate]?.[name];
  const all = Object.values(ticks).reduce((sum, tick) => sum + tick[name].requests, 0);
  const shareOf = (summary: SummaryBody | undefined) =>
    percent(summary === undefined || all === 0 ? null : summary.requests / all);
  const failed = [other, base].map((summary) => summary && shareEstimate(summary.failed, summary.requests));
  const users = rollout === undefined ? [] : [rollout.users.candidate, rollout.users.baseline];
  const badUsers = users.map((each) => shareEstimate(each.bad, each.users));
  const usersText = (each: { users: number } | undefined) => count(each?.users);
  const badText = (each: { users: number; bad: number } | undefined, estimate: Estimate | undefined) =>
    each === undefined || estimate === undefined ? unknown : `${count(each.bad)} (${percent(estimate.value)})`;
  const pointsText = (value: number) => points(value);
  return (
    <table class="comparison">
      <thead>
        <tr>
          <th scope="col">
            <span class="visually-hidden">{words.figure}</span>
          </th>
          <Version name={baseline} side="baseline" />
          {candidate !== null && <Version name={candidate} side="candidate" />}
          {candidate !== null && (
            <th scope="col" class="number difference">
              {words.difference}
            </th>
          )}
        </tr>
      </thead>
      <tbody>
        <Row label={words.rows.requests} values={[perSecond(base), perSecond(other)]} isPair={candidate !== null} />
        <Row label={words.rows.share} values={[shareOf(base), shareOf(other)]} isPair={candidate !== null} />
        <Row
          label={words.rows.failed}
          values={[percent(failed[1]?.value), percent(failed[0]?.value)]}
          isPair={candidate !== null}
          difference={differenceEstimate(failed[0], failed[1])}
          text={pointsText}
          isPoints
        />
        {quantiles.map((quantile) => (
          <Row
            key={quantile}
            label={quantile}
            values={[millis(base?.[quantile]?.[0]), millis(other?.[quantile]?.[0])]}
            isPair={candidate !== null}
            difference={differenceEstimate(quantileEstimate(other?.[quantile]), quantileEstimate(base?.[quantile]))}
            text={signedMillis}
          />
        ))}
        {rollout !== undefined && (
          <>
            <Row
              label={words.rows.users}
              hint={words.usersSince}
              values={[usersText(users[1]), usersText(users[0])]}
              isPair={candidate !== null}
            />
            <Row
              label={words.rows.badUsers}
              hint={words.usersSince}
              values={[badText(users[1], badUsers[1]), badText(users[0], badUsers[0])]}
              isPair={candidate !== null}
              difference={differenceEstimate(badUsers[0], badUsers[1])}
              text={pointsText}
              isPoints
            />
          </>
        )}
      </tbody>
    </table>
  );
}

function Version({ name, side }: { readonly name: string; readonly side: "baseline" | "candidate" }) {
  return (
    <th scope="col" class="number version-head">
      <span class={`swatch swatch-${side}`} aria-hidden="true" /> {name}
      <small>{releaseWords.value[side]}</small>
    </th>
  );
}

interface RowProps {
  readonly label: string;
  readonly hint?: string;
  readonly values: readonly [baseline: string, candidate: string];
  readonly isPair: boolean;
  readonly difference?: Estimate | undefined;
  readonly text?: (value: number) => string;
  readonly isPoints?: boolean;
}

function Row({ label, hint, values: [baseline, candidate], isPair, difference, text, isPoints = false }: RowProps) {
  return (
    <tr>
      <th scope="row">
        {label}
        {hint !== undefined && <small>{hint}</small>}
      </th>
      <td class="number">{baseline}</td>
      {isPair && <td class="number">{candidate}</td>}
      {isPair && (
        <td class="number difference">
          {text !== undefined &&
            (difference === undefined ? (
              unknown
            ) : (
              <Difference difference={difference} text={text} isPoints={isPoints} />
            ))}
        </td>
      )}
    </tr>
  );
}

const marks = { worse: "▲", better: "▼", "none-seen": "≈" } as const;

interface DifferenceProps {
  readonly difference: Estimate;
  readonly text: (value: number) => string;
  readonly isPoints: boolean;
}

function Difference({ difference, text, isPoints }: DifferenceProps) {
  const words = releaseWords.value;
  const reading = readingOf(difference);
  const value = text(difference.value);
  return (
    <>
      {isPoints ? words.points(value) : value}
      <small>{words.range(text(difference.low), text(difference.high))}</small>
      <small class={`reading reading-${reading}`}>
        <span aria-hidden="true">{marks[reading]}</span> {words.reading[reading]}
      </small>
    </>
  );
}
