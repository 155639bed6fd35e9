import type { EventBody, RolloutBody } from "../../admin/rollout-body.ts";
import { type Alignment, formatTable } from "../command.ts";
import { cut, printable, wrap } from "../text-block.ts";
import type { AllRollouts } from "./admin-client.ts";

const columns = 80;
const marks = { done: "[x]", current: "[>]", next: "[ ]" } as const;

/**
 * How much of a rollout is shown: everything; all but the explanations of its checks; or, beside its steps, only the
 * verdicts of its checks.
 */
export type StatusDetail = "full" | "without-explanations" | "steps-and-verdicts";

const details: readonly StatusDetail[] = ["full", "without-explanations", "steps-and-verdicts"];

/** The most detailed lines that fit; if none do, the shortest ones without their blank lines, which may be too many. */
export function fittingLines(maxLines: number, linesOf: (detail: StatusDetail) => readonly string[]): string[] {
  let lines: readonly string[] = [];
  for (const detail of details) {
    lines = linesOf(detail);
    if (lines.length <= maxLines) return [...lines];
  }
  return lines.filter((line) => line !== "");
}

/** All rollouts and splits of an answer; of one release if given. */
export function overviewLines(
  { rollouts, splits }: AllRollouts,
  release?: string,
  detail: StatusDetail = "full",
): string[] {
  const isShown = (each: { readonly release: string }) => release === undefined || each.release === release;
  const shown = rollouts.filter(isShown).map((status) => statusLines(status, detail));
  const set = splits.filter(isShown).flatMap(splitLines);
  if (shown.length === 0) shown.push([release === undefined ? "No release has a rollout." : "It has no rollout now."]);
  return [
    ...shown.flatMap((lines, at) => (at === 0 ? lines : ["", ...lines])),
    ...(set.length === 0 ? [] : ["", ...set]),
  ];
}

/** What a rollout shows of itself, at most 80 columns wide. The first line is the heading. */
export function statusLines(status: RolloutBody, detail: StatusDetail = "full"): string[] {
  const { release, id, baseline, candidate, phase, revision, since, sentence, stateProblem } = status;
  const from = `${phase} since ${timeOf(since)}, revision ${revision}`;
  return [
    ...paragraph(`${release} ${id}: ${baseline} to ${candidate}, ${from}`, ""),
    ...paragraph(sentence, "  "),
    ...(stateProblem === null ? [] : paragraph(`State: ${stateProblem}`, "  ")),
    "",
    ...table([["", "step", "held", "needs"], ...status.steps.map(stepRow)]),
    ...(detail === "steps-and-verdicts" ? [] : ["", ...table(versionRows(status), 1)]),
    ...(status.checks.length === 0 ? [] : ["", ...checkLines(status.checks, detail === "full")]),
  ];
}

function stepRow({ state, title, holdMs, heldMs, atLeastUsers }: RolloutBody["steps"][number]): string[] {
  const held = { done: spanOf(heldMs), current: `${spanOf(heldMs)} of ${spanOf(holdMs)}`, next: spanOf(holdMs) }[state];
  const needs = atLeastUsers === 0 ? "" : `${count(atLeastUsers)} users`;
  return [marks[state], printable(title), holdMs === 0 && heldMs === 0 ? "" : held, needs];
}

function versionRows(status: RolloutBody): string[][] {
  const { users, stepUsers, drawn, placed } = status;
  return [
    ["version", "users", "bad", "this step", "answers", "failed", "placed"],
    ...(["baseline", "candidate"] as const).map((side) => [
      printable(status[side]),
      count(users[side].users),
      count(users[side].bad),
      count(stepUsers[side]),
      count(drawn[side].good + drawn[side].failed),
      count(drawn[side].failed),
      count(placed[side].good + placed[side].failed),
    ]),
  ];
}

function checkLines(checks: RolloutBody["checks"], isExplained: boolean): string[] {
  const rows = checks.map(({ name, verdict, evidence, limit }) => {
    return [printable(name), verdict, evidenceOf(evidence, limit)];
  });
  const [heading = "", ...lines] = table([["check", "verdict", "evidence"], ...rows]);
  if (!isExplained) return [heading, ...lines];
  return [heading, ...lines.flatMap((line, at) => [line, ...paragraph(checks[at]?.why ?? "", "      ")])];
}

function evidenceOf(evidence: number | null, limit: number | null): string {
  if (evidence === null) return "";
  return limit === null ? roughly(evidence) : `${roughly(evidence)} of ${roughly(limit)}`;
}

/** Three digits; whole numbers as the sentence below has them. */
const roughly = (value: number): string =>
  value >= 100 && value < 1e9 ? Math.round(value).toLocaleString("en-US") : `${Number(value.toPrecision(3))}`;

function splitLines({ release, split, until, by, why }: AllRollouts["splits"][number]): string[] {
  const weights = Object.entries(split).map(([version, weight]) => `${version} ${weight}`);
  const end = until === null ? "" : ` until ${timeOf(until)}`;
  return paragraph(`${release}: split set to ${weights.join(", ")}${end}, by ${by}${why === "" ? "" : `: ${why}`}`, "");
}

/** One line, however long. */
export function eventLine({ at, release, rollout, type, step, weight, by, why }: EventBody): string {
  const where = [
    rollout ?? "",
    type,
    step === null || step === 0 ? "" : `step ${step}`,
    weight === null ? "" : `${weight} %`,
  ];
  const place = where.filter((part) => part !== "").join(", ");
  return printable(`${timeOf(at)} ${release} ${place}, by ${by}${why === "" ? "" : `: ${why}`}`);
}

/** To the second, in UTC. */
function timeOf(iso: string | null): string {
  return iso === null ? "" : `${iso.slice(0, 10)} ${iso.slice(11, 19)}Z`;
}

/** In the two largest units. */
export function spanOf(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  const units = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3_600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ] as const;
  const first = units.findIndex(([amount]) => amount > 0);
  if (first === -1) return "0s";
  const shown = units.slice(first, first + 2).filter(([amount]) => amount > 0);
  return shown.map(([amount, unit]) => `${amount}${unit}`).join(" ");
}

const count = (number: number): string => number.toLocaleString("en-US");

function paragraph(text: string, indent: string): string[] {
  return text === "" ? [] : wrap(printable(text), indent, columns);
}

function table(rows: readonly (readonly string[])[], leftColumns = Number.POSITIVE_INFINITY): string[] {
  const narrow = rows.map((row) => row.map((cell) => cut(cell, 36)));
  const alignments = (rows[0] ?? []).map((_, at): Alignment => (at < leftColumns ? "left" : "right"));
  return formatTable(narrow, alignments).map((line) => cut(`  ${line}`, columns));
}
