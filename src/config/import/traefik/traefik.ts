import { hasHost } from "../../host-pattern.ts";
import type { Draft, DraftCertificate, YamlMap } from "../draft.ts";
import { certificateOf, isYamlMap } from "../draft.ts";
import { byAge, type Manifest, titleOf } from "../manifests.ts";
import { type Advice, noteUnread } from "../notes.ts";
import { ServicePorts } from "../service-ports.ts";
import { SourceObject } from "../source-object.ts";
import { weightedService } from "../weighted-versions.ts";
import { type EntryPoints, entryPointsOf } from "./entry-points.ts";
import { type MiddlewareEffects, Middlewares } from "./middlewares.ts";
import { rewriteOf } from "./path-changes.ts";
import { matchesOfRule, type RuleMatch, type RuleSyntax } from "./rule-matches.ts";
import { TraefikServices, type TraefikTarget } from "./traefik-services.ts";

/** The API groups of Traefik 3 and of Traefik 2. */
export const traefikGroups: readonly string[] = ["traefik.io", "traefik.containo.us"];

/** The listener of an entry point, and the middlewares of all its routes. */
interface Place {
  readonly listeners: readonly string[];
  readonly middlewares: readonly string[];
}

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
  const ofTraefik = manifests.filter(({ group }) => traefikGroups.includes(group));
  const routes = ofTraefik.filter(({ kind }) => kind === "IngressRoute").toSorted(byAge);
  if (routes.length === 0) return;
  const importer = new TraefikImporter(manifests, ofTraefik, entryPointsOf(all), draft);
  importer.findSecurePorts(routes.filter(({ spec }) => spec.has("tls")));
  importer.addGlobalRedirects();
  // Traefik tries the longer rule first, unless a priority says otherwise.
  const placed = routes.flatMap(placedRoutes).toSorted((a, b) => b.priority - a.priority);
  for (const route of placed) importer.add(route);
  for (const manifest of ofTraefik) {
    manifest.spec.dismiss("ingressClassName");
    noteUnread(manifest, advice, draft);
  }
}

