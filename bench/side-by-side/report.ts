/** The figures as tables, as bars, and compared with the goals, relative to nginx. */
import { type BarPanel, barChart } from "../bar-chart.ts";
import { type Goal, goal, goalAtLeast } from "../goal.ts";
import { busyWarning, type Machine, machineLine } from "../machine.ts";
import { isPerch, type ProxyName } from "../proxies.ts";
import type { Spread } from "../spread.ts";
import { figure, formatTable } from "../table.ts";
import type { Figures } from "./measurements.ts";
import type { Row } from "./run-side-by-side.ts";
import { mainShapeName, type Shape } from "./shapes.ts";

type FigureName = keyof Figures;

const base: ProxyName = "nginx";
const ours: ProxyName = "perch-fast";

/** Notes on the rows. */
export function caveatsOf(machine: Machine): readonly string[] {
  const warning = busyWarning(machine);
  return warning === undefined ? caveats : [warning, ...caveats];
}

const caveats: readonly string[] = [
  "nginx, HAProxy and Caddy verify no signature and keep no histograms per version; their rule tests the region only.",
  "Perch verifies signed pins (remembering those it has seen), tests typed attributes, takes the pin out of what goes",
  "upstream, and counts and times every request; the Node proxies verify a signature anew each time and count too.",
  "Over TLS all show the same certificate (ECDSA P-256); each has its own list of ciphers, and connections are kept.",
];

const columns: readonly { readonly name: FigureName; readonly title: string; readonly digits: number }[] = [
  { name: "cpuUsPerRequest", title: "CPU µs/request", digits: 1 },
  { name: "requestsPerSecond", title: "requests/s", digits: 0 },
  { name: "peakMiB", title: "peak MiB", digits: 0 },
];

const latencyColumns: typeof columns = [
  { name: "p50Ms", title: "p50 ms", digits: 3 },
  { name: "p99Ms", title: "p99 ms", digits: 3 },
  { name: "p999Ms", title: "p99.9 ms", digits: 3 },
];

const idleColumns: typeof columns = [{ name: "idleConnectionKiB", title: "KiB/connection", digits: 2 }];

/** The reliability of the results. */
const asideColumns = {
  proxyCoreBusy: { title: "proxy core", text: percent },
  loadCoreBusy: { title: "load core", text: percent },
  loadDelayP99Ms: { title: "load late p99 ms", text: (value: number | undefined) => figure(value, 3) },
} as const;

export function sideBySideTables(shapes: readonly Shape[], rows: readonly Row[], rounds: number): string {
  const intro = `Medians of ${rounds} ${rounds === 1 ? "round" : "rounds"} (least to most), and as multiples of ${base}'s`;
  return [intro, ...shapes.flatMap((shape) => shapeTables(shape, rows))].join("\n");
}

function shapeTables({ name, title, measures }: Shape, all: readonly Row[]): readonly string[] {
  const own = all.filter(({ shape }) => shape === name);
  const rows = own.filter((row) => row.void.length > 0 || Object.keys(row.figures).length > 0);
  const lines = ["", title];
  if (measures === "idle memory") lines.push(table(rows, idleColumns, []));
  else lines.push(table(rows, columns, ["proxyCoreBusy", "loadCoreBusy"]));
  if (measures === "throughput and latency") {
    const rate = rows.find((row) => row.fixedRequestsPerSecond !== undefined)?.fixedRequestsPerSecond;
    lines.push(
      "",
      `${title}: latency at ${figure(rate, 0)} requests/s`,
      table(rows, latencyColumns, ["loadDelayP99Ms"]),
    );
  }
  for (const row of own) {
    if (row.void.length > 0) lines.push(`${row.proxy} is void: ${row.void.join("; ")}`);
    for (const note of row.notes) lines.push(`${row.proxy}: ${note}`);
  }
  return lines;
}

function table(rows: readonly Row[], shown: typeof columns, asides: readonly (keyof typeof asideColumns)[]): string {
  const header = [
    "",
    ...shown.flatMap(({ title }) => [title, "", "×"]),
    ...asides.map((name) => asideColumns[name].title),
  ];
  const cells = rows.map((row) => [
    row.proxy,
    ...shown.flatMap(({ name, digits }) => [
      row.void.length > 0 ? "void" : figure(row.figures[name]?.median, digits),
      range(row.figures[name], digits),
      figure(ratioToBase(row, name, rows), 2),
    ]),
    ...asides.map((name) => asideColumns[name].text(row.figures[name]?.median)),
  ]);
  return formatTable(header, cells);
}

