import type { Draft, DraftVersion, YamlMap } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { noteUnread } from "../notes.ts";
import { mirrorOf, ServicePorts } from "../weighted-versions.ts";
import { noteOtherAnnotations, onlyRedirects, peekAnnotation, takeAnnotation } from "./ingress-annotations.ts";
import { canaryRelease } from "./ingress-canary.ts";
import {
  hostsMatch,
  type IngressLocation,
  type IngressServer,
  isCanary,
  locationsOf,
  matchOf,
  serversOf,
} from "./ingress-locations.ts";
import {
  addedRedirects,
  annotatedRedirect,
  noteTls,
  type RedirectRoute,
  redirectsToHttps,
  tlsHosts,
  toHttps,
} from "./ingress-redirects.ts";
import { schemeOf, serviceSettings } from "./ingress-service.ts";
import { ingressRoute } from "./ingress-settings.ts";

/** Imports Ingresses and their canary Ingresses with the semantics of ingress-nginx. */
export function importIngresses(manifests: readonly Manifest[], draft: Draft): void {
  const ingresses = manifests.filter(({ kind, group }) => kind === "Ingress" && group === "networking.k8s.io");
  const mains = ingresses.filter((ingress) => !isCanary(ingress));
  const places = mains.flatMap((ingress) => locationsOf(ingress, draft));
  const canaries = ingresses.filter(isCanary).flatMap((ingress) => locationsOf(ingress, draft));
  const servers = serversOf(withoutDuplicates(places, draft), draft);
  const certified = mains.flatMap(tlsHosts);
  const importer = new IngressImporter(manifests, draft);
  for (const server of servers) {
    const redirected = new Set(server.locations.filter((one) => redirectsToHttps(one, certified, draft)));
    const all = redirected.size > 0 && redirected.size === server.locations.length;
    if (all) importer.addRedirect({ match: { ...hostsMatch(server), scheme: "http" }, redirect: toHttps }, server);
    for (const route of addedRedirects(server, servers, draft)) importer.addRedirect(route, server);
    for (const location of server.locations) {
      const match = { ...matchOf(server, location), scheme: "http" };
      if (!all && redirected.has(location)) importer.addRedirect({ match, redirect: toHttps }, server);
      importer.add(location, server, canaryOf(location, canaries, draft));
    }
  }
  for (const canary of canaries) {
    if (places.some((main) => samePlace(main, canary))) continue;
    const place = `${canary.host}${canary.path} with pathType ${canary.pathType}`;
    draft.leftOut(titleOf(canary.ingress), `no other Ingress has ${place}, so this canary had no effect: left out`);
    if (!canaries.some((other) => other.ingress === canary.ingress && places.some((main) => samePlace(main, other)))) {
      canary.ingress.annotations.dismiss();
    }
  }
  const served = new Set(servers.flatMap(({ locations }) => locations.map(({ ingress }) => ingress)));
  for (const ingress of ingresses) {
    // Of an Ingress without a usable path the notes say why it has none.
    if (served.has(ingress) || isCanary(ingress)) noteTheRest(ingress, draft);
  }
}

/** ingress-nginx lets the oldest Ingress win. The input may lack ages, so the first one wins here. */
function withoutDuplicates(locations: readonly IngressLocation[], draft: Draft): IngressLocation[] {
  return locations.filter((location, index) => {
    const first = locations.findIndex((other) => samePlace(other, location));
    if (first === index) return true;
    draft.leftOut(
      titleOf(location.ingress),
      `${location.host}${location.path} is already served by another Ingress: left out`,
    );
    return false;
  });
}

function canaryOf(
  main: IngressLocation,
  canaries: readonly IngressLocation[],
  draft: Draft,
): IngressLocation | undefined {
  const [first, ...more] = canaries.filter((canary) => samePlace(main, canary));
  for (const other of more) {
    draft.leftOut(
      titleOf(other.ingress),
      `${main.host}${main.path} already has a canary, and ingress-nginx supports only one: left out. In Perch it can be a third version`,
    );
  }
  return first;
}

/** A canary counts for a location of the same path type only (controller.go: `mergeAlternativeBackends`). */
function samePlace(a: IngressLocation, b: IngressLocation): boolean {
  return a.host === b.host && a.path === b.path && a.pathType === b.pathType;
}

