import { Draft, type DraftRoute, type DraftVersion, isYamlMap, type YamlMap, type YamlValue } from "../draft.ts";
import { errorReply } from "../error-routes.ts";
import { routeFilters } from "../gateway-api/backends.ts";
import { byRank } from "../gateway-api/gateway-api.ts";
import { readGrpcMatch } from "../gateway-api/grpc-route-match.ts";
import { filterSettings } from "../gateway-api/http-route-filters.ts";
import { anyRequest, hasEntries, readHttpMatch } from "../gateway-api/http-route-match.ts";
import { retries, routeTimeouts, sessionCookie } from "../gateway-api/rule-settings.ts";
import type { MatchedRule } from "../gateway-api/rules.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { redirectedMatch } from "../redirects.ts";
import { SourceObject } from "../source-object.ts";
import { mirrorOf } from "../weighted-versions.ts";
import type { Problem } from "./conditions.ts";
import { type LiveBackend, type LiveBackends, sharedSettings } from "./live-backends.ts";
import { mergedSettings, type PolicyOfRule, policyOf, type RoutePolicy } from "./policies.ts";
import type { StableNames } from "./stable-names.ts";
import { baselineFirst, stemOf, versionNames } from "./version-names.ts";

/** A rule of a route, before its matches are known. */
export interface LiveRule {
  readonly rule: SourceObject;
  readonly manifest: Manifest;
  /** For the names of Perch's routes. */
  readonly label: string;
  readonly outcome: RuleOutcome;
  readonly unresolved: Problem | undefined;
  /** What of it has no equivalent. */
  readonly unsupported: readonly string[];
}

export type RuleOutcome =
  | { readonly kind: "redirect" }
  | {
      readonly kind: "served";
      readonly service: string;
      readonly release: string | undefined;
      readonly settings: YamlMap;
    }
  | { readonly kind: "error" };

export interface RuleParts {
  readonly backends: LiveBackends;
  readonly names: StableNames;
  readonly draft: Draft;
  /** The file with the secret of the pins of all releases. */
  readonly secretFile: string | undefined;
  readonly policies: readonly RoutePolicy[];
  /** What the draft has so far: names of services and releases. */
  readonly made: { readonly services: Set<string>; readonly releases: Set<string> };
  /** Releases of the file that give the rest of a release's settings, by name of the release. */
  readonly bases: Map<string, string>;
}

/** Requests that no backend may serve get this status; for calls of gRPC it becomes UNAVAILABLE. */
const errorStatus = ({ kind }: Manifest): number => (kind === "GRPCRoute" ? 503 : 500);

/**
 * The rules of a route, with the services and releases that they need. Which service, versions and release a rule has
 * depends on what it names, never on weights: a canary at zero is a version with weight zero.
 */
export function rulesOf(manifest: Manifest, parts: RuleParts): readonly LiveRule[] {
  const rules = manifest.spec.objects("rules").map((rule, index) => new RuleReader(manifest, rule, index, parts));
  // The most general rule has the first choice of names; of equal ones the last.
  const ordered = rules.toReversed().toSorted((a, b) => byRank(b.rank, a.rank));
  const leads = leadsOf(ordered);
  const read = new Map(ordered.map((reader) => [reader, reader.read(leads)]));
  return rules.flatMap((reader) => read.get(reader) ?? []);
}

/** Adds Perch's route for one match of a rule. */
export function addLiveRoute(live: LiveRule, matched: MatchedRule, name: string, draft: Draft): void {
  const { manifest, rule, outcome } = live;
  const where = titleOf(manifest);
  const route = { name, match: matched.match, comment: where, sources: [where] };
  const filters = filterSettings(filtersOf(rule), matched.match["path"], where, draft);
  if ("problem" in filters || outcome.kind === "error") {
    draft.routes.push({ ...route, ...errorReply(errorStatus(manifest), draft) });
    return;
  }
  if (outcome.kind === "redirect") {
    const { redirect = {}, cors } = filters.settings;
    const match = matched.hasScheme ? route.match : redirectedMatch(route.match, redirect);
    const settings = { redirect, ...(cors === undefined ? {} : { cors }) };
    draft.routes.push({ ...route, match, service: undefined, release: undefined, settings });
    return;
  }
  const { service, release, settings } = outcome;
  draft.routes.push({
    ...route,
    service,
    release,
    settings: { ...filters.settings, ...settings },
  } satisfies DraftRoute);
}

function filtersOf(rule: SourceObject): readonly SourceObject[] {
  return [...rule.objects("filters"), ...routeFilters(rule.objects("backendRefs"))];
}

const knownFilters: ReadonlySet<string> = new Set([
  "RequestHeaderModifier",
  "ResponseHeaderModifier",
  "RequestRedirect",
  "URLRewrite",
  "RequestMirror",
  "CORS",
]);

