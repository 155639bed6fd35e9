import type { Draft, DraftRoute, DraftVersion, YamlMap, YamlValue } from "../draft.ts";
import { errorRoute } from "../error-routes.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { ServicePorts } from "../service-ports.ts";
import { mirrorOf } from "../weighted-versions.ts";
import type { ControllerConfig } from "./controller-config.ts";
import { accessFault } from "./ingress-access.ts";
import { affinityRelease, hasAffinity } from "./ingress-affinity.ts";
import { onlyRedirects, takeAnnotation } from "./ingress-annotations.ts";
import { canaryRelease } from "./ingress-canary.ts";
import { type IngressLocation, type IngressServer, matchOf } from "./ingress-locations.ts";
import { annotatedRedirect, type RedirectRoute } from "./ingress-redirects.ts";
import { schemeOf, serviceSettings } from "./ingress-service.ts";
import { ingressRoute, type ServedLocation } from "./ingress-settings.ts";

type UnnamedRoute = Omit<DraftRoute, "name" | "comment" | "sources">;

/** Adds the routes of locations to a draft, with their services and releases. */
export class IngressRoutes {
  readonly #draft: Draft;
  readonly #controller: ControllerConfig;
  readonly #ports: ServicePorts;
  readonly #configMaps: ReadonlyMap<string, Manifest>;
  /**
   * By main and canary Ingress. The paths of a pair share a release, so that a page and its API get the same version.
   */
  readonly #releases = new Map<string, string>();

  constructor(manifests: readonly Manifest[], controller: ControllerConfig, draft: Draft) {
    const configMaps = manifests.filter(({ kind, group }) => kind === "ConfigMap" && group === "");
    this.#draft = draft;
    this.#controller = controller;
    this.#ports = new ServicePorts(manifests, draft);
    this.#configMaps = new Map(configMaps.map((map) => [`${map.namespace}/${map.name}`, map]));
  }

  addRedirect({ match, redirect }: RedirectRoute, { locations }: IngressServer): void {
    const [first] = locations;
    if (first === undefined) return;
    const name = this.#draft.name("route", `${first.ingress.name}-redirect`);
    const comment = titleOf(first.ingress);
    const reply = { service: undefined, release: undefined, settings: { redirect } };
    this.#draft.routes.push({ name, match, ...reply, comment, sources: [comment] });
  }

  /** A route that answers 404, for requests that would otherwise get to a later one. */
  addNotFound(match: YamlMap, source: string): void {
    const name = this.#draft.name("route", "not-found");
    const comment = `${source}: not found`;
    this.#draft.routes.push(errorRoute({ name, match, comment, sources: [source] }, 404, this.#draft));
  }

  add(main: IngressLocation, server: IngressServer, canary: IngressLocation | undefined, isCertified: boolean): void {
    const { ingress } = main;
    const sources = [ingress, ...(canary === undefined ? [] : [canary.ingress])].map(titleOf);
    const comment = sources.join(", canary by ");
    const route = onlyRedirects(ingress)
      ? this.#redirected(main, server)
      : this.#forwarded({ ...main, server, isCertified }, canary);
    if (route === undefined) this.addNotFound(matchOf(server, main), titleOf(ingress));
    else this.#draft.routes.push({ name: this.#draft.name("route", ingress.name), ...route, comment, sources });
  }

  #redirected(main: IngressLocation, server: IngressServer): UnnamedRoute | undefined {
    const redirect = annotatedRedirect(main, this.#draft);
    if (redirect === undefined) return undefined;
    return { match: matchOf(server, main), service: undefined, release: undefined, settings: { redirect } };
  }

  #forwarded(main: ServedLocation, canary: IngressLocation | undefined): UnnamedRoute | undefined {
    const draft = this.#draft;
    const { ingress } = main;
    const route = ingressRoute(main, this.#configMaps, this.#controller, draft);
    if (route === undefined) return undefined;
    const mirror = mirrorOrigin(ingress);
    const versions: DraftVersion[] = [{ name: "stable", endpoints: [this.#endpointOf(main, ingress)] }];
    if (canary !== undefined) versions.push({ name: "canary", endpoints: [this.#endpointOf(canary, ingress)] });
    if (mirror !== undefined) versions.push({ name: "mirror", endpoints: [mirror] });
    const needsRelease = versions.length > 1 || hasAffinity(ingress);
    return {
      match: route.match,
      service: draft.service(main.serviceName, versions, serviceSettings(ingress, this.#controller, draft)),
      release: needsRelease ? this.#releaseOf(ingress, canary?.ingress, mirror !== undefined) : undefined,
      settings: { ...route.settings, ...accessFault(ingress, main.server, this.#controller, draft) },
    };
  }

  /** The scheme comes from the main Ingress: ingress-nginx ignores other annotations of canaries. */
  #endpointOf({ ingress, serviceName, port }: IngressLocation, main: Manifest): YamlValue {
    const scheme = schemeOf(main, this.#draft);
    const pods = this.#ports.pods(ingress.namespace, serviceName, port, titleOf(ingress));
    if (pods !== undefined) return { ...pods, ...(scheme === "http" ? {} : { scheme }) };
    return this.#ports.origin(scheme, ingress.namespace, serviceName, port, titleOf(ingress));
  }

  #releaseOf(main: Manifest, canary: Manifest | undefined, isMirrored: boolean): string {
    const pair = `${titleOf(main)} ${canary === undefined ? "" : titleOf(canary)}`;
    const known = this.#releases.get(pair);
    if (known !== undefined) return known;
    const wanted = canary === undefined ? affinityRelease(main, this.#draft) : canaryRelease(main, canary, this.#draft);
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
