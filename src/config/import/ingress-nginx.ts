import type { Draft, DraftVersion } from "./draft.ts";
import { canaryRelease } from "./ingress-canary.ts";
import { annotation, byPrecedence, type IngressLocation, locationsOf, matchOf } from "./ingress-locations.ts";
import { ingressRedirect, ingressRoute, noteTheRest, schemeOf, serviceSettings } from "./ingress-settings.ts";
import { type Manifest, titleOf } from "./manifests.ts";
import { ServicePorts } from "./weighted-versions.ts";

/** Imports Ingresses and their canary Ingresses with the semantics of ingress-nginx. */
export function importIngresses(manifests: readonly Manifest[], draft: Draft): void {
  const ingresses = manifests.filter(({ kind, group }) => kind === "Ingress" && group === "networking.k8s.io");
  const isCanary = (ingress: Manifest) => annotation(ingress, "canary") === "true";
  const mains = ingresses.filter((ingress) => !isCanary(ingress)).flatMap((ingress) => locationsOf(ingress, draft));
  const canaries = ingresses.filter(isCanary).flatMap((ingress) => locationsOf(ingress, draft));
  const importer = new IngressImporter(draft, new ServicePorts(manifests, draft));
  for (const main of withoutDuplicates(mains, draft).sort(byPrecedence))
    importer.add(main, canaryOf(main, canaries, draft));
  for (const canary of canaries) {
    if (mains.some((main) => samePlace(main, canary))) continue;
    const place = `${canary.host}${canary.path}`;
    draft.note(titleOf(canary.ingress), `no other Ingress has ${place}, so this canary had no effect: left out`);
  }
  for (const ingress of ingresses) noteTheRest(ingress, draft);
}

/** ingress-nginx lets the oldest Ingress win. The input may lack ages, so the first one wins here. */
function withoutDuplicates(locations: readonly IngressLocation[], draft: Draft): IngressLocation[] {
  return locations.filter((location, index) => {
    const first = locations.findIndex((other) => samePlace(other, location) && other.kind === location.kind);
    if (first === index) return true;
    draft.note(
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
    draft.note(
      titleOf(other.ingress),
      `${main.host}${main.path} already has a canary, and ingress-nginx supports only one: left out. In Perch it can be a third version`,
    );
  }
  return first;
}

function samePlace(a: IngressLocation, b: IngressLocation): boolean {
  return a.host === b.host && a.path === b.path;
}

class IngressImporter {
  readonly #draft: Draft;
  readonly #ports: ServicePorts;
  /**
   * By main and canary Ingress. The paths of a pair share a release, so that a page and its API get the same version.
   */
  readonly #releases = new Map<string, string>();

  constructor(draft: Draft, ports: ServicePorts) {
    this.#draft = draft;
    this.#ports = ports;
  }

  add(main: IngressLocation, canary: IngressLocation | undefined): void {
    const draft = this.#draft;
    const { ingress } = main;
    const name = draft.name("route", ingress.name);
    const comment = `${titleOf(ingress)}${canary === undefined ? "" : `, canary by ${titleOf(canary.ingress)}`}`;
    const redirect = ingressRedirect(main);
    if (redirect !== undefined) {
      const settings = { redirect };
      draft.routes.push({ name, match: matchOf(main), service: undefined, release: undefined, settings, comment });
      return;
    }
    const versions: DraftVersion[] = [{ name: "stable", endpoints: [this.#originOf(main, ingress)] }];
    if (canary !== undefined) versions.push({ name: "canary", endpoints: [this.#originOf(canary, ingress)] });
    draft.routes.push({
      name,
      ...ingressRoute(main, draft),
      service: draft.service(main.serviceName, versions, serviceSettings(ingress)),
      release: canary === undefined ? undefined : this.#releaseOf(ingress, canary.ingress),
      comment,
    });
  }

  /** The scheme comes from the main Ingress: ingress-nginx ignores other annotations of canaries. */
  #originOf({ ingress, serviceName, port }: IngressLocation, main: Manifest): string {
    const scheme = schemeOf(main, this.#draft);
    return this.#ports.origin(scheme, ingress.namespace, serviceName, port, titleOf(ingress));
  }

  #releaseOf(main: Manifest, canary: Manifest): string {
    const pair = `${titleOf(main)} ${titleOf(canary)}`;
    const known = this.#releases.get(pair);
    if (known !== undefined) return known;
    const name = this.#draft.name("release", main.name);
    this.#releases.set(pair, name);
    this.#draft.releases.push({
      name,
      settings: canaryRelease(main, canary, this.#draft),
      comment: titleOf(canary),
    });
    return name;
  }
}
