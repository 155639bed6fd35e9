import type { Draft, DraftRoute } from "../draft.ts";
import { intersection } from "../hostnames.ts";
import { byAge, type Manifest, titleOf } from "../manifests.ts";
import { type Advice, noteUnread } from "../notes.ts";
import { redirectedMatch } from "../redirects.ts";
import { ServicePorts } from "../service-ports.ts";
import type { SourceObject } from "../source-object.ts";
import { EnvoyRoutes, virtualHostMatch } from "./envoy-routes.ts";
import { IstioDelegates, type IstioRoute, isDelegate } from "./istio-delegates.ts";
import { IstioDestinations } from "./istio-destinations.ts";
import { IstioGateways } from "./istio-gateways.ts";
import { hostsOf, sharedNames, type VirtualHost } from "./istio-hosts.ts";
import { type IstioMatch, leaveOut, matchesOf } from "./istio-match.ts";
import { pathRewrite, rewriteProblem } from "./istio-route-settings.ts";
import { ServiceEntries } from "./istio-service-entries.ts";
import { type Target, targetOf } from "./istio-targets.ts";

/**
 * Imports VirtualServices with the Gateways that they are bound to and the DestinationRules of their hosts. Routes of a
 * host keep their order: the first match wins. The most specific host comes first, as in Envoy.
 */
export function importVirtualServices(manifests: readonly Manifest[], draft: Draft): void {
  const ofIstio = manifests.filter(({ group }) => group === "networking.istio.io");
  const ofKind = (kind: string): readonly Manifest[] => ofIstio.filter((one) => one.kind === kind);
  // Several of one host count by age.
  const services = ofKind("VirtualService").toSorted(byAge);
  const roots = services.filter(({ spec }) => !isDelegate(spec));
  const rules = ofKind("DestinationRule");
  const entries = new ServiceEntries(ofKind("ServiceEntry"), draft);
  const scope: Scope = {
    destinations: new IstioDestinations(rules, entries, new ServicePorts(manifests, draft), draft),
    gateways: new IstioGateways(ofKind("Gateway"), roots, draft),
    delegates: new IstioDelegates(services, draft),
    envoyRoutes: new EnvoyRoutes(),
    shared: sharedNames(roots),
    draft,
  };
  const earlier = draft.routes.length;
  for (const root of roots) addService(root, scope);
  scope.gateways.addRedirects(scope.envoyRoutes);
  scope.delegates.noteUnused();
  scope.envoyRoutes.write(draft);
  scope.gateways.serveH2c(speaksHttp2(draft, draft.routes.slice(earlier)));
  for (const service of services) noteUnread(service, advice, draft);
  for (const rule of rules) noteUnread(rule, ruleAdvice, draft);
  entries.noteUnread();
}

/** The VirtualService of the first route to a service for HTTP/2; undefined if there is none. */
function speaksHttp2({ services }: Draft, routes: readonly DraftRoute[]): string | undefined {
  const names = new Set(services.filter(({ settings }) => settings["protocol"] === "http2").map(({ name }) => name));
  return routes.find(({ service }) => names.has(service ?? ""))?.comment;
}

interface Scope {
  readonly destinations: IstioDestinations;
  readonly gateways: IstioGateways;
  readonly delegates: IstioDelegates;
  readonly envoyRoutes: EnvoyRoutes;
  /** Short names of Services that mean another one in each namespace. */
  readonly shared: ReadonlyMap<string, string>;
  readonly draft: Draft;
}

const advice: Readonly<Record<string, Advice>> = {
  tls: { text: "Perch serves HTTP only", isRoute: true },
  tcp: { text: "Perch serves HTTP only", isRoute: true },
  allowOrigins: { text: "no equivalent; `cors` knows exact origins, hosts below a domain, and any" },
  mirrors: { text: "a release mirrors to one version only" },
};

const ruleAdvice: Readonly<Record<string, Advice>> = {
  interval: { text: "not imported: Perch ejects an endpoint at once, and takes it back when its time is over" },
};

/** A VirtualService, and where requests for it arrive. */
interface Served {
  readonly root: Manifest;
  readonly hosts: readonly string[];
  readonly virtualHosts: readonly VirtualHost[];
}

