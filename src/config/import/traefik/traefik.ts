import type { Draft, DraftCertificate, YamlMap } from "../draft.ts";
import { certificateOf } from "../draft.ts";
import { byAge, type Manifest, titleOf } from "../manifests.ts";
import { type Advice, noteUnread } from "../notes.ts";
import type { SourceObject } from "../source-object.ts";
import { ServicePorts, weightedService } from "../weighted-versions.ts";
import { type EntryPoints, entryPointsOf } from "./entry-points.ts";
import { type MiddlewareEffects, Middlewares } from "./middlewares.ts";
import { rewriteOf } from "./path-changes.ts";
import { matchesOfRule, type RuleMatch, type RuleSyntax } from "./rule-matches.ts";
import { TraefikServices, type TraefikTarget } from "./traefik-services.ts";

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
  const ofTraefik = manifests.filter(({ group }) => traefikGroups.includes(group));
  const routes = ofTraefik.filter(({ kind }) => kind === "IngressRoute").toSorted(byAge);
  if (routes.length === 0) return;
  const importer = new TraefikImporter(manifests, ofTraefik, entryPointsOf(all), draft);
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

  constructor(manifests: readonly Manifest[], ofTraefik: readonly Manifest[], entryPoints: EntryPoints, draft: Draft) {
    this.#entryPoints = entryPoints;
    this.#draft = draft;
    const options = ofTraefik.filter(({ kind }) => kind === "TLSOption");
    this.#options = new Set(options.map(({ namespace, name }) => `${namespace}/${name}`));
    this.#services = new TraefikServices(ofTraefik, new ServicePorts(manifests, draft), draft);
    this.#middlewares = new Middlewares(ofTraefik, draft);
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
    const listeners = this.#listeners(manifest);
    if ("problem" in listeners) return listeners.problem;
    const { matches, problems } = matchesOfRule(rule, syntaxOf(manifest, route, rule));
    if (matches.length === 0) return problems.join("; ");
    const effects = this.#middlewares.effects(route.objects("middlewares"), namespace, where);
    if (effects.problem !== undefined) return effects.problem;
    const target = this.#services.target(route.objects("services"), namespace, where);
    if ("problem" in target && effects.redirects.length === 0) return target.problem;
    for (const one of problems) {
      this.#draft.leftOut(
        where,
        `a part of the route ${rule} is left out: ${one}; other routes may match its requests`,
      );
    }
    for (const match of matches) {
      const placed = { ...match, match: { ...listeners.match, ...match.match } };
      this.#addRedirects(placed, effects, manifest);
      if (!("problem" in target)) this.#addForwarding(placed, effects, target, manifest);
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

  /** The listeners of the entry points, or why the object's routes have none. */
  #listeners({ spec, namespace }: Manifest): { readonly match: YamlMap } | { readonly problem: string } {
    const names = spec.texts("entryPoints");
    const hasTls = spec.has("tls");
    const certificates = this.#certificates(spec.object("tls"), namespace);
    if (hasTls && names.length === 0 && certificates.length === 0) this.#noteCertificate();
    if (names.length === 0) {
      return { match: hasTls ? { listeners: [this.#draft.listener(443, certificates)] } : {} };
    }
    const found = names.map((name) => this.#entryPoints.ports.get(name.toLowerCase()));
    const unknown = names.filter((name) => !this.#entryPoints.ports.has(name.toLowerCase()));
    if (unknown.length === names.length) {
      const known = [...this.#entryPoints.ports.keys()].join(", ");
      return { problem: `the port of its entry point ${unknown.join(", ")} is not known, only those of ${known}` };
    }
    if (unknown.length > 0) {
      this.#draft.leftOut(`the entry point ${unknown.join(", ")}`, "left out for all routes: its port is not known");
    }
    // With `tls` a route takes requests over TLS only, on every entry point.
    const ports = new Set(found.filter((port) => port !== undefined));
    if (hasTls) ports.delete(80);
    if (ports.size === 0) return { problem: "it has `tls`, and its entry points are those of plain HTTP" };
    if (ports.has(443) && certificates.length === 0) this.#noteCertificate();
    const listeners = [...ports].map((port) => this.#draft.listener(port, port === 443 ? certificates : undefined));
    return { match: { listeners } };
  }

  #noteCertificate(): void {
    const source = "where no Secret is named, Traefik uses a certificate of its resolver or its default";
    this.#draft.note("the entry point websecure", `${source}: add those to the listener https`);
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

/** Version 2 is that of the older API group. In the newer one it shows by what only it has. */
function syntaxOf({ group }: Manifest, route: SourceObject, rule: string): RuleSyntax {
  const written = route.text("syntax");
  if (written === "v2" || written === "v3") return written;
  const isOlder = /\b(?:HostHeader|Headers|HeadersRegexp)\(|HostRegexp\(`[^`]*\{\w*:|Query\(`[^`]*=/.test(rule);
  return group === "traefik.containo.us" || isOlder ? "v2" : "v3";
}

function mayHaveHost({ hosts }: YamlMap, host: string): boolean {
  if (!Array.isArray(hosts)) return true;
  return hosts.some((one) => one === host || (String(one).startsWith("*.") && host.endsWith(String(one).slice(1))));
}

/** Traefik names the prefix that it strips, where every request of the route has it. */
function withForwardedPrefix({ settings, prefixes }: MiddlewareEffects, pathPrefix: string | undefined): YamlMap {
  const [prefix] = prefixes;
  if (prefixes.length !== 1 || prefix === undefined || pathPrefix?.startsWith(prefix) !== true) return settings;
  const { requestHeaders } = settings;
  const edits = typeof requestHeaders === "object" && !Array.isArray(requestHeaders) ? (requestHeaders as YamlMap) : {};
  const set = typeof edits["set"] === "object" && !Array.isArray(edits["set"]) ? (edits["set"] as YamlMap) : {};
  return { ...settings, requestHeaders: { ...edits, set: { "x-forwarded-prefix": prefix, ...set } } };
}
