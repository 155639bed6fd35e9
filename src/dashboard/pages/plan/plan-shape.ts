/** What the page reads of `POST /api/plan`. */
export type PlanBody =
  | { readonly valid: false; readonly problems: readonly string[] }
  | { readonly valid: true; readonly warnings: readonly string[]; readonly plan: Plan };

/** What `perch plan --json` prints. Shares are of the simulated units, 0 to 1. */
export interface Plan {
  readonly units: number;
  readonly releases: readonly ReleasePlan[];
  readonly reload: { readonly changes: readonly ReloadChange[]; readonly restartNeeded: readonly string[] };
}

export interface ReleasePlan {
  readonly release: string;
  readonly change: "added" | "removed" | "changed" | "unchanged";
  readonly whenWeightsChange: "follow" | "hold";
  readonly cohorts: readonly CohortPlan[];
  readonly notes: readonly string[];
}

/** Users who are decided the same way: those whom one rule matches, or none. */
export interface CohortPlan {
  readonly rule: string | null;
  readonly services: readonly string[];
  readonly before: Readonly<Record<string, number>>;
  readonly after: Readonly<Record<string, number>>;
  readonly byDraw: Movement;
  readonly pinned: Movement;
}

export interface Movement {
  readonly moved: number;
  readonly moves: readonly { readonly from: string; readonly to: string; readonly share: number }[];
}

export interface ReloadChange {
  readonly kind: "added" | "removed" | "changed";
  readonly what: string;
  readonly name: string;
  readonly detail: string;
}

/** Cohorts worth a table, and the rules whose users do not move: there may be a thousand of those. */
export function cohortsOf({ cohorts }: ReleasePlan): {
  readonly shown: readonly CohortPlan[];
  readonly unmoved: readonly string[];
} {
  const shown = cohorts.filter((cohort) => cohort.rule === null || moves(cohort));
  const unmoved = cohorts.flatMap((cohort) => (cohort.rule === null || moves(cohort) ? [] : [cohort.rule]));
  return { shown, unmoved: [...new Set(unmoved)] };
}

function moves({ byDraw, pinned }: CohortPlan): boolean {
  return byDraw.moved > 0 || pinned.moved > 0;
}

export interface ShareRow {
  readonly version: string;
  readonly before: number;
  readonly after: number;
}

export function sharesOf({ before, after }: CohortPlan): readonly ShareRow[] {
  const versions = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return versions.map((version) => ({ version, before: before[version] ?? 0, after: after[version] ?? 0 }));
}

/** Whether pins make a difference, so that both movements are worth a line. */
export function movesApart({ byDraw, pinned }: CohortPlan, { whenWeightsChange }: ReleasePlan): boolean {
  return whenWeightsChange === "hold" || JSON.stringify(byDraw) !== JSON.stringify(pinned);
}

/**
 * About how many people a share is, in two digits, since it is no more certain. Undefined where nobody has counted them:
 * rollouts count the users whom no rule matches, as far as they came.
 */
export function peopleOf(share: number, { rule }: CohortPlan, knownUsers: number | undefined): number | undefined {
  if (rule !== null || knownUsers === undefined || knownUsers === 0) return undefined;
  const people = share * knownUsers;
  return people < 100 ? Math.round(people) : Number(people.toPrecision(2));
}

/** What the server takes. */
const maxBytes = 1_048_576;

export function isTooLarge(config: string): boolean {
  return config.length > maxBytes || new TextEncoder().encode(config).length > maxBytes;
}
