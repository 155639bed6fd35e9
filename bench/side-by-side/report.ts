/** The figures as tables, as bars, and compared with the goals, relative to nginx. */
import { type BarPanel, barChart } from "../bar-chart.ts";
import { type Goal, goal, goalAtLeast } from "../goal.ts";
import { busyWarning, type Machine, machineLine } from "../machine.ts";
import type { Spread } from "../spread.ts";
import { figure, formatTable } from "../table.ts";
import type { Figures } from "./measurements.ts";
import { base, type Row } from "./row.ts";
import { mainShapeName, type Shape } from "./shapes.ts";

type FigureName = keyof Figures;

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

interface Column {
  readonly name: FigureName;
  readonly title: string;
  readonly digits: number;
}

const fixedColumns: readonly Column[] = [
  { name: "cpuUsPerRequest", title: "CPU µs/request", digits: 1 },
  { name: "p50Ms", title: "p50 ms", digits: 3 },
  { name: "p99Ms", title: "p99 ms", digits: 3 },
  { name: "p999Ms", title: "p99.9 ms", digits: 3 },
];

const saturatedColumns: readonly Column[] = [
  { name: "saturatedCpuUsPerRequest", title: "CPU µs/request", digits: 1 },
  { name: "requestsPerSecond", title: "requests/s", digits: 0 },
  { name: "cpuUsPerMiB", title: "CPU µs/MiB", digits: 0 },
];

const idleColumns: readonly Column[] = [{ name: "idleConnectionKiB", title: "KiB/connection", digits: 2 }];

/** Figures that are not compared with the base's. */
const asideColumns = {
  peakMiB: { title: "peak MiB", text: (spread: Spread | undefined) => figure(spread?.max, 0) },
  garbageBytes: { title: "garbage B", text: (spread: Spread | undefined) => figure(spread?.median, 0) },
  workerEvenness: { title: "least/most worker", text: percent },
  loadDelayP99Ms: { title: "load late p99 ms", text: (spread: Spread | undefined) => figure(spread?.median, 3) },
  othersBusy: { title: "others", text: percent },
  proxyCoreBusy: { title: "proxy core", text: percent },
  loadCoreBusy: { title: "load core", text: percent },
} as const;

type Aside = keyof typeof asideColumns;

export function sideBySideTables(shapes: readonly Shape[], rows: readonly Row[], rounds: number): string {
  const intro = `Medians of ${rounds} ${rounds === 1 ? "round" : "rounds"} (least to most); × is the median of each round's multiple of ${base}'s`;
  return [intro, ...shapes.flatMap((shape) => shapeTables(shape, rows))].join("\n");
}

function shapeTables({ name, title, measures }: Shape, all: readonly Row[]): readonly string[] {
  const own = all.filter(({ shape }) => shape === name);
  const rows = own.filter((row) => row.void.length > 0 || Object.keys(row.figures).length > 0);
  const lines: string[] = [];
  if (measures.includes("fixed")) {
    const rate = figure(rows.find((row) => row.fixedRequestsPerSecond)?.fixedRequestsPerSecond, 0);
    lines.push(
      "",
      `${name}: ${title}, at ${rate} requests/s`,
      table(rows, fixedColumns, ["garbageBytes", "peakMiB", "loadDelayP99Ms", "othersBusy"]),
    );
  }
  if (measures.includes("saturated")) {
    const asides: readonly Aside[] = ["workerEvenness", "proxyCoreBusy", "loadCoreBusy"];
    lines.push("", `${name}: ${title}, saturated`, table(rows, saturatedColumns, asides));
  }
  if (measures.includes("idle")) lines.push("", `${name}: ${title}`, table(rows, idleColumns, []));
  for (const row of own) {
    if (row.void.length > 0) lines.push(`${row.proxy} is void: ${row.void.join("; ")}`);
    for (const note of row.notes) lines.push(`${row.proxy}: ${note}`);
  }
  return lines;
}

/** Columns without a figure in any row are left out. */
function table(rows: readonly Row[], columns: readonly Column[], asides: readonly Aside[]): string {
  const isMeasured = (name: FigureName) => rows.some((row) => row.figures[name] !== undefined);
  const shown = columns.filter(({ name }) => isMeasured(name));
  const beside = asides.filter(isMeasured);
  const header = [
    "",
    ...shown.flatMap(({ title }) => [title, "", "×"]),
    ...beside.map((name) => asideColumns[name].title),
  ];
  const cells = rows.map((row) => [
    row.proxy,
    ...shown.flatMap(({ name, digits }) => [
      row.void.length > 0 ? "void" : figure(row.figures[name]?.median, digits),
      range(row.figures[name], digits),
      figure(row.ratios[name]?.median, 2),
    ]),
    ...beside.map((name) => asideColumns[name].text(row.figures[name])),
  ]);
  return formatTable(header, cells);
}

