import type { CompiledConfig, MirrorSpec } from "../../config/compiled-config.ts";
import type { Condition } from "../../decide/condition.ts";
import type { ReleaseSpec } from "../../decide/release-spec.ts";
import { mirrorNotes, releaseNotes } from "./release-notes.ts";
import { pinsCarryOver, type Simulation, simulate } from "./simulate.ts";

/** What a change of configuration does to the users of one release. */
export interface ReleasePlan {
  readonly release: string;
  readonly change: "added" | "removed" | "changed" | "unchanged";
  /** Of the new configuration, where it has the release. */
  readonly whenWeightsChange: "follow" | "hold";
  readonly cohorts: readonly CohortPlan[];
  /** What else changes for its users, in sentences. */
  readonly notes: readonly string[];
}

/** Requests that are decided alike: those that meet the tests of one rule, or of none. */
export interface CohortPlan extends Simulation {
  /** The rule whose tests the requests meet; null: of no rule. */
  readonly rule: string | null;
  /** The services whose default counts, where the default counts and differs among them. */
  readonly services: readonly string[];
}

/** The default versions of some services, before and after. */
interface Defaults {
  readonly services: readonly string[];
  readonly before: string;
  readonly after: string;
}

/** One plan for each release of either configuration: those of the new one in its order, then what is removed. */
export function planReleases(old: CompiledConfig, next: CompiledConfig, units: number): ReleasePlan[] {
  const before = new Map(old.releases.map((spec) => [spec.name, spec]));
  const after = new Map(next.releases.map((spec) => [spec.name, spec]));
  return [...new Set([...after.keys(), ...before.keys()])].map((name) => {
    return planRelease(name, before.get(name), after.get(name), old, next, units);
  });
}

function planRelease(
  name: string,
  before: ReleaseSpec | undefined,
  after: ReleaseSpec | undefined,
  old: CompiledConfig,
  next: CompiledConfig,
  units: number,
): ReleasePlan {
  // A release that is not there leaves its users to the services' defaults.
  const was = before ?? (after && defaultOnly(after));
  const will = after ?? (before && defaultOnly(before));
  if (was === undefined || will === undefined) throw new TypeError(`No configuration has release ${name}.`);
  const defaults = defaultsFor(name, was, will, old, next);
  const cohorts = defaults.flatMap((one) => planCohorts(was, will, one, units));
  const notes = notesOn(before, after, mirrorNotes(mirrorOf(old, name), mirrorOf(next, name)));
  return {
    release: name,
    change: changeOf(before, after, cohorts, notes),
    whenWeightsChange: will.sticky.whenWeightsChange,
    cohorts,
    notes,
  };
}

function mirrorOf({ mirrors }: CompiledConfig, release: string): MirrorSpec | undefined {
  return mirrors.find((mirror) => mirror.release === release);
}

function notesOn(
  before: ReleaseSpec | undefined,
  after: ReleaseSpec | undefined,
  ofMirror: readonly string[],
): string[] {
  if (before === undefined) return ["the release is new: until now the default of its services answered", ...ofMirror];
  if (after === undefined) return ["the release goes: from now on the default of its services answers", ...ofMirror];
  return [...releaseNotes(before, after), ...ofMirror];
}

function changeOf(
  before: ReleaseSpec | undefined,
  after: ReleaseSpec | undefined,
  cohorts: readonly CohortPlan[],
  notes: readonly string[],
): ReleasePlan["change"] {
  if (before === undefined) return "added";
  if (after === undefined) return "removed";
  const moves = cohorts.some(({ byDraw, pinned }) => byDraw.moved > 0 || pinned.moved > 0);
  return moves || notes.length > 0 ? "changed" : "unchanged";
}

/** Where both decide by weights the default never answers, and all services are alike. None: there is nobody to move. */
function defaultsFor(
  release: string,
  was: ReleaseSpec,
  will: ReleaseSpec,
  old: CompiledConfig,
  next: CompiledConfig,
): Defaults[] {
  const services = [...new Set([...pairedServices(old, release), ...pairedServices(next, release)])];
  const found = new Map<string, Defaults>();
  for (const service of services) {
    const before = defaultVersion(old, service);
    const after = defaultVersion(next, service);
    // A service that comes or goes has nobody who could move.
    if (before === undefined || after === undefined) continue;
    const key = `${before} ${after}`;
    found.set(key, { services: [...(found.get(key)?.services ?? []), service], before, after });
  }
  const all = [...found.values()];
  const [first] = all;
  if (was.split !== undefined && will.split !== undefined) return [{ services: [], before: "", after: "" }];
  return first !== undefined && all.length === 1 ? [{ ...first, services: [] }] : all;
}

