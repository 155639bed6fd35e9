import { compilePattern } from "../../pattern.ts";
import { hostPattern, urlPath } from "../../scalars.ts";
import { accepts } from "../accepts.ts";
import { type Draft, lossOf, type YamlMap } from "../draft.ts";
import { escaped } from "../escaped.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { SourceObject } from "../source-object.ts";
import { booleanIn, hasProtection, peekAnnotation, takeAnnotation } from "./ingress-annotations.ts";

/** One path of one host of one Ingress, with the Service behind it. */
export interface IngressLocation {
  readonly ingress: Manifest;
  /** Empty: any host. */
  readonly host: string;
  readonly path: string;
  /** ingress-nginx takes `ImplementationSpecific` for Prefix (internal/k8s/main.go: `SetDefaultNGINXPathType`). */
  readonly pathType: "Exact" | "Prefix";
  readonly kind: "exact" | "prefix" | "regex";
  readonly serviceName: string;
  readonly port: SourceObject;
  /** What a canary shares with its main Ingress: the path type counts (controller.go: `mergeAlternativeBackends`). */
  readonly key: string;
}

/** What nginx calls a server: a host with its other names and its locations, in the order in which they match. */
export interface IngressServer {
  /** Empty: any host. */
  readonly host: string;
  readonly aliases: readonly string[];
  readonly locations: readonly IngressLocation[];
  /** Patterns that Perch does not know, and whose requests a wider location would take: these get 404. */
  readonly refused: readonly RefusedLocation[];
}

export interface RefusedLocation extends IngressLocation {
  /** What the paths of its requests begin with. */
  readonly start: string;
}

/** The hosts and paths of an Ingress, without what cannot be used, which is noted. */
export interface IngressRules {
  readonly ingress: Manifest;
  /** Hosts in lower case; empty: any host. */
  readonly hosts: readonly string[];
  readonly locations: readonly IngressLocation[];
  /** Answers what the paths do not; of any host if there are no rules. */
  readonly defaultBackend: IngressLocation | undefined;
}

/** Reads `networking.k8s.io/v1`, and the older form of backends (`serviceName`, `servicePort`). */
export function rulesOf(ingress: Manifest, draft: Draft): IngressRules {
  const { spec } = ingress;
  const hosts: string[] = [];
  const locations: IngressLocation[] = [];
  spec.dismiss("ingressClassName");
  for (const rule of spec.objects("rules")) {
    const host = rule.text("host").toLowerCase();
    if (host !== "" && !accepts(hostPattern, host)) {
      draft.leftOut(titleOf(ingress), `${host} is not a host: left out`);
      rule.dismiss();
      continue;
    }
    hosts.push(host);
    for (const path of rule.object("http").objects("paths")) {
      const pathType = path.text("pathType") === "Exact" ? "Exact" : "Prefix";
      const at = { host, path: path.text("path") || "/", pathType } as const;
      locations.push(...locationOf(ingress, path.object("backend"), at, draft));
    }
  }
  const written = spec.has("defaultBackend") ? "defaultBackend" : "backend";
  const root = { host: "", path: "/", pathType: "Prefix" } as const;
  const [defaultBackend] = spec.has(written) ? locationOf(ingress, spec.object(written), root, draft) : [];
  return { ingress, hosts, locations, defaultBackend };
}

type LocationPath = Pick<IngressLocation, "host" | "path" | "pathType">;

function keyOf({ host, path, pathType }: LocationPath): string {
  return `${host} ${pathType} ${path}`;
}

function locationOf(ingress: Manifest, backend: SourceObject, at: LocationPath, draft: Draft): IngressLocation[] {
  const service = backend.object("service");
  const serviceName = service.text("name") || backend.text("serviceName");
  const port = service.has("port") ? service.object("port") : olderPort(backend);
  port.dismiss();
  if (serviceName === "") {
    backend.dismiss();
    draft.leftOut(titleOf(ingress), `${at.host}${at.path} has a backend that is not a Service: left out`);
    return [];
  }
  const kind = at.pathType === "Exact" ? "exact" : "prefix";
  return [{ ingress, ...at, kind, serviceName, port, key: keyOf(at) }];
}

