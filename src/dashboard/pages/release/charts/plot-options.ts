import uPlot from "uplot";
import { locale } from "../../../words/language.ts";
import { lonelyPoints } from "./lonely-points.ts";
import type { Marker } from "./markers.ts";

export interface PlotLooks {
  /** A setting that holds between its points is drawn in steps, and over them; other lines have gaps. */
  readonly firstIs: "measured" | "setting";
  /** The scale's end reaches this at least. */
  readonly leastTop: number;
  readonly text: (value: number) => string;
}

interface PlotParts {
  readonly width: number;
  readonly markers: () => readonly Marker[];
  readonly onCursor: (index: number | undefined) => void;
}

const height = 150;
const axisWidth = 56;
/** Charts with the same key move their cursors together. */
const syncKey = "release";

/** A colour of the page as it is now; the canvas knows no variables. */
const colour = (name: string) => () => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** A line with gaps, and dots where a point stands between two of them. */
function measured(name: "baseline" | "candidate"): uPlot.Series {
  const filter = (plot: uPlot, line: number) => lonelyPoints([...(plot.data[line] ?? [])]);
  return {
    stroke: colour(name),
    width: 1.5,
    points: { show: false, filter, size: 4, stroke: colour(name), fill: colour(name) },
  };
}

/** With seconds where the marks of the axis are closer than minutes. */
function timeOf(second: number, stepSeconds: number): string {
  const seconds = stepSeconds < 60 ? ({ second: "2-digit" } as const) : {};
  const options = { hour: "2-digit", minute: "2-digit", ...seconds, hourCycle: "h23" } as const;
  return new Date(second * 1_000).toLocaleTimeString(locale.value, options);
}

/** A little smaller than the page's text, which grows on very wide screens. */
function fontOf(ratio: number): string {
  const pagePx = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
  return `${Math.round(0.8 * pagePx) * ratio}px system-ui, sans-serif`;
}

export function plotOptions(
  { firstIs, leastTop, text }: PlotLooks,
  parts: PlotParts,
): uPlot.Options & { height: number } {
  const axis = {
    stroke: colour("muted"),
    font: fontOf(1),
    grid: { stroke: colour("line"), width: 1 },
    ticks: { show: false },
  } satisfies uPlot.Axis;
  const stepped = uPlot.paths.stepped?.({ align: 1 });
  const isSetting = firstIs === "setting";
  return {
    width: parts.width,
    height,
    legend: { show: false },
    padding: [14, 8, 0, 0],
    cursor: { drag: { x: false, y: false, setScale: false }, sync: { key: syncKey }, y: false, points: { size: 6 } },
    scales: {
      y: { range: (_plot, _low, high) => [0, uPlot.rangeNum(0, Math.max(high ?? 0, leastTop), 0.1, true)[1] ?? 1] },
    },
    axes: [
      {
        ...axis,
        space: 64,
        size: 28,
        incrs: [10, 20, 30, 60, 300, 600, 900, 1_800],
        values: (_plot, splits, _axis, _space, step) => splits.map((second) => timeOf(second, step)),
      },
      { ...axis, space: 30, size: axisWidth, values: (_plot, splits) => splits.map(text) },
    ],
    series: [
      {},
      isSetting
        ? {
            stroke: colour("line-strong"),
            width: 2,
            spanGaps: true,
            points: { show: false },
            ...(stepped && { paths: stepped }),
          }
        : measured("baseline"),
      { ...measured("candidate"), dash: [5, 3] },
    ],
    hooks: {
      draw: [(plot) => drawMarkers(plot, parts.markers())],
      setCursor: [(plot) => parts.onCursor(plot.cursor.idx ?? undefined)],
    },
  };
}

/** A line over the whole height with the letter on top. */
function drawMarkers({ ctx, bbox, scales, valToPos }: uPlot, markers: readonly Marker[]): void {
  const { min, max } = scales["x"] ?? {};
  if (min == null || max == null) return;
  const ratio = uPlot.pxRatio;
  ctx.save();
  ctx.font = `600 ${fontOf(ratio)}`;
  ctx.textAlign = "center";
  ctx.lineWidth = ratio;
  ctx.setLineDash([2 * ratio, 2 * ratio]);
  for (const { atMs, letter, isBad } of markers) {
    const second = atMs / 1_000;
    if (second < min || second > max) continue;
    const x = Math.round(valToPos(second, "x", true));
    ctx.strokeStyle = colour(isBad ? "bad" : "muted")();
    ctx.fillStyle = ctx.strokeStyle;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.fillText(letter, x, bbox.top - 3 * ratio);
  }
  ctx.restore();
}