function pairedServices({ routes }: CompiledConfig, release: string): string[] {
  return routes.flatMap((route) => (route.release === release && route.service !== undefined ? [route.service] : []));
}

function defaultVersion({ services }: CompiledConfig, name: string): string | undefined {
  return services.find((service) => service.name === name)?.defaultVersion;
}

function planCohorts(was: ReleaseSpec, will: ReleaseSpec, defaults: Defaults, units: number): CohortPlan[] {
  const pinsLast = pinsCarryOver(was, will);
  const simulated = new Map<string, Simulation>();
  const plan = (rule: string | undefined): CohortPlan => {
    const before = cohortOf(was, rule);
    const after = cohortOf(will, rule);
    // A thousand rules that all use the canary are one simulation.
    const key = `${whatDecides(before)} ${whatDecides(after)}`;
    const simulation =
      simulated.get(key) ??
      simulate(
        { spec: before, defaultVersion: defaults.before },
        { spec: after, defaultVersion: defaults.after },
        units,
      );
    simulated.set(key, simulation);
    return { rule: rule ?? null, services: defaults.services, ...simulation };
  };
  const decidesAlike = (rule: string): boolean =>
    pinsLast &&
    defaults.before === defaults.after &&
    hasRule(was, rule) === hasRule(will, rule) &&
    whatDecides(cohortOf(was, rule)) === whatDecides(cohortOf(will, rule));
  const names = new Set([...will.rules, ...was.rules].filter(({ when }) => testsFacts(when)).map(({ name }) => name));
  return [plan(undefined), ...[...names].filter((rule) => !decidesAlike(rule)).map(plan)];
}

function hasRule({ rules }: ReleaseSpec, name: string): boolean {
  return rules.some((rule) => rule.name === name);
}

/**
 * All that a cohort's decisions depend on, as a text. Rules that test facts have lost their tests by then; the name of
 * one that draws no percentage changes nothing. Attributes are told by name: their index is a matter of the file.
 */
function whatDecides({ rules, split, sticky, versions }: ReleaseSpec): string {
  const { by, salt, epoch, whenWeightsChange, onWeightZero } = sticky;
  const named = by?.kind === "attribute" ? by.name : by;
  const uses = rules.map(({ name, when, use }) => [drawsPercent(when) ? name : "", when, use]);
  return JSON.stringify([uses, split, named, salt, epoch, whenWeightsChange, onWeightZero, versions.toSorted()]);
}

const always: Condition = { kind: "all", of: [] };

/** Whether a condition tests facts of a request, which nobody knows beforehand; `percent` draws by the unit alone. */
function testsFacts(condition: Condition): boolean {
  return hasKind(condition, "test");
}

/** Whether a condition draws a share of the units. */
function drawsPercent(condition: Condition): boolean {
  return hasKind(condition, "percent");
}

function hasKind(condition: Condition, kind: "test" | "percent"): boolean {
  switch (condition.kind) {
    case "not":
      return hasKind(condition.of, kind);
    case "all":
    case "any":
      return condition.of.some((one) => hasKind(one, kind));
    default:
      return condition.kind === kind;
  }
}

/**
 * The release as it decides requests that meet the tests of this one rule, or of none: rules that test facts are left
 * out, rules that draw by the unit alone stay. So it can be asked about units of which nothing else is known.
 */
function cohortOf(spec: ReleaseSpec, rule: string | undefined): ReleaseSpec {
  const rules = spec.rules.flatMap((one) => {
    if (!testsFacts(one.when)) return [one];
    return one.name === rule ? [{ ...one, when: withTestsMet(one.when) }] : [];
  });
  return { ...spec, override: undefined, rules };
}

/** What is left of a condition once its tests hold: `{ appVersion: …, percent: 10 }` is then a tenth of the units. */
function withTestsMet(condition: Condition): Condition {
  if (condition.kind !== "all") return testsFacts(condition) ? always : condition;
  return { kind: "all", of: condition.of.map(withTestsMet) };
}

/** The release without any rule or weight, so that the service's default answers. */
function defaultOnly(spec: ReleaseSpec): ReleaseSpec {
  return { ...spec, override: undefined, rules: [], split: undefined };
}
