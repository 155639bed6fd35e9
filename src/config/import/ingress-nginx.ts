import type { Draft, DraftVersion } from "./draft.ts";
import { canaryRelease } from "./ingress-canary.ts";
import { annotation, byPrecedence, type IngressLocation, locationsOf, matchOf } from "./ingress-locations.ts";
import { ingressRedirect, ingressRoute, noteTheRest, schemeOf, serviceSettings } from "./ingress-settings.ts";
import { type Manifest, titleOf } from "./manifests.ts";
import { ServicePorts } from "./weighted-versions.ts";

/** Takes over Ingresses and the canary Ingresses beside them, as ingress-nginx served them. */
export function importIngresses(manifests: readonly Manifest[], draft: Draft): void {
  const ingresses = manifests.filter(({ kind, group }) => kind === "Ingress" && group === "networking.k8s.io");
  const isCanary = (ingress: Manifest) => annotation(ingress, "canary") === "true";
  const mains = ingresses.filter((ingress) => !isCanary(ingress)).flatMap((ingress) => locationsOf(ingress, draft));
  const canaries = ingresses.filter(isCanary).flatMap((ingress) => locationsOf(ingress, draft));
  const importer = new IngressImporter(draft, new ServicePorts(manifests, draft));
  for (const main of firstOfEach(mains, draft).sort(byPrecedence)) importer.add(main, canaryOf(main, canaries, draft));
  for (const canary of canaries) {
    if (mains.some((main) => samePlace(main, canary))) continue;
    const place = `${canary.host}${canary.path}`;
    draft.note(titleOf(canary.ingress), `no other Ingress has ${place}, so this canary had no effect: left out`);
  }
  for (const ingress of ingresses) noteTheRest(ingress, draft);
}

/** The oldest Ingress wins a place; which one that is, the input does not always tell, so the first does. */
function firstOfEach(locations: readonly IngressLocation[], draft: Draft): IngressLocation[] {
  return locations.filter((location, index) => {
    const first = locations.findIndex((other) => samePlace(other, location) && other.kind === location.kind);
    if (first === index) return true;
    draft.note(
      titleOf(location.ingress),
      `${location.host}${location.path} is taken by another Ingress already: left out`,
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
      `${main.host}${main.path} has a canary already, and ingress-nginx took one only: left out. In Perch it can be a third version`,
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
  /** By main and canary Ingress: paths of one pair share a release, so that a page and its API agree. */
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

  /** A canary's backend is reached as the main one is: ingress-nginx ignores all other annotations of canaries. */
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
