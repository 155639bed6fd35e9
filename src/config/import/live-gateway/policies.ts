import { parse } from "yaml";
import { releaseSchema } from "../../sections/release.ts";
import { problemWith } from "../accepts.ts";
import { isYamlMap, type YamlMap, type YamlValue } from "../draft.ts";
import { byAge, type Manifest, titleOf } from "../manifests.ts";
import { isMap, type Loose } from "../source-object.ts";
import type { Cluster } from "./cluster.ts";
import { routeKinds } from "./live-listeners.ts";

/** Settings of a release for a route, beside the weights that the route has itself. */
export interface RoutePolicy {
  /** What it stands in, for messages. */
  readonly where: string;
  /** `kind namespace/name`. */
  readonly route: string;
  /** The name of a rule; undefined: all that no policy of their own is for. */
  readonly rule: string | undefined;
  readonly settings: YamlMap;
  /** A release of the file that gives the rest. */
  readonly base: string | undefined;
}

export interface PolicyProblem {
  readonly where: string;
  /** As in `RoutePolicy`; undefined if it is not known. */
  readonly route: string | undefined;
  readonly why: string;
}

export interface FoundPolicies {
  /** The oldest first. */
  readonly policies: readonly RoutePolicy[];
  readonly problems: readonly PolicyProblem[];
}

/** Names, in the annotations of a route, a release of the file. */
const annotation = "perch.dev/release";
const policyLabel = "perch.dev/policy";

/** Files of Perch's Pod are not for everybody who may write a ConfigMap. */
const fileKeys: ReadonlySet<string> = new Set(["secretFile", "inFile"]);
/** What a route says itself. */
const ofRoute: ReadonlySet<string> = new Set(["split", "mirror"]);
const maxDepth = 50;

export const routeKey = ({ kind, namespace, name }: Pick<Manifest, "kind" | "namespace" | "name">): string =>
  `${kind} ${namespace}/${name}`;

/** The policies in ConfigMaps with the label, and in annotations of routes. */
export function readPolicies(cluster: Cluster): FoundPolicies {
  const found: { readonly manifest: Manifest; readonly policy: RoutePolicy }[] = [];
  const problems: PolicyProblem[] = [];
  for (const { manifest } of cluster.configMaps()) {
    if (manifest.labels.text(policyLabel) !== "true") continue;
    for (const key of manifest.data.keys()) {
      const where = `${titleOf(manifest)} (${key})`;
      const policy = readPolicy(String(manifest.data.peek(key)), manifest.namespace, where);
      if ("why" in policy) problems.push(policy);
      else found.push({ manifest, policy });
    }
  }
  for (const { manifest } of routeKinds.flatMap((kind) => cluster.all(kind))) {
    const base = manifest.annotations.text(annotation);
    const where = `${titleOf(manifest)} (${annotation})`;
    if (base === "") continue;
    found.push({ manifest, policy: { where, route: routeKey(manifest), rule: undefined, settings: {}, base } });
  }
  const policies = found.toSorted((a, b) => byAge(a.manifest, b.manifest)).map(({ policy }) => policy);
  return withoutDuplicates(policies, problems);
}

/** Never throws: anybody may have written it. */
function readPolicy(text: string, namespace: string, where: string): RoutePolicy | PolicyProblem {
  try {
    return policyIn(parse(text, { maxAliasCount: 0 }), namespace, where);
  } catch (error) {
    const message = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    return { where, route: undefined, why: message };
  }
}

function policyIn(value: unknown, namespace: string, where: string): RoutePolicy | PolicyProblem {
  if (!isMap(value) || !isMap(value["target"])) {
    return { where, route: undefined, why: "it needs a target: { kind: HTTPRoute, name: … }" };
  }
  const { target, ...settings } = value as { readonly target: Loose } & YamlMap;
  const { kind = "HTTPRoute", name, rule, namespace: other = namespace, ...unknown } = target;
  const [surplus] = Object.keys(unknown);
  if (surplus !== undefined) return { where, route: undefined, why: `unknown key "${surplus}" in target` };
  if (!routeKinds.some((one) => one === kind) || typeof name !== "string") {
    return { where, route: undefined, why: "its target is no HTTPRoute or GRPCRoute with a name" };
  }
  if (other !== namespace) return { where, route: undefined, why: "its target must be in its own namespace" };
  const route = routeKey({ kind: String(kind), namespace, name });
  if (rule !== undefined && typeof rule !== "string") return { where, route, why: "rule in its target is no name" };
  const problem = problemOf(settings);
  if (problem !== undefined) return { where, route, why: problem };
  return { where, route, rule, settings, base: undefined };
}

function problemOf(settings: YamlMap): string | undefined {
  const own = Object.keys(settings).find((key) => ofRoute.has(key));
  if (own !== undefined) return `${own} is what the route itself says, with weights and filters`;
  if (isDeeperThan(maxDepth, settings)) return `it nests deeper than ${maxDepth} levels`;
  const file = findKey(settings, fileKeys);
  if (file !== undefined)
    return `${file} names a file, which only the configuration may; use the annotation ${annotation}`;
  return problemWith(releaseSchema, settings);
}

function isDeeperThan(depth: number, value: YamlValue): boolean {
  if (typeof value !== "object" || value === null) return false;
  return depth === 0 || Object.values(value).some((one) => isDeeperThan(depth - 1, one));
}

function findKey(value: YamlValue, keys: ReadonlySet<string>): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const own = Array.isArray(value) ? undefined : Object.keys(value).find((key) => keys.has(key));
  if (own !== undefined) return own;
  for (const one of Object.values(value)) {
    const found = findKey(one, keys);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Of several for the same rules the oldest counts. */
function withoutDuplicates(policies: readonly RoutePolicy[], problems: PolicyProblem[]): FoundPolicies {
  const kept = new Map<string, RoutePolicy>();
  for (const policy of policies) {
    const key = JSON.stringify([policy.route, policy.rule ?? null, policy.base !== undefined]);
    const older = kept.get(key);
    if (older === undefined) kept.set(key, policy);
    else problems.push({ where: policy.where, route: policy.route, why: `${older.where} is older, and for the same` });
  }
  return { policies: [...kept.values()], problems };
}

/** What the policies say of a rule. */
export interface PolicyOfRule {
  readonly settings: YamlMap;
  readonly base: string | undefined;
}

export function policyOf(policies: readonly RoutePolicy[], manifest: Manifest, rule: string): PolicyOfRule | undefined {
  const own = policies.filter((policy) => policy.route === routeKey(manifest));
  const settings = (
    own.find((one) => rule !== "" && one.rule === rule) ??
    own.find((one) => one.rule === undefined && one.base === undefined)
  )?.settings;
  const base = own.find((one) => one.base !== undefined)?.base;
  return settings === undefined && base === undefined ? undefined : { settings: settings ?? {}, base };
}

/** `over` replaces what both have, except in maps, which are merged. */
export function mergedSettings(under: YamlMap, over: YamlMap): YamlMap {
  const merged: Record<string, YamlValue> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    merged[key] = isYamlMap(below) && isYamlMap(value) ? mergedSettings(below, value) : value;
  }
  return merged;
}
