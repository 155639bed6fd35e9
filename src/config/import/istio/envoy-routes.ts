import type { Draft, DraftRoute, YamlMap } from "../draft.ts";
import { errorRoute } from "../error-routes.ts";
import { covers } from "../hostnames.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { anyHost, type VirtualHost } from "./istio-hosts.ts";

/** A route that is not in the draft yet, since its place depends on the other VirtualServices. */
export interface EnvoyRoute {
  readonly virtualHost: VirtualHost;
  readonly route: Omit<DraftRoute, "name">;
  readonly wantedName: string;
  /** Whether it matches every request of its virtual host. */
  readonly isCatchAll: boolean;
}

/**
 * Routes in the order in which Envoy finds them. It chooses the most specific host of a listener, and then the first
 * route of that host; the routes of wider hosts do not count, so what no route of a host matches gets 404.
 */
export class EnvoyRoutes {
  readonly #redirects: EnvoyRoute[] = [];
  readonly #routes: EnvoyRoute[] = [];
  readonly #virtualHosts: { readonly virtualHost: VirtualHost; readonly where: string }[] = [];

  /** A virtual host of a VirtualService, with routes or without. */
  addVirtualHost(virtualHost: VirtualHost, where: string): void {
    this.#virtualHosts.push({ virtualHost, where });
  }

  /** A redirect of plain requests to https, which stands before the routes of its specificity. */
  addRedirect(virtualHost: VirtualHost, gateway: Manifest, draft: Draft): void {
    const match = { ...virtualHostMatch(virtualHost, draft), scheme: "http" };
    const settings = { redirect: { scheme: "https", status: 301 } };
    const comment = titleOf(gateway);
    const route = { match, service: undefined, release: undefined, settings, comment, sources: [comment] };
    this.#redirects.push({ virtualHost, route, wantedName: `${gateway.name}-to-https`, isCatchAll: false });
  }

  add(route: EnvoyRoute): void {
    this.#routes.push(route);
  }

  /** Adds the routes to the draft. Of several VirtualServices of a host those that match everything are last. */
  write(draft: Draft): void {
    const virtualHosts = [...this.#virtualHosts, ...this.#redirects].map(({ virtualHost }) => virtualHost.specificity);
    for (const level of [...new Set(virtualHosts)].sort((a, b) => b - a)) {
      for (const { virtualHost, route, wantedName } of this.#redirects) {
        if (virtualHost.specificity === level) draft.routes.push({ ...route, name: draft.name("route", wantedName) });
      }
      const routes = this.#routes.filter(({ virtualHost }) => virtualHost.specificity === level);
      const last = (one: EnvoyRoute): number => Number(one.isCatchAll);
      for (const { route, wantedName } of routes.toSorted((a, b) => last(a) - last(b))) {
        draft.routes.push({ ...route, name: draft.name("route", wantedName) });
      }
      for (const open of this.#openVirtualHosts(level)) addNotFound(open.virtualHost, open.where, draft);
    }
  }

  /** Virtual hosts of a level with requests that no route of theirs matches, and that routes of wider hosts would. */
  #openVirtualHosts(level: number): readonly { readonly virtualHost: VirtualHost; readonly where: string }[] {
    return this.#virtualHosts.flatMap(({ virtualHost, where }) => {
      if (virtualHost.specificity !== level || virtualHost.hosts.length === 0) return [];
      const hosts = virtualHost.hosts.filter(
        (host) => this.#isOpen(host, virtualHost) && this.#hasWider(host, virtualHost),
      );
      return hosts.length === 0 ? [] : [{ virtualHost: { ...virtualHost, hosts }, where }];
    });
  }

  #isOpen(host: string, { listeners }: VirtualHost): boolean {
    return !this.#routes.some(
      ({ virtualHost, isCatchAll }) =>
        isCatchAll && virtualHost.hosts.includes(host) && includesAll(virtualHost.listeners, listeners),
    );
  }

  #hasWider(host: string, { listeners, specificity }: VirtualHost): boolean {
    return [...this.#routes, ...this.#redirects].some(({ virtualHost }) => {
      if (virtualHost.specificity >= specificity || !overlap(virtualHost.listeners, listeners)) return false;
      return (virtualHost.hosts.length === 0 ? [anyHost] : virtualHost.hosts).some((wider) => covers(wider, host));
    });
  }
}

/** `hosts` and `listeners` of a match; listeners that are all of the draft's are not written. */
export function virtualHostMatch(
  { hosts, listeners }: Pick<VirtualHost, "hosts" | "listeners">,
  draft: Draft,
): YamlMap {
  const isEverywhere = listeners === undefined || draft.listeners.every(({ name }) => listeners.includes(name));
  return { ...(hosts.length === 0 ? {} : { hosts }), ...(isEverywhere ? {} : { listeners }) };
}

function addNotFound(virtualHost: VirtualHost, where: string, draft: Draft): void {
  const name = draft.name("route", `${virtualHost.hosts[0]?.replace("*", "any")}-not-found`);
  const comment = `${where}: what no other route of these hosts matches; wider hosts do not count`;
  draft.routes.push(
    errorRoute({ name, match: virtualHostMatch(virtualHost, draft), comment, sources: [where] }, 404, draft),
  );
}

const includesAll = (all: VirtualHost["listeners"], some: VirtualHost["listeners"]): boolean =>
  all === undefined || (some?.every((one) => all.includes(one)) ?? false);

const overlap = (one: VirtualHost["listeners"], other: VirtualHost["listeners"]): boolean =>
  one === undefined || other === undefined || one.some((name) => other.includes(name));