function addService(root: Manifest, scope: Scope): void {
  const { gateways, delegates, envoyRoutes, draft } = scope;
  const where = titleOf(root);
  // Who may see it in the mesh.
  root.spec.dismiss("exportTo");
  const hosts = hostsOf(root, scope.shared, draft);
  const virtualHosts = hosts.length === 0 ? [] : gateways.virtualHostsOf(root, hosts);
  for (const virtualHost of virtualHosts) envoyRoutes.addVirtualHost(virtualHost, where);
  if (hosts.length === 0) draft.leftOut(where, "it has no host that Perch could serve: its routes are left out");
  if (virtualHosts.length === 0) {
    root.spec.dismiss("http");
    return;
  }
  let isOver = false;
  for (const one of delegates.routesOf(root)) {
    if (isOver) {
      draft.leftOut(
        where,
        `${one.route.path} is left out: an earlier route of its VirtualService matches every request`,
      );
      one.route.dismiss();
    } else isOver = addRoute(one, { root, hosts, virtualHosts }, scope);
    // A delegate's route is no part of its manifest any more.
    if (one.owner !== root) noteUnread({ ...root, spec: one.route }, advice, draft);
  }
}

/** Returns whether the route matches every request, so that later ones have none. */
function addRoute(one: IstioRoute, served: Served, { destinations, gateways, envoyRoutes, draft }: Scope): boolean {
  const { route } = one;
  const { root, hosts, virtualHosts } = served;
  const where = titleOf(root);
  const wantedName = route.text("name") || root.name;
  const all = matchesOf(route, where, draft);
  const last = all.findIndex(isCatchAll);
  const matches = last < 0 ? all : all.slice(0, last + 1);
  const isSent = !route.has("redirect") && !route.has("directResponse");
  const problem = isSent && matches.length > 0 ? rewriteProblem(route) : undefined;
  if (problem !== undefined) {
    const why = `${problem}, and without its rewrite the path could be one that clients do not get`;
    const isOver = matches.some(isCatchAll);
    const instead = isOver ? "no route of its VirtualService matches its requests" : "later routes match its requests";
    draft.leftOut(where, `${route.path}.rewrite: ${why}: the route is left out; ${instead}`);
    route.dismiss();
    return isOver;
  }
  const target = matches.length === 0 ? undefined : targetOf(one, wantedName, root, destinations, draft);
  if (target === undefined) {
    const answers = route.has("directResponse");
    route.dismiss();
    return answers && matches.some(isCatchAll);
  }
  const { service, release } = target;
  for (const match of matches) {
    const { port, gateways: named } = match.listenerMatch;
    const isAnyListener = port === undefined && named === undefined;
    const found = isAnyListener ? { virtualHosts } : gateways.virtualHostsFor(root, hosts, match.listenerMatch);
    const placed =
      "problem" in found
        ? []
        : found.virtualHosts.flatMap((virtualHost) => withAuthority(virtualHost, match.authority));
    const problem = "problem" in found ? found.problem : "its authority is none of the hosts";
    if (placed.length === 0) leaveOut(match.path, problem, where, draft);
    if (placed.length === 0) continue;
    const own = routeOf(route, match, target, where, draft);
    for (const { virtualHost, narrowed } of placed) {
      const narrow = { ...virtualHostMatch(narrowed, draft), ...own.match };
      const placing = { virtualHost, wantedName, isCatchAll: isCatchAll(match) };
      envoyRoutes.add({ ...placing, route: { service, release, ...own, match: narrow } });
    }
  }
  return matches.some(isCatchAll);
}

const isCatchAll = ({ match, authority, listenerMatch }: IstioMatch): boolean =>
  Object.keys(match).length === 0 &&
  authority === "" &&
  listenerMatch.port === undefined &&
  listenerMatch.gateways === undefined;

/** The part of a virtual host that a match with one authority takes; empty if it takes none of it. */
function withAuthority(
  virtualHost: VirtualHost,
  authority: string,
): readonly { readonly virtualHost: VirtualHost; readonly narrowed: VirtualHost }[] {
  if (authority === "") return [{ virtualHost, narrowed: virtualHost }];
  const isHere =
    virtualHost.hosts.length === 0 || virtualHost.hosts.some((host) => intersection(host, authority) === authority);
  return isHere ? [{ virtualHost, narrowed: { ...virtualHost, hosts: [authority] } }] : [];
}

function routeOf(
  route: SourceObject,
  { match, uri }: IstioMatch,
  { host, settings: own }: Target,
  where: string,
  draft: Draft,
): Omit<DraftRoute, "name" | "service" | "release"> {
  const { redirect } = own;
  const name = route.text("name");
  const rewrite = {
    ...(host === "" ? {} : { host }),
    ...(redirect === undefined ? pathRewrite(route, uri, where, draft) : {}),
  };
  return {
    match: redirect === undefined ? match : redirectedMatch(match, redirect),
    settings: { ...(Object.keys(rewrite).length === 0 ? {} : { rewrite }), ...own },
    comment: where,
    sources: [where],
    ...(name === "" ? {} : { originalName: name }),
  };
}