/** A number or a name, in the form of today. */
function olderPort(backend: SourceObject): SourceObject {
  const text = backend.text("servicePort");
  return new SourceObject(/^\d+$/.test(text) ? { number: Number(text) } : { name: text });
}

interface UnorderedServer {
  readonly host: string;
  /** For paths that no other location has. */
  readonly root: IngressLocation | undefined;
  readonly byKey: Map<string, IngressLocation>;
}

/**
 * The servers of all main Ingresses in the order of precedence: exact hosts, wildcards, any host. Of several Ingresses
 * the first one decides, which is the oldest in ingress-nginx (controller.go: `createServers`, `getBackendServers`).
 */
export function serversOf(mains: readonly IngressRules[], draft: Draft): IngressServer[] {
  const servers = new Map<string, UnorderedServer>();
  for (const rules of mains) addHosts(rules, servers, draft);
  for (const { locations } of mains) {
    for (const location of locations) addLocation(location, servers, draft);
  }
  const taken = new Set(servers.keys());
  const found = Array.from(servers.values(), ({ host, root, byKey }) => {
    const hasRoot = root === undefined || byKey.has(root.key);
    const all = hasRoot ? [...byKey.values()] : [...byKey.values(), root];
    const typed = withPatterns(host, all, draft).toSorted(byPrecedence);
    const locations = typed.filter((location) => problemOf(location) === undefined);
    const refused = typed.flatMap((location) => refusedOf(location, locations, draft));
    return { host, aliases: aliasesOf(host, all, taken, draft), locations, refused };
  });
  return found.sort(byHost);
}

/** The first Ingress that names a host says with its default backend what answers other paths of the host. */
function addHosts(
  { ingress, hosts, defaultBackend }: IngressRules,
  servers: Map<string, UnorderedServer>,
  draft: Draft,
) {
  const isCatchAll = hosts.length === 0 && defaultBackend !== undefined && ingress.spec.objects("rules").length === 0;
  const anyHost = servers.get("");
  if (isCatchAll && anyHost?.root === undefined) {
    servers.set("", { host: "", root: defaultBackend, byKey: anyHost?.byKey ?? new Map() });
    return;
  }
  const added = hosts.filter((host) => !servers.has(host));
  for (const host of added) {
    const key = keyOf({ host, path: "/", pathType: "Prefix" });
    const root = defaultBackend === undefined || host === "" ? undefined : { ...defaultBackend, host, key };
    servers.set(host, { host, root, byKey: new Map() });
  }
  if (defaultBackend === undefined || added.some((host) => host !== "")) return;
  const why = "another Ingress named its hosts first, or it has none: left out, as by ingress-nginx";
  draft.leftOut(titleOf(ingress), `the default backend ${defaultBackend.serviceName} had no effect: ${why}`);
}

function addLocation(location: IngressLocation, servers: ReadonlyMap<string, UnorderedServer>, draft: Draft): void {
  const server = servers.get(location.host);
  const { key } = location;
  const isCatchAll = location.host === "" && server?.root?.key === key;
  if (server?.byKey.has(key) === false && !isCatchAll) {
    server.byKey.set(key, location);
    return;
  }
  draft.leftOut(
    titleOf(location.ingress),
    `${location.host}${location.path} is already served by another Ingress: left out`,
  );
}

/** Exact hosts, those that also have a wildcard as an alias, wildcards from the longest, any host. */
function byHost(a: IngressServer, b: IngressServer): number {
  return hostRank(a) - hostRank(b) || (hostRank(a) === 2 ? b.host.length - a.host.length : 0);
}

function hostRank({ host, aliases }: IngressServer): number {
  if (host === "") return 3;
  if (host.startsWith("*.")) return 2;
  return aliases.some((alias) => alias.startsWith("*.")) ? 1 : 0;
}

/**
 * A single location with a pattern or a rewrite turns all paths of its host, of all Ingresses, into patterns that
 * ignore case and match prefixes (template.go: `enforceRegexModifier`).
 */
