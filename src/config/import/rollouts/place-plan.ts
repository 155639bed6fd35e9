import {
  type Draft,
  type DraftRelease,
  type DraftRoute,
  isYamlMap,
  resourceNameOf,
  type YamlMap,
  type YamlValue,
} from "../draft.ts";
import { titleOf } from "../manifests.ts";
import type { ImportedPlan } from "./plan.ts";
import { hostsOf, type PlannedRoute, plannedRoutes, withCandidate } from "./planned-routes.ts";

type Versioned = PlannedRoute & { readonly candidate: string };

/** Gives the plan to the release of its routes. False if the draft has none of them. */
export function placePlan(plan: ImportedPlan, draft: Draft): boolean {
  for (const planned of plannedRoutes(plan, draft)) {
    if (planned.candidate === undefined) replaceService(withCandidate(planned, plan), draft);
  }
  const routes = plannedRoutes(plan, draft).filter((one): one is Versioned => one.candidate !== undefined);
  if (routes.length === 0) return false;
  const groups = Map.groupBy(routes, (one) => keyOf(one, draft));
  for (const group of groups.values()) giveRelease(group, plan, draft);
  if (groups.size > 1) {
    const what = `its routes have ${groups.size} releases, as their versions or rules differ: each has the plan, and is to be started by itself`;
    draft.note(titleOf(plan.manifest), what);
  }
  return true;
}

function replaceService(service: Draft["services"][number], draft: Draft): void {
  const index = draft.services.findIndex(({ name }) => name === service.name);
  if (index >= 0) draft.services[index] = service;
}

/** Routes with one key share a release: their versions have the same names, and their releases differ in weights only. */
function keyOf({ route, baseline, candidate }: Versioned, draft: Draft): string {
  const { split: _, ...others } = releaseOf(route.release, draft)?.settings ?? {};
  return JSON.stringify([baseline, candidate, others]);
}

function releaseOf(name: string | undefined, draft: Draft): DraftRelease | undefined {
  return draft.releases.find((release) => release.name === name);
}

function giveRelease(group: readonly Versioned[], plan: ImportedPlan, draft: Draft): void {
  const [first] = group;
  if (first === undefined) return;
  const where = titleOf(plan.manifest);
  const { baseline, candidate } = first;
  const known = group.map(({ route }) => releaseOf(route.release, draft)).find((release) => release !== undefined);
  if (known?.settings["rollout"] !== undefined) {
    draft.leftOut(
      where,
      `another plan moves its routes already (release ${known.name}): this one is left out`,
      "protection",
    );
    return;
  }
  const before = known?.settings ?? {};
  noteWeights(before, candidate, where, draft);
  const { sticky } = before;
  if (isYamlMap(sticky) && sticky["whenWeightsChange"] === "hold") {
    draft.note(where, "its sessions stay with their version (hold), so the plan moves and judges new users only");
  }
  const settings = ownCookie(plannedSettings(before, plan, baseline, candidate), known, where, draft);
  const own = new Set(group.map(({ route }) => route.name));
  const isKept = known !== undefined && leaveTo(own, known, plan, draft);
  const name = isKept ? known.name : draft.newRelease(plan.manifest.name, settings, where);
  if (isKept) draft.replaceRelease(known.name, settings, `${known.comment}, ${where}`);
  moveRoutes(({ name: one }) => own.has(one), name, draft);
  for (const { service } of group) baselineFirst(service.name, baseline, draft);
  noteStart(name, first, where, draft);
}

/**
 * Whether the routes can keep their release. Routes of others that share it, since their weights are the same, go on
 * with one of their own if the release has the plan's name; else these routes are to get a new one.
 */
function leaveTo(own: ReadonlySet<string>, release: DraftRelease, plan: ImportedPlan, draft: Draft): boolean {
  const isOther = ({ name, release: of }: DraftRoute) => of === release.name && !own.has(name);
  const [other] = draft.routes.filter(isOther);
  if (other === undefined) return true;
  if (release.name !== resourceNameOf(plan.manifest.name)) return false;
  moveRoutes(isOther, draft.newRelease(other.name, release.settings, release.comment), draft);
  return true;
}

function moveRoutes(isMoved: (route: DraftRoute) => boolean, release: string, draft: Draft): void {
  draft.routes.forEach((route, index) => {
    if (isMoved(route)) draft.routes[index] = { ...route, release };
  });
}