/** What Perch's redirects have. */
const ofRedirects: ReadonlySet<string> = new Set(["redirect", "cors"]);

/** Rules of one route with the same backends share a release, so that a page and its API have one version. */
interface Lead {
  readonly settings: string;
  readonly name: string;
}

/** The most general rule with these backends leads: the others are for a part of its requests. By group. */
function leadsOf(rules: readonly RuleReader[]): ReadonlyMap<string, Lead> {
  const leads = new Map<string, Lead>();
  for (const reader of rules) {
    const { group } = reader;
    if (group === undefined || leads.has(group)) continue;
    leads.set(group, { settings: reader.releaseText, name: reader.leadName() });
  }
  return leads;
}

class RuleReader {
  readonly #manifest: Manifest;
  readonly #rule: SourceObject;
  readonly #parts: RuleParts;
  readonly #label: string;
  /** One for each Service and port. */
  readonly #backends: readonly LiveBackend[];
  /** Those, and the target of a mirror that is not one of them. */
  readonly #all: readonly LiveBackend[];
  readonly #mirror: { readonly target: LiveBackend; readonly percent: number } | undefined;
  readonly #versions: ReadonlyMap<LiveBackend, string>;
  readonly #isRedirect: boolean;
  readonly #policy: PolicyOfRule | undefined;
  /** Notes of what its session has no equivalent for. */
  readonly #differences = new Draft();
  /** What its release is for; undefined if it needs none. */
  readonly group: string | undefined;
  readonly releaseSettings: YamlMap;
  /** Of its most general match. */
  readonly rank: readonly number[];

