import type { Draft, DraftRoute } from "../draft.ts";
import { intersection } from "../hostnames.ts";
import { byAge, type Manifest, titleOf } from "../manifests.ts";
import { type Advice, noteUnread } from "../notes.ts";
import { redirectedMatch } from "../redirects.ts";
import { ServicePorts } from "../service-ports.ts";
import type { SourceObject } from "../source-object.ts";
import { IstioDelegates, type IstioRoute, isDelegate } from "./istio-delegates.ts";
import { IstioDestinations } from "./istio-destinations.ts";
import { IstioGateways } from "./istio-gateways.ts";
import { hostsOf, type Site, sharedNames } from "./istio-hosts.ts";
import { type IstioMatch, leaveOut, matchesOf } from "./istio-match.ts";
import { pathRewrite, rewriteProblem } from "./istio-route-settings.ts";
import { ServiceEntries } from "./istio-service-entries.ts";
import { type Target, targetOf } from "./istio-targets.ts";
import { IstioVirtualHosts, siteMatch } from "./istio-virtual-hosts.ts";

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
    virtualHosts: new IstioVirtualHosts(),
    shared: sharedNames(roots),
    draft,
  };
  const earlier = draft.routes.length;
  for (const root of roots) addService(root, scope);
  scope.gateways.addRedirects(scope.virtualHosts);
  scope.delegates.noteUnused();
  scope.virtualHosts.write(draft);
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
  readonly virtualHosts: IstioVirtualHosts;
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
  readonly sites: readonly Site[];
}

function addService(root: Manifest, scope: Scope): void {
  const { gateways, delegates, virtualHosts, draft } = scope;
  const where = titleOf(root);
  // Who may see it in the mesh.
  root.spec.dismiss("exportTo");
  const hosts = hostsOf(root, scope.shared, draft);
  const sites = hosts.length === 0 ? [] : gateways.sitesOf(root, hosts);
  for (const site of sites) virtualHosts.addSite(site, where);
  if (hosts.length === 0) draft.leftOut(where, "it has no host that Perch could serve: its routes are left out");
  if (sites.length === 0) {
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
    } else isOver = addRoute(one, { root, hosts, sites }, scope);
    // A delegate's route is no part of its manifest any more.
    if (one.owner !== root) noteUnread({ ...root, spec: one.route }, advice, draft);
  }
}

/** Returns whether the route matches every request, so that later ones have none. */
function addRoute(one: IstioRoute, served: Served, { destinations, gateways, virtualHosts, draft }: Scope): boolean {
  const { route } = one;
  const { root, hosts, sites } = served;
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
    const { port, gateways: named } = match.arrival;
    const isAnywhere = port === undefined && named === undefined;
    const found = isAnywhere ? { sites } : gateways.sitesFor(root, hosts, match.arrival);
    const placed = "problem" in found ? [] : found.sites.flatMap((site) => withAuthority(site, match.authority));
    const problem = "problem" in found ? found.problem : "its authority is none of the hosts";
    if (placed.length === 0) leaveOut(match.path, problem, where, draft);
    if (placed.length === 0) continue;
    const own = routeOf(route, match, target, where, draft);
    for (const { site, narrowed } of placed) {
      const narrow = { ...siteMatch(narrowed, draft), ...own.match };
      const placing = { site, wantedName, isCatchAll: isCatchAll(match) };
      virtualHosts.add({ ...placing, route: { service, release, ...own, match: narrow } });
    }
  }
  return matches.some(isCatchAll);
}

const isCatchAll = ({ match, authority, arrival }: IstioMatch): boolean =>
  Object.keys(match).length === 0 && authority === "" && arrival.port === undefined && arrival.gateways === undefined;

/** The part of a site that a match with one authority takes; empty if it takes none of it. */
function withAuthority(site: Site, authority: string): readonly { readonly site: Site; readonly narrowed: Site }[] {
  if (authority === "") return [{ site, narrowed: site }];
  const isHere = site.hosts.length === 0 || site.hosts.some((host) => intersection(host, authority) === authority);
  return isHere ? [{ site, narrowed: { ...site, hosts: [authority] } }] : [];
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