function range(spread: Spread | undefined, digits: number): string {
  return spread === undefined ? "" : `${figure(spread.min, digits)}–${figure(spread.max, digits)}`;
}

function percent(spread: Spread | undefined): string {
  return spread === undefined ? figure(undefined, 0) : `${figure(spread.median * 100, 0)} %`;
}

/** Of one build of Perch. */
export function sideBySideGoals(rows: readonly Row[], ours: string): readonly Goal[] {
  const rowOf = (shape: string, proxy: string) => rows.find((row) => row.shape === shape && row.proxy === proxy);
  const own = (shape: string, name: FigureName) => rowOf(shape, ours)?.figures[name];
  const toBase = (shape: string, name: FigureName) => rowOf(shape, ours)?.ratios[name]?.median;
  const ratio = (value: Spread | undefined, to: Spread | undefined) => value && to && value.median / to.median;
  const cpu = (what: string, shape: string, atMost: number) =>
    goal(`CPU of a request${what}, to that of ${base}`, "×", atMost, toBase(shape, "cpuUsPerRequest"));
  const throughput = (what: string, shape: string) =>
    goalAtLeast(`throughput at ${what}, to that of ${base}`, "×", 1, toBase(shape, "requestsPerSecond"));
  const haproxy = rowOf(mainShapeName, "haproxy")?.figures.cpuUsPerRequest;
  // Requests per second of a core's time; where cores are to spare, this is the throughput.
  const one = own("workers-1", "saturatedCpuUsPerRequest");
  const two = ratio(one, own("workers-2", "saturatedCpuUsPerRequest"));
  const routes = ratio(own("routes-10000", "cpuUsPerRequest"), own("routes-1", "cpuUsPerRequest"));
  return [
    cpu("", mainShapeName, 1.05),
    goal("CPU of a request, to that of haproxy", "×", 1, ratio(own(mainShapeName, "cpuUsPerRequest"), haproxy)),
    cpu(" with one user in 20 new", "new-users", 1.1),
    cpu(" with the access log", "access-log", 1.25),
    cpu(" over TLS", "tls", 1.15),
    throughput("64 KiB", "64KiB"),
    throughput("10 MiB", "10MiB"),
    cpu(" that uploads 64 KiB", "upload-64KiB", 1.2),
    goal(`CPU of a MiB uploaded of 10, to that of ${base}`, "×", 1.2, toBase("upload-10MiB", "cpuUsPerMiB")),
    cpu(" on 1,000 connections", "connections-1000", 1.1),
    cpu(" with 5,000 in flight", "in-flight-5000", 1.3),
    goal(`p99 at a fixed rate, to that of ${base}`, "×", 1.2, toBase(mainShapeName, "p99Ms")),
    goal("garbage of a request", "B", 500, own(mainShapeName, "garbageBytes")?.median),
    goal("memory of an idle connection", "KiB", 5, own("idle", "idleConnectionKiB")?.median),
    goal("peak memory", "MiB", 110, own(mainShapeName, "peakMiB")?.max),
    goalAtLeast("requests of two workers in the same CPU time each, to those of one", "×", 1.8, two && 2 * two),
    goal("CPU of a request with 10,000 routes, to that with 1", "×", 1.15, routes),
  ].filter(({ what, measured }) => measured !== undefined || !what.includes("routes"));
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
    if (shape.measures.includes("idle")) return [panelOf(`${shape.title}, KiB`, own, "idleConnectionKiB", 1)];
    const rate = figure(own.find((row) => row.fixedRequestsPerSecond)?.fixedRequestsPerSecond, 0);
    const cpu = shape.measures.includes("fixed")
      ? panel(`CPU µs a request at ${rate} requests/s`, "cpuUsPerRequest", 1)
      : panel("CPU µs a request, saturated", "saturatedCpuUsPerRequest", 1);
    if (shape.name !== mainShapeName) return [cpu];
    return [cpu, panel("requests/s, saturated", "requestsPerSecond", 0), panel(`p99 ms at ${rate}/s`, "p99Ms", 2)];
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
      const multiple = row.ratios[name]?.median;
      const remark = multiple === undefined ? "" : ` (${figure(multiple, 2)}×)`;
      return { label: row.proxy, value: spread?.median, spread, remark, highlighted: row.isPerch };
    });
  return { title, digits, bars };
}