const advice: Readonly<Record<string, Advice>> = {
  clientAuth: { text: "clients needed a certificate; no equivalent", protects: true },
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
  readonly #options: ReadonlySet<string>;
  readonly #entryPoints: EntryPoints;
  /** Those where a route has TLS. */
  readonly #securePorts: Set<number>;

  constructor(manifests: readonly Manifest[], ofTraefik: readonly Manifest[], entryPoints: EntryPoints, draft: Draft) {
    this.#entryPoints = entryPoints;
    this.#securePorts = new Set([...entryPoints.secure].flatMap((name) => entryPoints.ports.get(name) ?? []));
    this.#draft = draft;
    const options = ofTraefik.filter(({ kind }) => kind === "TLSOption");
    this.#options = new Set(options.map(({ namespace, name }) => `${namespace}/${name}`));
    this.#services = new TraefikServices(ofTraefik, new ServicePorts(manifests, draft), draft);
    this.#middlewares = new Middlewares(ofTraefik, draft);
  }

  /** Finds the ports where objects with `tls` are served. A listener cannot serve plain HTTP beside TLS. */
  findSecurePorts(withTls: readonly Manifest[]): void {
    const add = (name: string) => {
      const port = this.#entryPoints.ports.get(name);
      if (port !== undefined && !this.#isPlain(name)) this.#securePorts.add(port);
    };
    const named = withTls.map(({ spec }) => entryPointNames(spec));
    for (const name of named.flat()) add(name);
    if (named.some((names) => names.length === 0)) for (const name of this.#defaults(true)) add(name);
  }

  /** Entry points that redirect to https do so before every route. */
  addGlobalRedirects(): void {
    for (const entryPoint of this.#entryPoints.redirecting) {
      const port = this.#entryPoints.ports.get(entryPoint);
      if (port === undefined) continue;
      this.#draft.routes.push({
        name: this.#draft.name("route", `${entryPoint}-to-https`),
        match: { listeners: [this.#draft.listener(port)], scheme: "http" },
        service: undefined,
        release: undefined,
        settings: { redirect: { scheme: "https", status: 308 } },
        comment: `the entry point ${entryPoint} of Traefik`,
      });
    }
  }

  add({ manifest, route }: PlacedRoute): void {
    const where = titleOf(manifest);
    const rule = route.text("match");
    const problem = this.#addRoute(manifest, route, rule);
    if (problem === undefined) return;
    this.#draft.leftOut(where, `the route ${rule} is left out: ${problem}; other routes may match its requests`);
    route.dismiss();
  }

  /** Why the route is left out; undefined if it is not. */
  #addRoute(manifest: Manifest, route: SourceObject, rule: string): string | undefined {
    const { namespace } = manifest;
    const where = titleOf(manifest);
    if (manifest.spec.has("parentRefs")) return "it has parents, whose rules narrow its own";
    const places = this.#places(manifest);
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
    for (const one of problems) {
      this.#draft.leftOut(
        where,
        `a part of the route ${rule} is left out: ${one}; other routes may match its requests`,
      );
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
      });
    }
  }

  #addForwarding(
    { match, pathPrefix }: RuleMatch,
    effects: MiddlewareEffects,
    { backends, settings, release, ownHost }: TraefikTarget,
    manifest: Manifest,
  ): void {
    const comment = titleOf(manifest);
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
        ...withForwardedPrefix(effects, pathPrefix),
      },
      comment,
    });
  }

  /** Where the object's routes are served, or why they are not. */
  #places(manifest: Manifest): readonly Place[] | { readonly problem: string } {
    const { spec, namespace } = manifest;
    const { ports, secure } = this.#entryPoints;
    const hasTls = spec.has("tls");
    const certificates = this.#certificates(spec.object("tls"), namespace);
    const written = entryPointNames(spec);
    const names = written.length > 0 ? written : this.#defaults(hasTls);
    const unknown = names.filter((name) => !ports.has(name));
    if (unknown.length > 0 && unknown.length === names.length) {
      const known = [...ports.keys()].join(", ");
      return { problem: `the port of its entry point ${unknown.join(", ")} is not known, only those of ${known}` };
    }
    if (unknown.length > 0) {
      this.#draft.leftOut(`the entry point ${unknown.join(", ")}`, "left out for all routes: its port is not known");
    }
    const known = names.filter((name) => ports.has(name));
    // With `tls` a route takes requests over TLS only, on every entry point.
    const isServed = (name: string) =>
      hasTls ? !this.#isPlain(name) : secure.has(name) || !this.#securePorts.has(ports.get(name) ?? 0);
    const served = known.filter(isServed);
    if (served.length === 0 && hasTls) return { problem: "it has `tls`, and its entry points are those of plain HTTP" };
    const mixed = known.filter((name) => !hasTls && !isServed(name)).join(", ");
    const why = `without \`tls\` it was served over plain HTTP on ${mixed || "the default entry points"}, beside routes with TLS, and a listener cannot do both`;
    if (served.length === 0) return { problem: why };
    if (mixed !== "") this.#draft.leftOut(titleOf(manifest), `left out on the entry point ${mixed}: ${why}`);
    return served.map((name) => {
      const isSecure = hasTls || secure.has(name);
      const port = ports.get(name) ?? 0;
      const listener = this.#draft.listener(port, isSecure ? certificates : undefined);
      if (isSecure && certificates.length === 0) this.#noteCertificate(name, listener);
      if (!isSecure && port === 443) {
        this.#draft.note(`the entry point ${name}`, "neither it nor a route has `tls`: its listener is for plain HTTP");
      }
      return { listeners: [listener], middlewares: this.#entryPoints.middlewares.get(name) ?? [] };
    });
  }

  /** Whether all that an entry point serves is plain HTTP. */
  #isPlain(name: string): boolean {
    const { ports, redirecting, secure } = this.#entryPoints;
    return !secure.has(name) && (ports.get(name) === 80 || redirecting.includes(name));
  }

  /** The entry points of objects that name none. */
  #defaults(hasTls: boolean): readonly string[] {
    const { defaults, ports, secure } = this.#entryPoints;
    const isSecure = (name: string) => secure.has(name) || this.#securePorts.has(ports.get(name) ?? 0);
    if (!hasTls) {
      return defaults.length === 0 ? ["web"] : defaults.filter((name) => secure.has(name) || !isSecure(name));
    }
    const found = defaults.filter((name) => isSecure(name) || (!this.#isPlain(name) && /secure|https|tls/.test(name)));
    return found.length === 0 ? ["websecure"] : found;
  }

  #noteCertificate(name: string, listener: string): void {
    const source = "where no Secret is named, Traefik uses a certificate of its resolver or its default";
    this.#draft.note(`the entry point ${name}`, `${source}: add those to the listener ${listener}`);
  }

  #certificates(tls: SourceObject, namespace: string): readonly DraftCertificate[] {
    const secret = tls.text("secretName");
    const options = tls.object("options");
    // The notes of a TLSOption say what it does.
    const isKnown = this.#options.has(`${options.peek("namespace") ?? namespace}/${options.peek("name")}`);
    if (isKnown) tls.dismiss("options");
    // Hints for those who issue certificates.
    tls.dismiss("domains", "store", "certResolver");
    return secret === "" ? [] : [certificateOf(namespace, secret)];
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
    const key = JSON.stringify(effects);
    merged.set(key, { listeners: [...new Set([...(merged.get(key)?.listeners ?? []), ...listeners])], effects });
  }
  return [...merged.values()];
}

const entryPointNames = (spec: SourceObject): readonly string[] =>
  spec.texts("entryPoints").map((name) => name.toLowerCase());

/** Version 2 is that of the older API group. In the newer one it shows by what only it has. */
function syntaxOf({ group }: Manifest, route: SourceObject, rule: string): RuleSyntax {
  const written = route.text("syntax");
  if (written === "v2" || written === "v3") return written;
  const isOlder = /\b(?:HostHeader|Headers|HeadersRegexp)\(|HostRegexp\(`[^`]*\{\w*:|Query\(`[^`]*=/.test(rule);
  return group === "traefik.containo.us" || isOlder ? "v2" : "v3";
}

function mayHaveHost({ hosts }: YamlMap, host: string): boolean {
  if (!Array.isArray(hosts)) return true;
  return hosts.some((one) => hasHost(String(one), host));
}

/** Traefik names the prefix that it strips, where every request of the route has it. */
function withForwardedPrefix({ settings, prefixes }: MiddlewareEffects, pathPrefix: string | undefined): YamlMap {
  const [prefix] = prefixes;
  if (prefixes.length !== 1 || prefix === undefined || pathPrefix?.startsWith(prefix) !== true) return settings;
  const { requestHeaders } = settings;
  const removed = isYamlMap(requestHeaders) ? requestHeaders["remove"] : undefined;
  if (Array.isArray(removed) && removed.includes("x-forwarded-prefix")) return settings;
  const edits = typeof requestHeaders === "object" && !Array.isArray(requestHeaders) ? (requestHeaders as YamlMap) : {};
  const set = typeof edits["set"] === "object" && !Array.isArray(edits["set"]) ? (edits["set"] as YamlMap) : {};
  return { ...settings, requestHeaders: { ...edits, set: { "x-forwarded-prefix": prefix, ...set } } };
}
