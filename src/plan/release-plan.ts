import type { CompiledConfig, MirrorSpec } from "../config/compiled-config.ts";
import type { Condition } from "../decide/condition.ts";
import type { ReleaseSpec } from "../decide/release-spec.ts";
import { mirrorNotes, releaseNotes } from "./release-notes.ts";
import { pinsCarryOver, type Simulation, simulate } from "./simulate.ts";

/** What a configuration change does to the users of one release. */
export interface ReleasePlan {
  readonly release: string;
  readonly change: "added" | "removed" | "changed" | "unchanged";
  /** From the new configuration, or the old one if the release is removed. */
  readonly whenWeightsChange: "follow" | "hold";
  readonly cohorts: readonly CohortPlan[];
  /** Other effects on its users, one sentence each. */
  readonly notes: readonly string[];
}

/** Users who are decided the same way: those who match the tests of one rule, or of none. */
export interface CohortPlan extends Simulation {
  /** The rule; null if no rule matches. */
  readonly rule: string | null;
  /** The services that this cohort is about. Empty if their default versions make no difference. */
  readonly services: readonly string[];
}

/** Services with the same default versions, before and after. */
interface Defaults {
  readonly services: readonly string[];
  readonly before: string;
  readonly after: string;
}

/** One plan per release: first those of the new configuration in file order, then the removed ones. */
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
  // Without the release, its services' default versions serve the users.
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

/** The release without rules and split, so that the service's default version serves. */
function defaultOnly(spec: ReleaseSpec): ReleaseSpec {
  return { ...spec, override: undefined, rules: [], split: undefined };
}

function mirrorOf({ mirrors }: CompiledConfig, release: string): MirrorSpec | undefined {
  return mirrors.find((mirror) => mirror.release === release);
}

function notesOn(
  before: ReleaseSpec | undefined,
  after: ReleaseSpec | undefined,
  ofMirror: readonly string[],
): string[] {
  if (before === undefined)
    return ["the release is new: so far the default version of each service served its users", ...ofMirror];
  if (after === undefined)
    return ["the release is removed: the default version of each service will serve its users", ...ofMirror];
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

/**
 * Groups the release's services by their default versions. One group if both releases have a split, since the default
 * versions then never matter; none if no service exists in both configurations.
 */
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
    // A service that is added or removed has no users who could move.
    if (before === undefined || after === undefined) continue;
    const key = `${before} ${after}`;
    found.set(key, { services: [...(found.get(key)?.services ?? []), service], before, after });
  }
  const all = [...found.values()];
  const [first] = all;
  if (was.split !== undefined && will.split !== undefined) return [{ services: [], before: "", after: "" }];
  return first !== undefined && all.length === 1 ? [{ ...first, services: [] }] : all;
}

export function pairedServices({ routes }: CompiledConfig, release: string): string[] {
  return routes.flatMap((route) => (route.release === release && route.service !== undefined ? [route.service] : []));
}

export function defaultVersion({ services }: CompiledConfig, name: string): string | undefined {
  return services.find((service) => service.name === name)?.defaultVersion;
}

function planCohorts(was: ReleaseSpec, will: ReleaseSpec, defaults: Defaults, units: number): CohortPlan[] {
  const pinsSurvive = pinsCarryOver(was, will);
  const simulated = new Map<string, Simulation>();
  const plan = (rule: string | undefined): CohortPlan => {
    const before = cohortOf(was, rule);
    const after = cohortOf(will, rule);
    // Rules with the same effect share one simulation; there may be a thousand.
    const key = `${decisionKey(before)} ${decisionKey(after)}`;
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
    pinsSurvive &&
    defaults.before === defaults.after &&
    hasRule(was, rule) === hasRule(will, rule) &&
    decisionKey(cohortOf(was, rule)) === decisionKey(cohortOf(will, rule));
  const names = new Set([...will.rules, ...was.rules].filter(({ when }) => testsFacts(when)).map(({ name }) => name));
  return [plan(undefined), ...[...names].filter((rule) => !decidesAlike(rule)).map(plan)];
}

/**
 * The release as it decides users who match the tests of `rule`, or of no rule. Other rules that test facts are
 * removed; rules that depend on the unit only stay. The result can decide units whose other facts are unknown.
 */
export function cohortOf(spec: ReleaseSpec, rule: string | undefined): ReleaseSpec {
  const rules = spec.rules.flatMap((one) => {
    if (!testsFacts(one.when)) return [one];
    return one.name === rule ? [{ ...one, when: withTestsMet(one.when) }] : [];
  });
  return { ...spec, override: undefined, rules };
}

/** What remains of a condition if its tests hold: `{ appVersion: …, percent: 10 }` matches 10 % of the units. */
function withTestsMet(condition: Condition): Condition {
  if (condition.kind !== "all") return testsFacts(condition) ? always : condition;
  return { kind: "all", of: condition.of.map(withTestsMet) };
}

const always: Condition = { kind: "all", of: [] };

function hasRule({ rules }: ReleaseSpec, name: string): boolean {
  return rules.some((rule) => rule.name === name);
}

/**
 * Everything that a cohort's decisions depend on, as a string. A rule's name matters only as the seed of a percentage.
 * Attributes are identified by name, since their index depends on the file.
 */
function decisionKey({ rules, split, sticky, versions }: ReleaseSpec): string {
  const { by, salt, epoch, whenWeightsChange, onWeightZero } = sticky;
  const named = by?.kind === "attribute" ? by.name : by;
  const uses = rules.map(({ name, when, use }) => [drawsPercent(when) ? name : "", when, use]);
  return JSON.stringify([uses, split, named, salt, epoch, whenWeightsChange, onWeightZero, versions.toSorted()]);
}

/** Whether a condition tests facts of a request, which are unknown here. `percent` depends on the unit only. */
function testsFacts(condition: Condition): boolean {
  return hasKind(condition, "test");
}

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
