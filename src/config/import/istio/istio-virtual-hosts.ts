import type { Draft, DraftRoute, YamlMap } from "../draft.ts";
import { errorRoute } from "../error-routes.ts";
import { covers } from "../hostnames.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { anyHost, type Site } from "./istio-hosts.ts";

/** A route that is not in the draft yet, since its place depends on the other VirtualServices. */
export interface PlacedRoute {
  readonly site: Site;
  readonly route: Omit<DraftRoute, "name">;
  readonly wantedName: string;
  /** Whether it matches every request of its site. */
  readonly isCatchAll: boolean;
}

/**
 * Routes in the order in which Envoy finds them. It chooses the most specific host of a listener, and then the first
 * route of that host; the routes of wider hosts do not count, so what no route of a host matches gets 404.
 */
export class IstioVirtualHosts {
  readonly #redirects: PlacedRoute[] = [];
  readonly #routes: PlacedRoute[] = [];
  readonly #sites: { readonly site: Site; readonly where: string }[] = [];

  /** A site of a VirtualService, with routes or without. */
  addSite(site: Site, where: string): void {
    this.#sites.push({ site, where });
  }

  /** A redirect of plain requests to https, which stands before the routes of its specificity. */
  addRedirect(site: Site, gateway: Manifest, draft: Draft): void {
    const match = { ...siteMatch(site, draft), scheme: "http" };
    const settings = { redirect: { scheme: "https", status: 301 } };
    const comment = titleOf(gateway);
    const route = { match, service: undefined, release: undefined, settings, comment, sources: [comment] };
    this.#redirects.push({ site, route, wantedName: `${gateway.name}-to-https`, isCatchAll: false });
  }

  add(route: PlacedRoute): void {
    this.#routes.push(route);
  }

  /** Adds the routes to the draft. Of several VirtualServices of a host those that match everything are last. */
  write(draft: Draft): void {
    const sites = [...this.#sites, ...this.#redirects].map(({ site }) => site.specificity);
    for (const level of [...new Set(sites)].sort((a, b) => b - a)) {
      for (const { site, route, wantedName } of this.#redirects) {
        if (site.specificity === level) draft.routes.push({ ...route, name: draft.name("route", wantedName) });
      }
      const routes = this.#routes.filter(({ site }) => site.specificity === level);
      const last = (one: PlacedRoute): number => Number(one.isCatchAll);
      for (const { route, wantedName } of routes.toSorted((a, b) => last(a) - last(b))) {
        draft.routes.push({ ...route, name: draft.name("route", wantedName) });
      }
      for (const open of this.#openSites(level)) addNotFound(open.site, open.where, draft);
    }
  }

  /** Sites of a level with requests that no route of theirs matches, and that routes of wider hosts would. */
  #openSites(level: number): readonly { readonly site: Site; readonly where: string }[] {
    return this.#sites.flatMap(({ site, where }) => {
      if (site.specificity !== level || site.hosts.length === 0) return [];
      const hosts = site.hosts.filter((host) => this.#isOpen(host, site) && this.#hasWider(host, site));
      return hosts.length === 0 ? [] : [{ site: { ...site, hosts }, where }];
    });
  }

  #isOpen(host: string, { listeners }: Site): boolean {
    return !this.#routes.some(
      ({ site, isCatchAll }) => isCatchAll && site.hosts.includes(host) && includesAll(site.listeners, listeners),
    );
  }

  #hasWider(host: string, { listeners, specificity }: Site): boolean {
    return [...this.#routes, ...this.#redirects].some(({ site }) => {
      if (site.specificity >= specificity || !overlap(site.listeners, listeners)) return false;
      return (site.hosts.length === 0 ? [anyHost] : site.hosts).some((wider) => covers(wider, host));
    });
  }
}

/** `hosts` and `listeners` of a match; listeners that are all of the draft's are not written. */
export function siteMatch({ hosts, listeners }: Pick<Site, "hosts" | "listeners">, draft: Draft): YamlMap {
  const isEverywhere = listeners === undefined || draft.listeners.every(({ name }) => listeners.includes(name));
  return { ...(hosts.length === 0 ? {} : { hosts }), ...(isEverywhere ? {} : { listeners }) };
}

function addNotFound(site: Site, where: string, draft: Draft): void {
  const name = draft.name("route", `${site.hosts[0]?.replace("*", "any")}-not-found`);
  const comment = `${where}: what no other route of these hosts matches; wider hosts do not count`;
  draft.routes.push(errorRoute({ name, match: siteMatch(site, draft), comment, sources: [where] }, 404, draft));
}

const includesAll = (all: Site["listeners"], some: Site["listeners"]): boolean =>
  all === undefined || (some?.every((one) => all.includes(one)) ?? false);

const overlap = (one: Site["listeners"], other: Site["listeners"]): boolean =>
  one === undefined || other === undefined || one.some((name) => other.includes(name));