  constructor(manifest: Manifest, rule: SourceObject, index: number, parts: RuleParts) {
    this.#manifest = manifest;
    this.#rule = rule;
    this.#parts = parts;
    const name = rule.text("name");
    const plain = `${manifest.namespace}-${manifest.name}`;
    this.#label = name !== "" ? `${plain}-${name}` : index === 0 ? plain : `${plain}-${index + 1}`;
    const refs = rule.objects("backendRefs");
    this.#backends = merged(refs.map((ref) => parts.backends.read(ref, manifest, refs.length === 1)));
    this.#mirror = this.#mirrorIn(filtersOf(rule));
    const all = withMirrored(this.#backends, this.#mirror?.target);
    this.#all = all;
    this.#versions = versionNames(all);
    this.#isRedirect = rule.objects("filters").some((filter) => filter.text("type") === "RequestRedirect");
    const isKept = rule.has("sessionPersistence");
    this.#policy = policyOf(parts.policies, manifest, name);
    const isPlain = all.length < 2 && !isKept && this.#policy === undefined;
    const needsRelease = !this.#isRedirect && all.length > 0 && !isPlain;
    this.group = needsRelease ? this.#backends.map(({ identity }) => identity).join(" ") : undefined;
    this.releaseSettings = needsRelease ? this.#settings(isKept) : {};
    this.rank = rankOf(rule, manifest);
  }

  /** What its release is made of: equal for rules that share one. */
  get releaseText(): string {
    return JSON.stringify([this.releaseSettings, this.#policy?.base ?? ""]);
  }

  /**
   * By nothing but the rule itself, for other rules come and go, and pins would be lost with the name: that of the route for
   * a rule of all requests, else with its backends. A third one, as for an experiment, changes it not.
   */
  leadName(): string {
    const { namespace, name, kind } = this.#manifest;
    const isForAll = byRank(this.rank, rankOf(noMatches, this.#manifest)) === 0;
    const services = isForAll ? [] : this.#backends.slice(0, 2).map((one) => one.name);
    const wanted = [namespace, name, ...services].join("-");
    const identity = isForAll ? "" : this.group;
    return this.#parts.names.of("release", wanted, `${kind} ${namespace}/${name} ${identity}`);
  }

  read(leads: ReadonlyMap<string, Lead>): LiveRule {
    const { draft } = this.#parts;
    const manifest = this.#manifest;
    const where = titleOf(manifest);
    const rule = this.#rule;
    const base = { rule, manifest, label: this.#label };
    const unsupported = [...this.#unsupported(), ...this.#backends.flatMap(({ target }) => target?.unsupported ?? [])];
    const refs = [...this.#backends, ...(this.#mirror === undefined ? [] : [this.#mirror.target])];
    const unresolved = refs.find(({ problem }) => problem !== undefined)?.problem;
    if (this.#isRedirect) return { ...base, outcome: { kind: "redirect" }, unresolved: undefined, unsupported };
    const valid = this.#all.filter(({ target }) => target !== undefined);
    const shared = sharedSettings(valid.flatMap(({ target }) => target ?? []));
    if ("reason" in shared) {
      return { ...base, outcome: { kind: "error" }, unresolved: unresolved ?? shared, unsupported };
    }
    if (!this.#backends.some(({ target }) => target !== undefined) || this.#hasUnknownFilter()) {
      return { ...base, outcome: { kind: "error" }, unresolved, unsupported };
    }
    const service = this.#service(valid, { ...shared.settings, ...retries(rule, where, draft) });
    const release = this.#release(leads, unsupported);
    const settings = { ...routeTimeouts(rule), ...this.#fault() };
    return { ...base, outcome: { kind: "served", service, release, settings }, unresolved, unsupported };
  }

  #mirrorIn(filters: readonly SourceObject[]) {
    const [mirror] = filters.filter((filter) => filter.text("type") === "RequestMirror");
    if (mirror === undefined) return undefined;
    const spec = mirror.object("requestMirror");
    const fraction = spec.object("fraction");
    const share = (fraction.number("numerator") ?? 0) / (fraction.number("denominator") ?? 100);
    const percent = spec.number("percent") ?? (spec.has("fraction") ? share * 100 : 100);
    const target = this.#parts.backends.read(spec.object("backendRef"), this.#manifest, false);
    return { target, percent };
  }

  #settings(isKept: boolean): YamlMap {
    const { secretFile, draft } = this.#parts;
    const where = titleOf(this.#manifest);
    const session = isKept ? sessionCookie(this.#rule.object("sessionPersistence"), where, this.#differences) : {};
    for (const { what } of this.#differences.notes) draft.note(where, what);
    const held: YamlMap = isKept ? { whenWeightsChange: "hold", onWeightZero: "drain" } : {};
    const signed: YamlMap = secretFile === undefined ? {} : { cookie: { secretFile } };
    const sticky = mergedSettings(mergedSettings(held, session), signed);
    const settings = {
      ...(Object.keys(sticky).length === 0 ? {} : { sticky }),
      ...this.#split(),
      ...this.#mirrorSettings(),
    };
    return mergedSettings(settings, this.#policy?.settings ?? {});
  }

  #split(): YamlMap {
    const usable = this.#all.filter(({ target }) => target !== undefined);
    if (usable.length < 2) return {};
    const isOff = usable.every(({ weight }) => weight === 0);
    // A split needs a weight; where all are zero, no request gets there.
    const split = usable.map((one) => [this.#versions.get(one) ?? "", isOff ? 1 : one.weight] as const);
    return { split: Object.fromEntries(split) };
  }

  #mirrorSettings(): YamlMap {
    const mirror = this.#mirror;
    if (mirror?.target.target === undefined) return {};
    const version = [...this.#versions].find(([{ identity }]) => identity === mirror.target.identity)?.[1] ?? "";
    return { mirror: mirrorOf(version, mirror.percent) };
  }

  #service(valid: readonly LiveBackend[], settings: YamlMap): string {
    const { draft, names, made } = this.#parts;
    const stem = stemOf(this.#backends.map(({ name }) => name));
    const isHash = valid.length === 1 && this.#rule.has("sessionPersistence");
    const all = { ...(isHash ? { balance: "hash" } : {}), ...settings };
    const versions = baselineFirst(
      valid.flatMap((one): DraftVersion[] => {
        const { target } = one;
        if (target === undefined) return [];
        const own = Object.keys(target.settings).length === 0 ? {} : { settings: target.settings };
        return [{ name: this.#versions.get(one) ?? "", endpoints: [target.endpoint], ...own }];
      }),
    );
    // What a rule names, and which of it its route may use.
    const usable = versions.map((version) => [version.name, version.settings ?? {}]);
    const identity = JSON.stringify([
      this.#backends.map((one) => one.identity),
      this.#mirror?.target.identity,
      all,
      usable,
    ]);
    const { namespace } = this.#backends[0] ?? this.#manifest;
    const name = names.of("service", `${namespace}-${stem}`, identity);
    if (!made.services.has(name)) draft.services.push({ name, versions, settings: all });
    made.services.add(name);
    return name;
  }

  #release(leads: ReadonlyMap<string, Lead>, unsupported: string[]): string | undefined {
    const lead = this.group === undefined ? undefined : leads.get(this.group);
    if (lead === undefined) return undefined;
    const { draft, names, made } = this.#parts;
    const { namespace, name: route, kind } = this.#manifest;
    const isShared = lead.settings === this.releaseText;
    const name = isShared
      ? lead.name
      : names.of("release", `${this.#label}-rule`, `${kind} ${namespace}/${route} ${this.#rule.path}`);
    if (made.releases.has(name)) return name;
    made.releases.add(name);
    const where = titleOf(this.#manifest);
    draft.releases.push({ name, settings: this.#withOwnCookie(name, unsupported), comment: where });
    const base = this.#policy?.base;
    if (base !== undefined) this.#parts.bases.set(name, base);
    return name;
  }

  /** Each release needs a cookie of its own, so a name that another release has is left out. */
  #withOwnCookie(release: string, unsupported: string[]): YamlMap {
    const { draft, names } = this.#parts;
    const settings = this.releaseSettings;
    const { name, ...cookie } = cookieIn(settings);
    if (typeof name !== "string" || names.claimCookie(name, release)) return settings;
    draft.note(
      titleOf(this.#manifest),
      `another release has the cookie ${name} already, or may have it: this one has a cookie of its own`,
    );
    unsupported.push(`${this.#rule.path}: the cookie ${name}, which is that of another release`);
    return { ...settings, sticky: { ...mapIn(settings["sticky"]), cookie } };
  }

  /** Requests for backends that are not valid, and all if no weight is left, get an error. */
  #fault(): YamlMap {
    const status = errorStatus(this.#manifest);
    const total = this.#backends.reduce((sum, { weight }) => sum + weight, 0);
    const invalid = this.#backends.reduce((sum, { weight, target }) => sum + (target === undefined ? weight : 0), 0);
    if (total === invalid) return { fault: { abort: { status } } };
    const percent = Number(((100 * invalid) / total).toFixed(3));
    return percent === 0 ? {} : { fault: { abort: { status, percent } } };
  }

  #hasUnknownFilter(): boolean {
    return filtersOf(this.#rule).some((filter) => !knownFilters.has(filter.text("type")));
  }

  #unsupported(): readonly string[] {
    const filter = filtersOf(this.#rule).find((one) => !knownFilters.has(one.text("type")));
    if (filter !== undefined)
      return [`${filter.path}: the filter ${filter.text("type")}; its requests get ${errorStatus(this.#manifest)}`];
    const matches = this.#rule.objects("matches");
    if (matches.length === 0 && hasEntries(this.#rule.peek("matches"))) return [`${this.#rule.path}.matches`];
    const different = new Set(this.#differences.notes.map(({ what }) => what));
    for (const match of matches.length === 0 ? [anyRequest] : matches) {
      const found = readMatch(match, this.#manifest);
      if ("problem" in found) return [`${match.path}: ${found.problem}`];
      const [unread] = match.unread();
      if (unread !== undefined) return [unread];
      const draft = new Draft();
      const filters = filterSettings(filtersOf(this.#rule), found.match["path"], "", draft);
      if ("problem" in filters) return [`${filters.problem}; its requests get ${errorStatus(this.#manifest)}`];
      for (const { what } of draft.notes) different.add(what);
      const besides = this.#isRedirect ? Object.keys(filters.settings).filter((key) => !ofRedirects.has(key)) : [];
      for (const key of besides) different.add(`${key} beside a redirect`);
    }
    const { path } = this.#rule;
    return Array.from(different, (what) => (what.startsWith(path) ? what : `${path}: ${what}`));
  }
}

const readMatch = (match: SourceObject, { kind }: Manifest) =>
  kind === "GRPCRoute" ? readGrpcMatch(match) : readHttpMatch(match);

const noMatches = new SourceObject({});

/** That of the match which others come before. One without an equivalent comes before all. */
function rankOf(rule: SourceObject, manifest: Manifest): readonly number[] {
  const matches = rule.objects("matches");
  const ranks = (matches.length === 0 ? [anyRequest] : matches).flatMap((match) => {
    const found = readMatch(match, manifest);
    return "problem" in found ? [] : [found.rank];
  });
  return ranks.toSorted(byRank).at(-1) ?? [Number.POSITIVE_INFINITY];
}

const mapIn = (value: YamlValue | undefined): YamlMap => (isYamlMap(value) ? value : {});
const cookieIn = ({ sticky }: YamlMap): YamlMap => mapIn(mapIn(sticky)["cookie"]);

/** Which gets no other requests. */
function withMirrored(backends: readonly LiveBackend[], target: LiveBackend | undefined): readonly LiveBackend[] {
  if (target === undefined || backends.some(({ identity }) => identity === target.identity)) return backends;
  return [...backends, { ...target, weight: 0 }];
}

/**
 * Of several references to one port of a Service, the weights add up. With other edits it is another version: the second
 * one, whatever its edits are.
 */
function merged(backends: readonly LiveBackend[]): readonly LiveBackend[] {
  const found = new Map<string, LiveBackend>();
  for (const one of backends) {
    const key = `${one.identity} ${one.filters}`;
    const known = found.get(key);
    found.set(key, known === undefined ? one : { ...known, weight: known.weight + one.weight });
  }
  const counts = new Map<string, number>();
  return Array.from(found.values(), (one) => {
    const number = (counts.get(one.identity) ?? 0) + 1;
    counts.set(one.identity, number);
    return number === 1 ? one : { ...one, identity: `${one.identity} #${number}` };
  });
}
