import { compilePattern } from "../../pattern.ts";
import { hostPattern, urlPath } from "../../scalars.ts";
import { accepts } from "../accepts.ts";
import type { Draft, YamlMap } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import type { SourceObject } from "../source-object.ts";
import { booleanIn, peekAnnotation, takeAnnotation } from "./ingress-annotations.ts";

/** One path of one host of one Ingress, with the Service behind it. */
export interface IngressLocation {
  readonly ingress: Manifest;
  /** Empty: any host. */
  readonly host: string;
  readonly path: string;
  readonly pathType: string;
  readonly kind: "exact" | "prefix" | "regex";
  readonly serviceName: string;
  readonly port: SourceObject;
}

/** What nginx calls a server: a host with its other names and its locations, in the order in which they match. */
export interface IngressServer {
  /** Empty: any host. */
  readonly host: string;
  readonly aliases: readonly string[];
  readonly locations: readonly IngressLocation[];
}

/** Every path of an Ingress, its default backend last. */
export function locationsOf(ingress: Manifest, draft: Draft): IngressLocation[] {
  const { spec } = ingress;
  const found: IngressLocation[] = [];
  spec.dismiss("ingressClassName");
  for (const rule of spec.objects("rules")) {
    const host = rule.text("host").toLowerCase();
    for (const path of rule.object("http").objects("paths")) {
      const pathType = path.text("pathType") || "ImplementationSpecific";
      add(path.object("backend"), host, path.text("path") || "/", pathType);
    }
  }
  if (spec.has("defaultBackend")) add(spec.object("defaultBackend"), "", "/", "Prefix");
  return found;

  function add(backend: SourceObject, host: string, path: string, pathType: string): void {
    const service = backend.object("service");
    const serviceName = service.text("name");
    const port = service.object("port");
    port.dismiss();
    if (serviceName === "") {
      backend.dismiss();
      draft.leftOut(titleOf(ingress), `${host}${path} has a backend that is not a Service: left out`);
      return;
    }
    if (host !== "" && !accepts(hostPattern, host)) {
      draft.leftOut(titleOf(ingress), `${host} is not a host: left out`);
      return;
    }
    const kind = pathType === "Exact" ? "exact" : "prefix";
    found.push({ ingress, host, path, pathType, kind, serviceName, port });
  }
}

/** The servers of all main Ingresses in the order of precedence: exact hosts, wildcards, any host. */
export function serversOf(locations: readonly IngressLocation[], draft: Draft): IngressServer[] {
  const hosts = [...new Set(locations.map(({ host }) => host))];
  const ordered = hosts.toSorted((a, b) => hostRank(a) - hostRank(b) || (hostRank(a) === 1 ? b.length - a.length : 0));
  const taken = new Set(hosts);
  return ordered.map((host) => {
    const ofHost = locations.filter((location) => location.host === host);
    const typed = withPatterns(host, ofHost, draft).filter((location) => isUsable(location, draft));
    return { host, aliases: aliasesOf(host, ofHost, taken, draft), locations: typed.sort(byPrecedence) };
  });
}

function hostRank(host: string): number {
  if (host === "") return 2;
  return host.startsWith("*.") ? 1 : 0;
}

/**
 * A single location with a pattern or a rewrite turns all paths of its host, of all Ingresses, into patterns that
 * ignore case and match prefixes (template.go: `enforceRegexModifier`).
 */
function withPatterns(host: string, locations: readonly IngressLocation[], draft: Draft): IngressLocation[] {
  const isPattern = ({ ingress, path }: IngressLocation) => {
    const target = peekAnnotation(ingress, "rewrite-target");
    return takeAnnotation(ingress, "use-regex", booleanIn) === true || (target !== "" && target !== path);
  };
  const cause = locations.filter(isPattern)[0];
  if (cause === undefined) {
    for (const { ingress, path, pathType } of locations) {
      if (pathType !== "ImplementationSpecific" || path.endsWith("/")) continue;
      draft.note(titleOf(ingress), `${host}${path} also matched ${path}x; Perch matches whole segments`);
    }
    return [...locations];
  }
  const why = `use-regex or rewrite-target of ${titleOf(cause.ingress)}`;
  for (const location of locations.filter((one) => !isPattern(one) && one.path !== "/")) {
    const what = `${host}${location.path} is a pattern that ignores case and matches a prefix, as in ingress-nginx`;
    draft.note(titleOf(location.ingress), `${what}, because of ${why}`);
  }
  return locations.map((location) => ({ ...location, kind: "regex" }));
}

function isUsable({ ingress, host, path, kind }: IngressLocation, draft: Draft): boolean {
  const compiled = kind === "regex" ? compilePattern(`(?i)^${path}`) : undefined;
  const problem =
    compiled !== undefined && "problem" in compiled
      ? `is not valid RE2 syntax (${compiled.problem})`
      : kind !== "regex" && !accepts(urlPath, path)
        ? "is not a path"
        : undefined;
  if (problem === undefined) return true;
  draft.leftOut(
    titleOf(ingress),
    `the path ${path} of ${host} ${problem}: left out, so other routes match its requests`,
  );
  return false;
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

/** The order in which nginx matches: exact paths, then the others by length. */
function byPrecedence(a: IngressLocation, b: IngressLocation): number {
  return kindRank[a.kind] - kindRank[b.kind] || b.path.length - a.path.length;
}

const kindRank = { exact: 0, regex: 1, prefix: 1 } as const;

export function hostsMatch({ host, aliases }: IngressServer): YamlMap {
  return host === "" ? {} : { hosts: [host, ...aliases] };
}

export function matchOf(server: IngressServer, { path, kind }: Pick<IngressLocation, "path" | "kind">): YamlMap {
  const hosts = hostsMatch(server);
  if (kind !== "exact" && path === "/") return hosts;
  if (kind === "prefix") return { ...hosts, path: { prefix: path.replace(/\/+$/, "") || "/" } };
  return { ...hosts, path: kind === "exact" ? { exact: path } : { regex: `(?i)^${path}` } };
}

export function isCanary(ingress: Manifest): boolean {
  return takeAnnotation(ingress, "canary", booleanIn) === true;
}