function plannedSettings(before: YamlMap, plan: ImportedPlan, baseline: string, candidate: string): YamlMap {
  const { split, rules, sticky, ...rest } = before;
  const { steps, checks } = plan;
  const withSticky = { ...(isYamlMap(sticky) ? sticky : {}), ...plan.sticky };
  const given: readonly YamlValue[] = Array.isArray(rules) ? rules : [];
  // A rule decides before the plan does, so it would give a ring's users the candidate before the plan starts.
  const rings = new Set(steps.map(conditionIn));
  const others = given.filter((rule) => !rings.has(conditionIn(rule)));
  const known = new Set(others.map(conditionIn));
  const names = new Set(others.map((rule) => (isYamlMap(rule) ? rule["name"] : undefined)));
  const kept = plan.kept
    .filter(({ when }) => !known.has(JSON.stringify(when)))
    .map(({ name, when }) => ({ name: names.has(name) ? `${name}-of-rollout` : name, when, use: baseline }));
  const allRules = [...others, ...kept];
  return {
    ...(Object.keys(withSticky).length === 0 ? {} : { sticky: withSticky }),
    ...(allRules.length === 0 ? {} : { rules: allRules }),
    ...rest,
    split: splitOf(split, baseline, candidate),
    rollout: {
      id: "1",
      baseline,
      candidate,
      start: "manual",
      steps,
      ...(checks.length === 0 ? {} : { checks }),
    },
    ...(plan.mirror === undefined || rest["mirror"] !== undefined
      ? {}
      : { mirror: { version: candidate, ...plan.mirror } }),
  };
}

/** The condition of a rule or step, as a text. */
function conditionIn(part: YamlValue): string {
  return JSON.stringify(isYamlMap(part) ? (part["when"] ?? null) : null);
}

/** Each release needs a cookie of its own. */
function ownCookie(settings: YamlMap, release: DraftRelease | undefined, where: string, draft: Draft): YamlMap {
  const { sticky } = settings;
  const name = cookieNameIn(settings);
  if (!isYamlMap(sticky) || !isYamlMap(sticky["cookie"]) || name === undefined) return settings;
  if (!draft.releases.some((other) => other !== release && cookieNameIn(other.settings) === name)) return settings;
  draft.note(where, `another release has the cookie ${name} already: this one has a cookie of its own`);
  const { name: _, ...cookie } = sticky["cookie"];
  return { ...settings, sticky: { ...sticky, cookie } };
}

function cookieNameIn({ sticky }: YamlMap): YamlValue | undefined {
  const cookie = isYamlMap(sticky) ? sticky["cookie"] : undefined;
  return isYamlMap(cookie) ? cookie["name"] : undefined;
}

/** Before its start everyone has the baseline; other versions keep their weights. */
function splitOf(split: YamlValue | undefined, baseline: string, candidate: string): YamlMap {
  const weights = isYamlMap(split) ? split : {};
  const sum = Number(weights[baseline] ?? 0) + Number(weights[candidate] ?? 0);
  return { ...weights, [baseline]: sum > 0 ? sum : 100, [candidate]: 0 };
}

function noteWeights({ split }: YamlMap, candidate: string, where: string, draft: Draft): void {
  const weight = isYamlMap(split) ? Number(split[candidate] ?? 0) : 0;
  if (weight === 0) return;
  draft.note(where, `${candidate} has a weight of ${weight} in the input; here it has none until its rollout starts`);
}

/** The first version of a service is its default, which serves where the assigned one cannot. */
function baselineFirst(name: string, baseline: string, draft: Draft): void {
  const service = draft.services.find((one) => one.name === name);
  if (service === undefined || service.versions[0]?.name === baseline) return;
  const first = service.versions.filter((version) => version.name === baseline);
  const others = service.versions.filter((version) => version.name !== baseline);
  replaceService({ ...service, versions: [...first, ...others] }, draft);
}

function noteStart(release: string, { service, baseline, candidate }: Versioned, where: string, draft: Draft): void {
  const hostsIn = (name: string) =>
    service.versions
      .filter((version) => version.name === name)
      .flatMap(hostsOf)
      .join(", ");
  const [stable, tried] = [hostsIn(baseline), hostsIn(candidate)];
  draft.note(
    where,
    `Perch creates and scales no Pods: keep a Deployment behind each of the Services ${stable} and ${tried}`,
  );
  draft.note(
    where,
    `the plan of release ${release} does not start by itself (start: manual): run \`perch rollout start ${release}\` when the new version is behind ${tried}, and give each later version a new \`rollout.id\`. Set \`state\`, or start Perch with --state-dir, so that rollouts outlive its process`,
  );
}
