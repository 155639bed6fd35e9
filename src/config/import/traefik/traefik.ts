import { hasHost } from "../../host-pattern.ts";
import { type Draft, isYamlMap, lossOf, type YamlMap } from "../draft.ts";
import { byAge, type Manifest, titleOf } from "../manifests.ts";
import { type Advice, noteUnread } from "../notes.ts";
import { ServicePorts } from "../service-ports.ts";
import { SourceObject } from "../source-object.ts";
import { weightedService } from "../weighted-versions.ts";
import { type EntryPoints, entryPointsOf } from "./entry-points.ts";
import { type MiddlewareEffects, Middlewares } from "./middlewares.ts";
import { rewriteOf } from "./path-changes.ts";
import { TraefikPlaces } from "./places.ts";
import { matchesOfRule, type RuleMatch, type RuleSyntax } from "./rule-matches.ts";
import { TraefikServices, type TraefikTarget } from "./traefik-services.ts";
import { filesWithRoutes, variablesOf } from "./traefik-settings.ts";

/** The API groups of Traefik 3 and of Traefik 2. */
export const traefikGroups: readonly string[] = ["traefik.io", "traefik.containo.us"];

interface PlacedRoute {
  readonly manifest: Manifest;
  readonly route: SourceObject;
  readonly priority: number;
}

/**
 * Imports IngressRoutes, with the Middlewares, TraefikServices and ServersTransports that they refer to. `all` may have
 * Traefik's own Deployment, which names its entry points.
 */
export function importIngressRoutes(manifests: readonly Manifest[], all: readonly Manifest[], draft: Draft): void {
  for (const file of all.flatMap(filesWithRoutes)) {
    draft.leftOut(
      file,
      "left out: routes and middlewares of Traefik in files are not read: check what they protect",
      "protection",
    );
  }
  const ofTraefik = manifests.filter(({ group }) => traefikGroups.includes(group));
  const routes = ofTraefik.filter(({ kind }) => kind === "IngressRoute").toSorted(byAge);
  if (routes.length === 0) return;
  const entryPoints = entryPointsOf(all);
  noteOtherSettings(entryPoints, all, draft);
  // Each class is that of a Traefik of its own. That of objects without a class comes first.
  const classes = [...Map.groupBy(routes, className)].toSorted(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, ofClass] of classes) {
    draft.from(name === "" ? "Traefik" : `Traefik ${name}`, () => {
      const importer = new TraefikImporter(manifests, ofTraefik, entryPoints, draft);
      importer.findSecurePorts(ofClass.filter(({ spec }) => spec.has("tls")));
      importer.addGlobalRedirects();
      // Traefik tries the longer rule first, unless a priority says otherwise.
      const placed = ofClass.flatMap(placedRoutes).toSorted((a, b) => b.priority - a.priority);
      for (const route of placed) importer.add(route);
    });
  }
  for (const manifest of ofTraefik) {
    manifest.spec.dismiss("ingressClassName");
    noteUnread(manifest, advice, draft);
  }
}

/** The class of Traefik that serves an object; empty for one without a class. */
function className({ annotations, spec }: Manifest): string {
  const written = annotations.text("kubernetes.io/ingress.class") || spec.text("ingressClassName");
  return written === "traefik" ? "" : written;
}

function noteOtherSettings({ others, readsFiles }: EntryPoints, all: readonly Manifest[], draft: Draft): void {
  for (const [name, keys] of others) {
    const where = `the entry point ${name}`;
    const isOf = (start: string) => keys.some((key) => key.startsWith(start));
    if (isOf("proxyprotocol")) {
      draft.note(where, "proxyProtocol: set `proxyProtocol` of its listener, and `trustedProxies`: else it fails");
    }
    if (isOf("forwardedheaders")) draft.note(where, "forwardedHeaders: set `trustedProxies`");
    const rest = keys.filter((key) => !/^(?:proxyprotocol|forwardedheaders)/.test(key));
    if (rest.length > 0) draft.note(where, `${rest.join(", ")}: not imported`);
  }
  if (readsFiles) draft.note("Traefik", "its provider `file` is on: routes and middlewares in files are not read");
  for (const manifest of all) {
    const names = variablesOf(manifest);
    if (names.length === 0) continue;
    const what = `${names.slice(0, 5).join(", ")}: variables that configure Traefik are not read`;
    draft.note(titleOf(manifest), `${what}: write their settings as arguments, and import again`);
  }
}

const advice: Readonly<Record<string, Advice>> = {
  clientAuth: { text: "clients needed a certificate: set `clientCa` of the listener", protects: true },
  sniStrict: { text: "not imported: clients that ask for another host get the first certificate", protects: true },
  peerCertURI: { text: "the service's certificate had to name this; no equivalent", protects: true },
  spiffe: { text: "the service's certificate had to name one of these; no equivalent", protects: true },
  cipherSuites: { text: "no equivalent; see `minVersion` of the listener" },
  middlewares: { text: "not imported: middlewares of a single service may protect it", protects: true },
  minVersion: { text: "not imported: set `minVersion` of the listener https" },
  options: { text: "not imported: the TLSOption may require certificates of clients", protects: true },
  certificatesSecrets: { text: "not imported: set `tls.cert` and `tls.key` of the service" },
};

