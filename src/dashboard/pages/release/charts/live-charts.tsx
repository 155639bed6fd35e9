import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { millis, percent, rate } from "../../../format/numbers.ts";
import { offsetOf, shortClock } from "../../../format/times.ts";
import { log, serverNowMs } from "../../../store/live.ts";
import { Card } from "../../../ui/card.tsx";
import { Segments } from "../../../ui/segments.tsx";
import { chartWords } from "../../../words/charts.ts";
import { type ChartColumns, columnsOf, type Sides, sinceFirst } from "./chart-slots.ts";
import { type ChartSpan, LiveWindow } from "./live-window.ts";
import { MarkerList } from "./marker-list.tsx";
import { type Marker, markersOf } from "./markers.ts";
import { Plot, type PlotProps } from "./plot.tsx";

interface LiveChartsProps extends Sides {
  readonly release: string;
}

export function LiveCharts({ release, baseline, candidate }: LiveChartsProps) {
  const words = chartWords.value;
  const span = useSignal<ChartSpan>("minutes");
  const live = useMemo(
    () => new LiveWindow(release, { baseline, candidate }, span.value),
    [release, baseline, candidate, span.value],
  );
  useEffect(() => live.follow(), [live]);
  const slots = live.slots.value;
  const columns = useMemo(() => slots && columnsOf(sinceFirst(slots)), [slots]);
  const lines = log.all.value;
  const fromMs = (columns?.times[0] ?? Number.POSITIVE_INFINITY) * 1_000;
  const markers = useMemo(() => markersOf(lines, release, fromMs), [lines, release, fromMs]);
  const problem = live.problem.value;
  const zone = useComputed(() => offsetOf(new Date(serverNowMs.value)));
  const aside = (
    <>
      <span>{words.zone(zone.value)}</span>
      <Segments
        label={words.span}
        options={[
          ["minutes", words.minutes],
          ["hour", words.hour],
        ]}
        chosen={span.value}
        onChoose={(chosen) => {
          span.value = chosen;
        }}
      />
    </>
  );
  return (
    <Card title={words.title} aside={aside}>
      {problem !== undefined && <p class="error">{words.failed(problem)}</p>}
      {slots?.totals.every((total) => total === null) === true && <p class="hint">{words.empty}</p>}
      {columns !== undefined && (
        <Charts columns={columns} markers={markers} sides={{ baseline, candidate }} key={span.value} />
      )}
      <MarkerList markers={markers} />
    </Card>
  );
}

interface ChartsProps {
  readonly columns: ChartColumns;
  readonly markers: readonly Marker[];
  readonly sides: Sides;
}

const charts = [
  { name: "requests", text: rate, leastTop: 1, firstIs: "measured" },
  { name: "failed", text: (value: number | null) => percent(value, 2), leastTop: 0.01, firstIs: "measured" },
  { name: "p95", text: millis, leastTop: 1, firstIs: "measured" },
  { name: "share", text: (value: number | null) => percent(value, 2), leastTop: 0.01, firstIs: "setting" },
] as const;

function Charts({ columns, markers, sides: { baseline, candidate } }: ChartsProps) {
  const words = chartWords.value;
  const cursor = useSignal<number | undefined>(undefined);
  const onCursor: PlotProps["onCursor"] = (index) => {
    cursor.value = index;
  };
  const { times } = columns;
  const at = cursor.value !== undefined && cursor.value < times.length ? cursor.value : undefined;
  const second = times[at ?? times.length - 1];
  return (
    <div class="charts">
      {charts.map(({ name, text, ...looks }) => {
        const isShare = name === "share";
        if (isShare && candidate === null) return null;
        const title = isShare ? words.charts.share(candidate ?? "") : words.charts[name];
        const names = isShare ? [words.configured, words.observed] : [baseline, candidate];
        const lines = columns[name];
        const values = (index: number) =>
          names.flatMap((each, line) => (each === null ? [] : [`${each} ${text(lines[line]?.[index] ?? null)}`]));
        return (
          <figure key={name}>
            <figcaption>
              <strong>{title}</strong>
              {values(at ?? times.length - 1).map((value, line) => (
                <span key={line === 0 ? "first" : "second"} class="chart-value">
                  <span
                    class={`swatch swatch-${line === 1 ? "candidate" : isShare ? "setting" : "baseline"}`}
                    aria-hidden="true"
                  />{" "}
                  {value}
                </span>
              ))}
              {second !== undefined && <span class="hint">{shortClock(second * 1_000)}</span>}
            </figcaption>
            <Plot
              {...looks}
              text={text}
              times={times}
              lines={lines}
              markers={markers}
              onCursor={onCursor}
              label={words.latest(title, values(times.length - 1).join(", "))}
            />
          </figure>
        );
      })}
    </div>
  );
}