function withPatterns(host: string, locations: readonly IngressLocation[], draft: Draft): readonly IngressLocation[] {
  const isPattern = ({ ingress, path }: IngressLocation) => {
    const target = peekAnnotation(ingress, "rewrite-target");
    return takeAnnotation(ingress, "use-regex", booleanIn) === true || (target !== "" && target !== path);
  };
  const cause = locations.find(isPattern);
  if (cause === undefined) return locations;
  const why = `use-regex or rewrite-target of ${titleOf(cause.ingress)}`;
  const exact = new Set(locations.filter(({ pathType }) => pathType === "Exact").map(({ path }) => path));
  return locations.map((location) => {
    if (isPattern(location) || location.path === "/") return { ...location, kind: "regex" };
    const what = `${host}${location.path} is a pattern that ignores case and matches a prefix, as in ingress-nginx`;
    draft.note(titleOf(location.ingress), `${what}, because of ${why}`);
    // Beside an exact path, the prefix is written with a slash at its end (location.go: `updateServerLocations`).
    const isBeside = location.pathType === "Prefix" && exact.has(location.path) && !location.path.endsWith("/");
    return { ...location, kind: "regex", path: isBeside ? `${location.path}/` : location.path };
  });
}

function problemOf({ path, kind }: IngressLocation): string | undefined {
  if (kind !== "regex") return problemOfPath(path);
  const compiled = compilePattern(`(?i)^${path}`);
  return "problem" in compiled ? `is not valid RE2 syntax (${compiled.problem})` : undefined;
}

/** Notes a location that cannot be used. Its requests get 404 if a location behind it would take them. */
function refusedOf(
  location: IngressLocation,
  usable: readonly IngressLocation[],
  draft: Draft,
): readonly RefusedLocation[] {
  const { ingress, host, path, kind } = location;
  const problem = problemOf(location);
  if (problem === undefined) return [];
  const start = kind === "regex" ? literalStart(path) : path;
  const next = usable.find((other) => byPrecedence(location, other) <= 0 && mayShare(start, other));
  const leftOut = (outcome: string): void => {
    const loss = lossOf(next !== undefined && hasProtection(ingress));
    draft.leftOut(titleOf(ingress), `the path ${path} of ${host} ${problem}: left out${outcome}`, loss);
  };
  if (kind !== "regex" || next === undefined) {
    leftOut(
      kind === "regex" ? "; no other path of this host matches its requests" : ", so other routes match its requests",
    );
    return [];
  }
  if (start.length > 1) {
    leftOut(`; every path that begins with ${start} gets 404 here, or ${host}${next.path} would take its requests`);
    return [{ ...location, start }];
  }
  leftOut(`; its requests may reach ${host}${next.path} of ${titleOf(next.ingress)}`);
  return [];
}

/** Whether some path that begins with `start` may be one of the location. */
function mayShare(start: string, { path, kind }: IngressLocation): boolean {
  const other = (kind === "regex" ? literalStart(path) : path).toLowerCase();
  return other.startsWith(start.toLowerCase()) || start.toLowerCase().startsWith(other);
}

