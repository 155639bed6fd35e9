/** A small SVG writer: panels of horizontal bars, legible on light and dark pages. */
import type { Spread } from "./spread.ts";
import { figure } from "./table.ts";

export interface Bar {
  readonly label: string;
  /** Undefined is drawn as "not measured". */
  readonly value: number | undefined;
  /** Drawn as a line from minimum to maximum. */
  readonly spread?: Spread | undefined;
  /** Text behind the value. */
  readonly remark?: string;
  readonly highlighted: boolean;
}

export interface BarPanel {
  readonly title: string;
  /** Decimal places of the values. */
  readonly digits: number;
  readonly bars: readonly Bar[];
}

export interface BarChart {
  readonly title: string;
  readonly subtitle: readonly string[];
  readonly panels: readonly BarPanel[];
}

const width = 760;
const margin = 24;
const labelWidth = 150;
const valueWidth = 130;
const barHeight = 18;
const barGap = 6;
const panelGap = 30;
const lineHeight = 18;

/** Transparent background; colours follow the reader's colour scheme. */
const style = `
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
  .title { font-size: 17px; font-weight: 600; }
  .panel { font-weight: 600; }
  .note { font-size: 11.5px; fill: #59636e; }
  .ours { fill: #0a7d5a; }
  .theirs { fill: #8b949e; }
  .spread { stroke: #1f2328; stroke-width: 1.5; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .note { fill: #9198a1; }
    .ours { fill: #3fb950; }
    .theirs { fill: #6e7681; }
    .spread { stroke: #e6edf3; }
  }`;

export function barChart({ title, subtitle, panels }: BarChart): string {
  const shapes = [text("title", margin, margin + 14, title)];
  let y = margin + 14;
  for (const line of subtitle) {
    y += lineHeight;
    shapes.push(text("note", margin, y, line));
  }
  for (const panel of panels) {
    y += panelGap;
    shapes.push(text("panel", margin, y, panel.title));
    y += 10;
    shapes.push(...drawBars(panel, y));
    y += panel.bars.length * (barHeight + barGap);
  }
  const height = y + margin;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeXml(title)}">`,
    `<style>${style}\n</style>`,
    ...shapes,
    "</svg>\n",
  ].join("\n");
}

function drawBars({ bars, digits }: BarPanel, top: number): string[] {
  const longest = Math.max(...bars.map(({ value, spread }) => Math.max(value ?? 0, spread?.max ?? 0)));
  const room = width - 2 * margin - labelWidth - valueWidth;
  return bars.flatMap(({ label, value, spread, remark, highlighted }, index) => {
    const y = top + index * (barHeight + barGap);
    const baseline = y + barHeight - 5;
    const lengthOf = (amount: number) => (longest === 0 ? 0 : (amount / longest) * room);
    const left = margin + labelWidth;
    const shown = value === undefined ? "not measured" : `${figure(value, digits)}${remark ?? ""}`;
    return [
      text("", margin, baseline, label),
      `<rect class="${highlighted ? "ours" : "theirs"}" x="${left}" y="${y}" width="${lengthOf(value ?? 0).toFixed(1)}" height="${barHeight}" rx="2"/>`,
      ...(spread === undefined
        ? []
        : [line(left + lengthOf(spread.min), left + lengthOf(spread.max), y + barHeight / 2)]),
      text("", left + lengthOf(Math.max(value ?? 0, spread?.max ?? 0)) + 8, baseline, shown),
    ];
  });
}

function line(from: number, to: number, y: number): string {
  return `<line class="spread" x1="${from.toFixed(1)}" x2="${to.toFixed(1)}" y1="${y}" y2="${y}"/>`;
}

function text(className: string, x: number, y: number, content: string): string {
  const attribute = className === "" ? "" : ` class="${className}"`;
  return `<text${attribute} x="${x.toFixed(1)}" y="${y}">${escapeXml(content)}</text>`;
}

const xmlEscapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

function escapeXml(content: string): string {
  return content.replace(/[&<>"]/g, (character) => xmlEscapes[character] ?? character);
}
