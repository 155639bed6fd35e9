import { rateLimitSchema } from "../../sections/rate-limit.ts";
import { problemWith } from "../accepts.ts";
import type { Draft } from "../draft.ts";
import { type Manifest, olderFirst, titleOf } from "../manifests.ts";
import { noteUnread } from "../notes.ts";
import { asCatchAll } from "./catch-all.ts";
import { ControllerConfig } from "./controller-config.ts";
import { noteOtherAnnotations, onlyRedirects, peekAnnotation, positive } from "./ingress-annotations.ts";
import { nginxIngresses } from "./ingress-classes.ts";
import {
  byPrecedence,
  hostsMatch,
  type IngressLocation,
  type IngressRules,
  type IngressServer,
  isCanary,
  matchOf,
  refusedMatch,
  rulesOf,
  serversOf,
  WiderServers,
} from "./ingress-locations.ts";
import { addedRedirects, redirectsToHttps, toHttps } from "./ingress-redirects.ts";
import { IngressRoutes } from "./ingress-routes.ts";
import { certifiedHosts, importListeners } from "./ingress-tls.ts";

/** The API groups of Ingresses. */
const groups: ReadonlySet<string> = new Set(["networking.k8s.io", "extensions"]);

/** Imports Ingresses and their canary Ingresses with the semantics of ingress-nginx. */
export function importIngresses(manifests: readonly Manifest[], draft: Draft): void {
  const all = manifests.filter(({ kind, group }) => kind === "Ingress" && groups.has(group));
  // The older Ingress wins.
  const ingresses = nginxIngresses(all, manifests, draft)
    .toSorted(olderFirst)
    .map((ingress) => asCatchAll(ingress, draft));
  if (ingresses.length === 0) return;
  const mains = ingresses.filter((ingress) => !isCanary(ingress)).map((ingress) => rulesOf(ingress, draft));
  const servers = serversOf(mains, draft);
  const canaries = new Canaries(ingresses.filter(isCanary), draft);
  const controller = new ControllerConfig(manifests, draft);
  const routes = new IngressRoutes(manifests, controller, draft);
  const certified = certifiedHosts(mains.map(ingressOf));
  const wider = new WiderServers(servers);
  const hosts = new Set(servers.flatMap(({ host, aliases }) => [host, ...aliases]));
  for (const server of servers) {
    const redirected = new Set(server.locations.filter((one) => redirectsToHttps(one, certified, controller, draft)));
    const isWhole = redirected.size > 0 && redirected.size === server.locations.length;
    if (isWhole)
      routes.addRedirect({ match: { ...hostsMatch(server), scheme: "http" }, redirect: toHttps(controller) }, server);
    for (const route of addedRedirects(server, hosts, controller, draft)) routes.addRedirect(route, server);
    const refused = [...server.refused];
    for (const location of server.locations) {
      while (refused[0] !== undefined && byPrecedence(refused[0], location) <= 0) {
        routes.addNotFound(refusedMatch(server, refused[0]), titleOf(refused[0].ingress));
        refused.shift();
      }
      const match = { ...matchOf(server, location), scheme: "http" };
      if (!isWhole && redirected.has(location)) routes.addRedirect({ match, redirect: toHttps(controller) }, server);
      routes.add(location, server, canaries.of(location), certified.covers(server.host));
    }
    if (wider.take(server)) routes.addNotFound(hostsMatch(server), server.host);
    noteDeeperHosts(server, wider, draft);
  }
  canaries.noteUnused(servers, mains);
  importListeners(mains.map(ingressOf), draft);
  const served = new Set(servers.flatMap(({ locations }) => locations.map(({ ingress }) => ingress)));
  noteSharedLimits(served, draft);
  for (const ingress of ingresses) {
    // Of an Ingress without a usable path the notes say why it has none.
    if (!served.has(ingress) && !isCanary(ingress)) continue;
    noteOtherAnnotations(ingress, isCanary(ingress), draft);
    noteUnread(ingress, {}, draft);
  }
  controller.noteTheRest(draft);
}

/** nginx counts the requests of a client to all paths of an Ingress together, Perch those of each route. */
function noteSharedLimits(ingresses: ReadonlySet<Manifest>, draft: Draft): void {
  const counts = new Map<string, number>();
  for (const { sources, settings } of draft.routes) {
    // One that Perch does not accept is left out, with a note of its own.
    if (settings["rateLimit"] === undefined || problemWith(rateLimitSchema, settings["rateLimit"])) continue;
    const [where = ""] = sources;
    counts.set(where, (counts.get(where) ?? 0) + 1);
  }
  for (const ingress of ingresses) {
    const count = counts.get(titleOf(ingress)) ?? 0;
    if (count < 2) continue;
    const name = positive(peekAnnotation(ingress, "limit-rps")) === undefined ? "limit-rpm" : "limit-rps";
    const what = `${name} was one limit per client for all ${count} paths of this Ingress`;
    draft.noteLostProtection(
      titleOf(ingress),
      `${what}; here each route has its own, so a client may send up to ${count} times as many requests`,
    );
  }
}