/** Says what is not imported of an Ingress whose routes are complete. */
function noteTheRest(ingress: Manifest, draft: Draft): void {
  noteOtherAnnotations(ingress, isCanary(ingress), draft);
  const isForwarded = !isCanary(ingress) && !onlyRedirects(ingress);
  if (isForwarded && peekAnnotation(ingress, "proxy-body-size") === "") {
    draft.note(
      titleOf(ingress),
      "bodies were limited to 1 MiB by default; Perch has no limit unless `maxBodySize` is set",
    );
  }
  if (!isCanary(ingress)) noteTls(ingress, draft);
  noteUnread(ingress, {}, draft);
}

class IngressImporter {
  readonly #draft: Draft;
  readonly #ports: ServicePorts;
  readonly #configMaps: ReadonlyMap<string, Manifest>;
  /**
   * By main and canary Ingress. The paths of a pair share a release, so that a page and its API get the same version.
   */
  readonly #releases = new Map<string, string>();

  constructor(manifests: readonly Manifest[], draft: Draft) {
    const maps = manifests.filter(({ kind, group }) => kind === "ConfigMap" && group === "");
    this.#draft = draft;
    this.#ports = new ServicePorts(manifests, draft);
    this.#configMaps = new Map(maps.map((map) => [`${map.namespace}/${map.name}`, map]));
  }

  addRedirect({ match, redirect }: RedirectRoute, { locations }: IngressServer): void {
    const [first] = locations;
    if (first === undefined) return;
    const name = this.#draft.name("route", `${first.ingress.name}-redirect`);
    const comment = titleOf(first.ingress);
    this.#draft.routes.push({ name, match, service: undefined, release: undefined, settings: { redirect }, comment });
  }

  add(main: IngressLocation, server: IngressServer, canary: IngressLocation | undefined): void {
    const draft = this.#draft;
    const { ingress } = main;
    const comment = `${titleOf(ingress)}${canary === undefined ? "" : `, canary by ${titleOf(canary.ingress)}`}`;
    if (onlyRedirects(ingress)) {
      const redirect = annotatedRedirect(main, draft);
      if (redirect === undefined) return;
      const name = draft.name("route", ingress.name);
      const match = matchOf(server, main);
      draft.routes.push({ name, match, service: undefined, release: undefined, settings: { redirect }, comment });
      return;
    }
    const mirror = mirrorOrigin(ingress);
    const versions: DraftVersion[] = [{ name: "stable", endpoints: [this.#originOf(main, ingress)] }];
    if (canary !== undefined) versions.push({ name: "canary", endpoints: [this.#originOf(canary, ingress)] });
    if (mirror !== undefined) versions.push({ name: "mirror", endpoints: [mirror] });
    const route = ingressRoute(main, server, this.#configMaps, draft);
    draft.routes.push({
      name: draft.name("route", ingress.name),
      ...route,
      service: draft.service(main.serviceName, versions, serviceSettings(ingress, draft)),
      release: versions.length === 1 ? undefined : this.#releaseOf(ingress, canary?.ingress, mirror !== undefined),
      comment,
    });
  }

  /** The scheme comes from the main Ingress: ingress-nginx ignores other annotations of canaries. */
  #originOf({ ingress, serviceName, port }: IngressLocation, main: Manifest): string {
    const scheme = schemeOf(main, this.#draft);
    return this.#ports.origin(scheme, ingress.namespace, serviceName, port, titleOf(ingress));
  }

  #releaseOf(main: Manifest, canary: Manifest | undefined, isMirrored: boolean): string {
    const pair = `${titleOf(main)} ${canary === undefined ? "" : titleOf(canary)}`;
    const known = this.#releases.get(pair);
    if (known !== undefined) return known;
    const wanted = canary === undefined ? { split: { stable: 1 } } : canaryRelease(main, canary, this.#draft);
    const settings = isMirrored ? mirroring(wanted) : wanted;
    const name = this.#draft.newRelease(main.name, settings, titleOf(canary ?? main));
    this.#releases.set(pair, name);
    return name;
  }
}

/** The release with a version that gets copies only. */
function mirroring(release: YamlMap): YamlMap {
  const { split } = release;
  const weights = typeof split === "object" && !Array.isArray(split) ? split : {};
  return { ...release, split: { ...weights, mirror: 0 }, mirror: mirrorOf("mirror", 100) };
}

/** Where requests are mirrored to with their paths, as in `https://copy.example$request_uri`. */
function mirrorOrigin(ingress: Manifest): string | undefined {
  return takeAnnotation(ingress, "mirror-target", (text) => {
    const [, scheme, host, port] = /^(https?):\/\/([A-Za-z0-9.-]+)(?::(\d+))?\/?\$request_uri$/.exec(text) ?? [];
    if (scheme === undefined) return undefined;
    return `${scheme}://${host}:${port ?? (scheme === "https" ? 443 : 80)}`;
  });
}