/** The text with which all paths begin that match the pattern; empty if it is not known. */
function literalStart(pattern: string): string {
  const plain = pattern.replace(/\\./gs, "--");
  // Alternatives of the whole pattern begin with texts of their own; those in a group come after the start.
  let outside = plain.replace(/\[[^\]]*\]/g, "");
  for (let before = ""; before !== outside; ) {
    before = outside;
    outside = outside.replace(/\([^()]*\)/g, "");
  }
  if (outside.includes("|")) return "";
  const [start = ""] = /^(?:[\w/~!@%&=:;,<>"'`# -]|\\[^\w\s])*/.exec(pattern) ?? [];
  // A quantifier belongs to the character before it.
  const sure = /^[*?+{]/.test(pattern.slice(start.length)) ? start.replace(/\\?.$/su, "") : start;
  const text = sure.replace(/\\(.)/g, "$1");
  return text.startsWith("/") ? text : "";
}

/** Perch compares paths in normal form as well, but would take a path of the file for its normal form. */
function problemOfPath(path: string): string | undefined {
  if (!accepts(urlPath, encodedPath(path))) return "is not a path";
  if (!/\/\/|\/\.{1,2}(?:\/|$)|%/.test(path)) return undefined;
  return "has no request, as nginx compares it with the decoded path without empty and dot segments";
}

/** nginx compares paths decoded, Perch as clients write them. */
export function encodedPath(path: string): string {
  return encodeURI(path.toWellFormed());
}

/** Other hosts that nginx serves with the same locations. One that has an Ingress of its own is not among them. */
function aliasesOf(
  host: string,
  locations: readonly IngressLocation[],
  taken: Set<string>,
  draft: Draft,
): readonly string[] {
  const aliases: string[] = [];
  for (const ingress of new Set(locations.map((location) => location.ingress))) {
    const listed = takeAnnotation(ingress, "server-alias", (text) => text.split(/[\s,]+/).filter(Boolean)) ?? [];
    const plain = listed.filter((one) => accepts(hostPattern, one.toLowerCase()));
    for (const alias of listed.filter((one) => !plain.includes(one))) {
      const message = `server-alias ${alias}: left out: patterns have no equivalent; list the hosts in \`match.hosts\``;
      draft.note(titleOf(ingress), message);
    }
    for (const alias of plain.map((one) => one.toLowerCase())) {
      if (host !== "" && !taken.has(alias)) {
        aliases.push(alias);
        taken.add(alias);
      } else if (!aliases.includes(alias)) {
        draft.note(
          titleOf(ingress),
          `server-alias ${alias} of ${host || "any host"}: left out, as it is served already`,
        );
      }
    }
  }
  return aliases;
}

/** The order in which nginx matches: exact paths, then the others by length, and patterns of a length backwards. */
export function byPrecedence(a: IngressLocation, b: IngressLocation): number {
  const byLength = kindRank[a.kind] - kindRank[b.kind] || b.path.length - a.path.length;
  if (byLength !== 0 || a.kind !== "regex" || a.path === b.path) return byLength;
  return a.path < b.path ? 1 : -1;
}

const kindRank = { exact: 0, regex: 1, prefix: 1 } as const;

export function hostsMatch({ host, aliases }: IngressServer): YamlMap {
  return host === "" ? {} : { hosts: [host, ...aliases] };
}

/** What a pattern that is not known may match. */
export function refusedMatch(server: IngressServer, { start }: RefusedLocation): YamlMap {
  return { ...hostsMatch(server), path: { regex: `(?i)^${escaped(encodedPath(start))}` } };
}

export function matchOf(server: IngressServer, { path, kind }: Pick<IngressLocation, "path" | "kind">): YamlMap {
  const hosts = hostsMatch(server);
  if (kind !== "exact" && path === "/") return hosts;
  if (kind === "prefix") return { ...hosts, path: prefixMatch(server, path) };
  return { ...hosts, path: kind === "exact" ? { exact: encodedPath(path) } : { regex: `(?i)^${path}` } };
}

/** Perch ignores a slash at the end of a prefix, which tells `/a/` from `/a` where a server has both. */
function prefixMatch({ locations }: IngressServer, path: string): YamlMap {
  const encoded = encodedPath(path);
  const without = encoded.replace(/\/+$/, "");
  const isTwofold = without !== encoded && locations.some((other) => encodedPath(other.path) === without);
  return isTwofold ? { regex: `^${escaped(encoded)}` } : { prefix: without || "/" };
}

/** The servers that serve hosts which other servers name more exactly. */
export class WiderServers {
  /** Without the `*.`; empty: any host. */
  readonly #hosts: ReadonlySet<string>;

  constructor(servers: readonly IngressServer[]) {
    const served = servers.filter(({ locations }) => locations.length > 0);
    const hosts = served.flatMap(({ host, aliases }) => [host, ...aliases]);
    this.#hosts = new Set(hosts.filter((host) => host === "" || host.startsWith("*.")).map((host) => host.slice(2)));
  }

  get coversAnyHost(): boolean {
    return this.#hosts.has("");
  }

  /** Whether requests that no location of the server takes would get to another server, where nginx answers 404. */
  take({ host, aliases, locations }: IngressServer): boolean {
    if (host === "" || locations.some(({ kind, path }) => kind !== "exact" && path === "/")) return false;
    return this.#hosts.has("") || [host, ...aliases].some((name) => this.#isBelow(name.replace(/^\*\./, "")));
  }

  #isBelow(name: string): boolean {
    for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) {
      if (this.#hosts.has(name.slice(dot + 1))) return true;
    }
    return false;
  }
}

export function isCanary(ingress: Manifest): boolean {
  return takeAnnotation(ingress, "canary", booleanIn) === true;
}