function range(spread: Spread | undefined, digits: number): string {
  return spread === undefined ? "" : `${figure(spread.min, digits)}–${figure(spread.max, digits)}`;
}

function percent(share: number | undefined): string {
  return share === undefined ? figure(undefined, 0) : `${figure(share * 100, 0)} %`;
}

function ratioToBase(row: Row, name: FigureName, rows: readonly Row[]): number | undefined {
  const baseRow = rows.find(({ shape, proxy }) => shape === row.shape && proxy === base);
  return ratio(row.figures[name], baseRow?.figures[name]);
}

function ratio(value: Spread | undefined, to: Spread | undefined): number | undefined {
  return value === undefined || to === undefined || to.median === 0 ? undefined : value.median / to.median;
}

/** Rows with each median as a multiple of nginx's, where nginx has that row. */
export function addRatios(rows: readonly Row[]): readonly object[] {
  return rows.map((row) => {
    const names = Object.keys(row.figures) as FigureName[];
    const ratios = names.map((name) => [name, ratioToBase(row, name, rows)]);
    return { ...row, [`to-${base}`]: Object.fromEntries(ratios) };
  });
}

export function sideBySideGoals(rows: readonly Row[]): readonly Goal[] {
  const of = (shape: string, proxy: ProxyName, name: FigureName) =>
    rows.find((row) => row.shape === shape && row.proxy === proxy)?.figures[name];
  const toBase = (shape: string, name: FigureName) => ratio(of(shape, ours, name), of(shape, base, name));
  const routes = ratio(of("routes-10000", ours, "cpuUsPerRequest"), of("routes-1", ours, "cpuUsPerRequest"));
  const idle = of("idle", ours, "idleConnectionKiB")?.median;
  return [
    goal(`CPU of a request, to that of ${base}`, "×", 1.4, toBase(mainShapeName, "cpuUsPerRequest")),
    goalAtLeast(`throughput at 64 KiB, to that of ${base}`, "×", 0.8, toBase("64KiB", "requestsPerSecond")),
    goalAtLeast(`throughput at 10 MiB, to that of ${base}`, "×", 0.8, toBase("10MiB", "requestsPerSecond")),
    goal(`p99 at a fixed rate, to that of ${base}`, "×", 1.5, toBase(mainShapeName, "p99Ms")),
    goal("CPU of a request with 10,000 routes, to that with 1", "×", 1.15, routes),
    goal("memory of an idle connection", "KiB", 8, idle),
  ];
}

export function sideBySideChart(
  shapes: readonly Shape[],
  rows: readonly Row[],
  machine: Machine,
  subtitle: string,
): string {
  const panels = shapes.flatMap((shape) => {
    const own = rows.filter((row) => row.shape === shape.name);
    const panel = (title: string, name: FigureName, digits: number) =>
      panelOf(`${shape.title}: ${title}`, own, name, digits);
    if (shape.measures === "idle memory") return [panelOf(`${shape.title}, KiB`, own, "idleConnectionKiB", 1)];
    const cpu = panel("CPU µs a request", "cpuUsPerRequest", 1);
    if (shape.name !== mainShapeName) return [cpu];
    const rate = figure(own.find((row) => row.fixedRequestsPerSecond)?.fixedRequestsPerSecond, 0);
    return [cpu, panel("requests/s", "requestsPerSecond", 0), panel(`p99 ms at ${rate} requests/s`, "p99Ms", 2)];
  });
  return barChart({
    title: "The same canary work, one proxy on one core, side by side",
    subtitle: [
      ...subtitle.split("; "),
      machineLine(machine),
      `Medians; the line is from the least to the most of all rounds. In brackets: as a multiple of ${base}'s.`,
      "Less is better, but for requests/s.",
      ...caveatsOf(machine),
    ],
    panels: panels.filter(({ bars }) => bars.length > 0),
  });
}

function panelOf(title: string, rows: readonly Row[], name: FigureName, digits: number): BarPanel {
  const bars = rows
    .filter((row) => row.figures[name] !== undefined)
    .map((row) => {
      const spread = row.figures[name];
      const multiple = ratioToBase(row, name, rows);
      const remark = multiple === undefined ? "" : ` (${figure(multiple, 2)}×)`;
      return { label: row.proxy, value: spread?.median, spread, remark, highlighted: isPerch(row.proxy) };
    });
  return { title, digits, bars };
}