function noteDeeperHosts(server: IngressServer, wider: WiderServers, draft: Draft): void {
  const [first] = server.locations;
  if (!server.host.startsWith("*.") || first === undefined || !wider.coversAnyHost) return;
  const hosts = `hosts more than one label below ${server.host}`;
  draft.note(titleOf(first.ingress), `${hosts} get 404; ingress-nginx served them by an Ingress without a host`);
}

/** The locations of canary Ingresses. */
class Canaries {
  /** By what they share with their main Ingresses. */
  readonly #locations = new Map<string, IngressLocation[]>();
  /** Those whose annotations count. */
  readonly #chosen = new Set<Manifest>();
  readonly #draft: Draft;

  constructor(ingresses: readonly Manifest[], draft: Draft) {
    this.#draft = draft;
    for (const ingress of ingresses) {
      // The certificates are those of the main Ingress.
      ingress.spec.dismiss("tls");
      const { locations, defaultBackend } = rulesOf(ingress, draft);
      for (const location of defaultBackend === undefined ? locations : [...locations, defaultBackend]) {
        const same = this.#locations.get(location.key);
        if (same === undefined) this.#locations.set(location.key, [location]);
        else same.push(location);
      }
    }
  }

  of(main: IngressLocation): IngressLocation | undefined {
    const [first, ...more] = this.#locations.get(main.key) ?? [];
    for (const other of more) {
      this.#draft.leftOut(
        titleOf(other.ingress),
        `${main.host}${main.path} already has a canary, and ingress-nginx supports only one: left out. In Perch it can be a third version`,
      );
    }
    if (first === undefined) return undefined;
    if (onlyRedirects(main.ingress)) {
      const why = `the requests of ${main.host}${main.path} are only redirected, so it had no effect: left out`;
      this.#draft.leftOut(titleOf(first.ingress), why);
      return undefined;
    }
    if (backendOf(first) !== backendOf(main)) {
      this.#chosen.add(first.ingress);
      return first;
    }
    this.#draft.leftOut(
      titleOf(first.ingress),
      `its Service is that of ${main.host}${main.path}, so it had no effect: left out`,
    );
    return undefined;
  }

  /** Names canaries without a main Ingress, and those that got requests of other paths as well. */
  noteUnused(servers: readonly IngressServer[], written: readonly IngressRules[]): void {
    const mains = servers.flatMap(({ locations }) => locations);
    const keys = new Set(mains.map(({ key }) => key));
    const known = new Set(written.flatMap(({ locations }) => locations.map(({ key }) => key)));
    const unused = [...this.#locations.values()].flat().filter(({ key }) => !keys.has(key));
    for (const { ingress, host, path, pathType, key } of unused) {
      const described = `${host}${path} with pathType ${pathType}`;
      const why = known.has(key)
        ? `${described} of the main Ingress is left out, and so is its canary`
        : `no other Ingress has ${described}, so this canary had no effect: left out`;
      this.#draft.leftOut(titleOf(ingress), why);
    }
    for (const { ingress } of [...this.#locations.values()].flat()) {
      if (!this.#chosen.has(ingress)) ingress.annotations.dismiss();
    }
    this.#noteShared(mains);
  }

  /** ingress-nginx adds a canary to a Service, and so to all paths of that Service (`mergeAlternativeBackend`). */
  #noteShared(mains: readonly IngressLocation[]): void {
    const alone = new Map<string, IngressLocation>();
    for (const main of mains) if (!this.#locations.has(main.key)) alone.set(backendOf(main), main);
    for (const main of mains) {
      const [canary] = this.#locations.get(main.key) ?? [];
      const other = canary === undefined ? undefined : alone.get(backendOf(main));
      if (canary === undefined || other === undefined) continue;
      const what = `a canary applied to all paths of the Service ${main.serviceName}, as to ${other.host}${other.path}`;
      this.#draft.note(titleOf(canary.ingress), `${what}; here it applies to its own paths only`);
    }
  }
}

function ingressOf({ ingress }: { readonly ingress: Manifest }): Manifest {
  return ingress;
}

function backendOf({ ingress, serviceName, port }: IngressLocation): string {
  return JSON.stringify([ingress.namespace, serviceName, port.peek("number"), port.peek("name")]);
}
