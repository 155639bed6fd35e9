import type { Plan } from "../../plan/plan.ts";
import type { CohortPlan, ReleasePlan } from "../../plan/release-plan.ts";
import type { ReloadPlan } from "../../plan/reload-plan.ts";
import type { Movement } from "../../plan/simulate.ts";
import { formatTable } from "../command.ts";

/** The plan as text for a terminal. */
export function describePlan(plan: Plan): string {
  const lines = [`${plan.old} → ${plan.new}, ${plan.units} simulated units per release`];
  for (const release of plan.releases) lines.push("", ...describeRelease(release));
  return `${[...lines, "", ...describeReload(plan.reload)].join("\n")}\n`;
}

function describeRelease(plan: ReleasePlan): string[] {
  const head = `release ${plan.release}: ${plan.change}, ${plan.whenWeightsChange}`;
  const notes = plan.notes.map((note) => `  ${note}`);
  // Rules without any movement share one line at the end; there may be many.
  const shown = plan.cohorts.filter((cohort) => cohort.rule === null || moves(cohort));
  const unmoved = plan.cohorts.flatMap((cohort) => (cohort.rule === null || moves(cohort) ? [] : [cohort.rule]));
  const rest = unmoved.length === 0 ? [] : [`  users who match ${[...new Set(unmoved)].join(", ")} do not move`];
  return [head, ...notes, ...shown.flatMap((cohort) => describeCohort(cohort, plan)), ...rest];
}

function moves({ byDraw, pinned }: CohortPlan): boolean {
  return byDraw.moved > 0 || pinned.moved > 0;
}

function describeCohort(cohort: CohortPlan, plan: ReleasePlan): string[] {
  const services = cohort.services.length === 0 ? "" : `, service ${cohort.services.join(", ")}`;
  const who = cohort.rule === null ? "users whom no rule matches" : `users who match rule ${cohort.rule}`;
  const versions = [...new Set([...Object.keys(cohort.before), ...Object.keys(cohort.after)])].sort();
  const shares = versions.map((name) => [
    `    ${name}`,
    percent(cohort.before[name] ?? 0),
    "→",
    percent(cohort.after[name] ?? 0),
  ]);
  return [
    `  ${who}${services}:`,
    ...formatTable(shares, ["left", "right", "left", "right"]),
    ...describeMoves(cohort, plan),
  ];
}

/** One line for both movements if pins make no difference: under `follow`, unless pins are lost. */
function describeMoves({ byDraw, pinned }: CohortPlan, { whenWeightsChange, change }: ReleasePlan): string[] {
  if (change === "unchanged") return [];
  const isHold = whenWeightsChange === "hold";
  if (!isHold && sameMovement(byDraw, pinned)) return [`    moved: ${describeMovement(byDraw)}`];
  const stay = isHold && pinned.moved === 0 ? "; they stay until the pin expires or its version has weight 0" : "";
  return [
    `    by the draw alone: ${describeMovement(byDraw)}`,
    `    users with a pin, at their next request: ${describeMovement(pinned)}${stay}`,
  ];
}

function sameMovement(one: Movement, other: Movement): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function describeMovement({ moved, moves }: Movement): string {
  if (moved === 0) return "none";
  const each = moves.map(({ from, to, share }) => `${percent(share)} ${from} → ${to}`).join(", ");
  return moves.length === 1 ? each : `${percent(moved)}: ${each}`;
}

function describeReload({ changes, restartNeeded }: ReloadPlan): string[] {
  const rows = changes.map(({ kind, what, name, detail }) => [`  ${marks[kind]} ${what}`, name, detail]);
  const reload = rows.length === 0 ? ["a reload changes nothing else"] : ["a reload changes", ...formatTable(rows)];
  if (restartNeeded.length === 0) return reload;
  return [...reload, "a restart is needed for", ...restartNeeded.map((text) => `  ~ ${text}`)];
}

const marks = { added: "+", removed: "-", changed: "~" } as const;

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}
