/** The end-to-end figures as a table, as bars, and compared with the goals. */
import { type BarPanel, barChart } from "./bar-chart.ts";
import type { Measurement, ProxyResult } from "./end-to-end.ts";
import { type Goal, goal } from "./goal.ts";
import { type Machine, machineLine } from "./machine.ts";
import { isPerch } from "./proxies.ts";
import { figure, formatTable } from "./table.ts";

const cpuRatioAtMost = 0.8;
const residentMiBAtMost = 130;

/** The Node peer with the least CPU time per request, among those with a valid row. */
function betterPeer(results: readonly ProxyResult[]): ProxyResult | undefined {
  const cpuOf = ({ median }: ProxyResult) => median?.cpuUsPerRequest ?? Number.POSITIVE_INFINITY;
  return results
    .filter(({ name, median }) => !isPerch(name) && median?.cpuUsPerRequest !== undefined)
    .toSorted((left, right) => cpuOf(left) - cpuOf(right))[0];
}

export function endToEndTable(results: readonly ProxyResult[]): string {
  const peer = betterPeer(results);
  const rows = results.map((result) => [result.name, ...cells(result, peer?.median)]);
  const header = [
    "",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "CPU µs/request",
    "of peer",
    "peak MiB",
    "proxy core",
    "load core",
  ];
  const voids = results.filter((result) => result.void.length > 0);
  return [
    formatTable(header, rows),
    ...(peer === undefined ? [] : [`"of peer": CPU of a request, ${peer.name} being 1.`]),
    ...voids.map((result) => `${result.name} is void: ${result.void.join("; ")}`),
  ].join("\n");
}

function cells({ median }: ProxyResult, peer: Measurement | undefined): string[] {
  if (median === undefined) return ["void"];
  return [
    figure(median.requestsPerSecond, 0),
    figure(median.p50Ms, 1),
    figure(median.p99Ms, 1),
    figure(median.cpuUsPerRequest, 1),
    figure(ratio(median.cpuUsPerRequest, peer?.cpuUsPerRequest), 2),
    figure(median.peakResidentMiB, 0),
    percent(median.proxyBusy),
    percent(median.loadCoreBusy),
  ];
}

function percent(share: number | undefined): string {
  return share === undefined ? figure(undefined, 0) : `${figure(share * 100, 0)} %`;
}

function ratio(value: number | undefined, base: number | undefined): number | undefined {
  return value === undefined || base === undefined ? undefined : value / base;
}

/** Perch is compared with everything on, including the access log. */
export function endToEndGoals(results: readonly ProxyResult[]): readonly Goal[] {
  const perch = results.find(({ name }) => name === "perch")?.median;
  const peer = betterPeer(results);
  const cpu = ratio(perch?.cpuUsPerRequest, peer?.median?.cpuUsPerRequest);
  return [
    goal(`CPU of a request, to that of ${peer?.name ?? "the better Node peer"}`, "×", cpuRatioAtMost, cpu),
    goal("memory resident at the peak", "MiB", residentMiBAtMost, perch?.peakResidentMiB),
  ];
}

export function endToEndChart(results: readonly ProxyResult[], machine: Machine, subtitle: string): string {
  const panel = (title: string, digits: number, pick: (median: Measurement) => number | undefined): BarPanel => ({
    title,
    digits,
    bars: results.map(({ name, median }) => ({
      label: name,
      value: median === undefined ? undefined : pick(median),
      highlighted: isPerch(name),
    })),
  });
  return barChart({
    title: "The same canary work, one proxy process on one core",
    subtitle: [subtitle, machineLine(machine)],
    panels: [
      panel("CPU µs a request (less is better)", 1, (median) => median.cpuUsPerRequest),
      panel("requests/s (more is better)", 0, (median) => median.requestsPerSecond),
      panel("p99 ms (less is better)", 1, (median) => median.p99Ms),
      panel("peak memory, MiB (less is better)", 0, (median) => median.peakResidentMiB),
    ],
  });
}