function placedRoutes(manifest: Manifest): PlacedRoute[] {
  return manifest.spec.objects("routes").map((route) => {
    route.dismiss("kind", "observability");
    const length = Buffer.byteLength(route.text("match"));
    return { manifest, route, priority: route.number("priority") || length };
  });
}

class TraefikImporter {
  readonly #draft: Draft;
  readonly #services: TraefikServices;
  readonly #middlewares: Middlewares;
  readonly #entryPoints: EntryPoints;
  readonly #places: TraefikPlaces;

  constructor(manifests: readonly Manifest[], ofTraefik: readonly Manifest[], entryPoints: EntryPoints, draft: Draft) {
    this.#entryPoints = entryPoints;
    this.#places = new TraefikPlaces(ofTraefik, entryPoints, draft);
    this.#draft = draft;
    const { skipsVerification } = entryPoints;
    this.#services = new TraefikServices(ofTraefik, new ServicePorts(manifests, draft), { skipsVerification, draft });
    this.#middlewares = new Middlewares(ofTraefik, draft);
  }

  /** To be called with all objects that have `tls`, before their routes are added. */
  findSecurePorts(withTls: readonly Manifest[]): void {
    this.#places.findSecurePorts(withTls);
  }

  /** Entry points that redirect to https do so before every route. */
  addGlobalRedirects(): void {
    for (const [entryPoint, status] of this.#entryPoints.redirecting) {
      const port = this.#entryPoints.ports.get(entryPoint);
      if (port === undefined) continue;
      this.#draft.routes.push({
        name: this.#draft.name("route", `${entryPoint}-to-https`),
        match: { listeners: [this.#draft.listener(port)], scheme: "http" },
        service: undefined,
        release: undefined,
        settings: { redirect: { scheme: "https", status } },
        comment: `the entry point ${entryPoint} of Traefik`,
        sources: [],
      });
    }
  }

  add({ manifest, route }: PlacedRoute): void {
    const where = titleOf(manifest);
    const rule = route.text("match");
    const problem = this.#addRoute(manifest, route, rule);
    if (problem === undefined) return;
    const { lost } = this.#middlewares.effects(route.objects("middlewares"), manifest.namespace, where);
    this.#draft.leftOut(
      where,
      `the route ${rule} is left out: ${problem}; ${mayMatch([...new Set(lost)])}`,
      lossOf(lost.length > 0),
    );
    route.dismiss();
  }

  /** Why the route is left out; undefined if it is not. */
  #addRoute(manifest: Manifest, route: SourceObject, rule: string): string | undefined {
    const { namespace } = manifest;
    const where = titleOf(manifest);
    if (manifest.spec.has("parentRefs")) return "it has parents, whose rules narrow its own";
    const places = this.#places.of(manifest);
    if ("problem" in places) return places.problem;
    const { matches, problems } = matchesOfRule(rule, syntaxOf(manifest, route, rule));
    if (matches.length === 0) return problems.join("; ");
    const own = route.objects("middlewares");
    const placed = places.map(({ listeners, middlewares }) => {
      const all = [...middlewares.map((name) => new SourceObject({ name })), ...own];
      return { listeners, effects: this.#middlewares.effects(all, namespace, where) };
    });
    const failed = placed.find(({ effects }) => effects.problem !== undefined);
    if (failed !== undefined) return failed.effects.problem;
    const target = this.#services.target(route.objects("services"), namespace, where);
    if ("problem" in target && placed.some(({ effects }) => effects.redirects.length === 0)) return target.problem;
    const lost = [...new Set(placed.flatMap(({ effects }) => effects.lost))];
    for (const one of problems) {
      const what = `a part of the route ${rule} is left out: ${one}; ${mayMatch(lost)}`;
      this.#draft.leftOut(where, what, lossOf(lost.length > 0));
    }
    for (const one of lost) this.#draft.noteLostProtection(where, one);
    const limit = placed.find(({ effects }) => effects.limit !== undefined)?.effects.limit;
    const count = matches.length * mergedPlaces(placed).length;
    if (limit !== undefined && count > 1) {
      const what = `rateLimit of ${limit.title}: the route became ${count} routes, of which each counts by itself`;
      this.#draft.note(where, what);
    }
    for (const { listeners, effects } of mergedPlaces(placed)) {
      for (const match of matches) {
        const here = { ...match, match: { listeners, ...match.match } };
        this.#addRedirects(here, effects, manifest);
        if (!("problem" in target)) this.#addForwarding(here, effects, target, manifest);
      }
    }
    return undefined;
  }

  #addRedirects({ match }: RuleMatch, { redirects }: MiddlewareEffects, manifest: Manifest): void {
    for (const { redirect, scheme, host } of redirects) {
      const hosts = host === undefined ? {} : { hosts: [host] };
      if (host !== undefined && !mayHaveHost(match, host)) continue;
      this.#draft.routes.push({
        name: this.#draft.name("route", `${manifest.name}-redirect`),
        match: { ...match, ...hosts, ...(scheme === undefined ? {} : { scheme }) },
        service: undefined,
        release: undefined,
        settings: { redirect },
        comment: titleOf(manifest),
        sources: [titleOf(manifest)],
      });
    }
  }

  #addForwarding(
    { match, pathPrefix }: RuleMatch,
    effects: MiddlewareEffects,
    { backends, settings, release, ownHost, objects }: TraefikTarget,
    manifest: Manifest,
  ): void {
    const sources = [titleOf(manifest), ...objects];
    const comment = sources.join(", ");
    const wanted = {
      service: backends[0]?.name ?? manifest.name,
      release: manifest.name,
      settings: { ...settings, ...effects.retries },
      comment,
    };
    const host = effects.host || (ownHost ? "upstream" : "");
    const rewrite = { ...(host === "" ? {} : { host }), ...rewriteOf(effects.path) };
    this.#draft.routes.push({
      name: this.#draft.name("route", manifest.name),
      match,
      ...weightedService(backends, wanted, release, this.#draft),
      settings: {
        ...(Object.keys(rewrite).length === 0 ? {} : { rewrite }),
        ...this.#withForwardedPrefix(effects, pathPrefix, comment),
      },
      comment,
      sources,
    });
  }

  /** Traefik names the prefix that it strips, where every request of the route has it. */
  #withForwardedPrefix(
    { settings, prefixes, stripsByPattern }: MiddlewareEffects,
    pathPrefix: string | undefined,
    where: string,
  ): YamlMap {
    if (prefixes.length === 0 && !stripsByPattern) return settings;
    const requestHeaders = isYamlMap(settings["requestHeaders"]) ? settings["requestHeaders"] : {};
    const { set, remove } = requestHeaders;
    if (Array.isArray(remove) && remove.includes("x-forwarded-prefix")) return settings;
    const prefix = stripsByPattern ? undefined : strippedPrefix(prefixes, pathPrefix);
    if (prefix === undefined) {
      const what = "X-Forwarded-Prefix is not sent: the prefix that is stripped differs from request to request";
      this.#draft.note(where, what);
      return settings;
    }
    const fields = { "x-forwarded-prefix": prefix, ...(isYamlMap(set) ? set : {}) };
    return { ...settings, requestHeaders: { ...requestHeaders, set: fields } };
  }
}

interface PlacedEffects {
  readonly listeners: readonly string[];
  readonly effects: MiddlewareEffects;
}

/** Listeners with the same effects share a route. */
function mergedPlaces(placed: readonly PlacedEffects[]): readonly PlacedEffects[] {
  const merged = new Map<string, PlacedEffects>();
  for (const { listeners, effects } of placed) {
    const key = JSON.stringify({ ...effects, lost: [] });
    merged.set(key, { listeners: [...new Set([...(merged.get(key)?.listeners ?? []), ...listeners])], effects });
  }
  return [...merged.values()];
}

/** Version 2 is that of the older API group. In the newer one it shows by what only it has. */
function syntaxOf({ group }: Manifest, route: SourceObject, rule: string): RuleSyntax {
  const written = route.text("syntax");
  if (written === "v2" || written === "v3") return written;
  const isOlder =
    /\b(?:HostHeader|Headers|HeadersRegexp)\(|\b(?:Host|Method|Path|PathPrefix)\(`[^`]*`\s*,|HostRegexp\(`[^`]*\{\w*:|Query\(`[^`]*=/.test(
      rule,
    );
  return group === "traefik.containo.us" || isOlder ? "v2" : "v3";
}

function mayHaveHost({ hosts }: YamlMap, host: string): boolean {
  if (!Array.isArray(hosts)) return true;
  return hosts.some((one) => hasHost(String(one), host));
}

/** What becomes of the requests of a route that is left out, and what does not protect them there. */
function mayMatch(lost: readonly string[]): string {
  const without = lost.length === 0 ? "" : `, without what protected them: ${lost.join("; ")}`;
  return `other routes may match its requests${without}`;
}

/** The prefix that goes from every path that begins so: the first of the list that fits, if none before may fit too. */
function strippedPrefix(prefixes: readonly string[], pathPrefix: string | undefined): string | undefined {
  if (pathPrefix === undefined) return undefined;
  const first = prefixes.find((one) => pathPrefix.startsWith(one) || one.startsWith(pathPrefix));
  return first !== undefined && pathPrefix.startsWith(first) ? first : undefined;
}
