import type { Draft } from "../draft.ts";
import { bySpecificity, type Hostname, intersection } from "../hostnames.ts";
import { byAge, type Manifest, titleOf } from "../manifests.ts";
import { type Advice, noteUnread } from "../notes.ts";
import type { SourceObject } from "../source-object.ts";
import {
  type Attachment,
  asMatch,
  attachmentsOf,
  hostnamesOf,
  type ListenerMatch,
  listenerMatchesOf,
} from "./attachments.ts";
import { BackendReader } from "./backends.ts";
import { Gateways } from "./gateways.ts";
import { readGrpcMatch } from "./grpc-route-match.ts";
import { matchesOf, type RuleMatch, readHttpMatch } from "./http-route-match.ts";
import { Isolation, type ListenerNames } from "./isolation.ts";
import { addRoute, type MatchedRule } from "./rules.ts";
import { TakenHosts } from "./taken-hosts.ts";

/** One match of a rule, for one host. */
export interface RankedRoute extends RuleMatch {
  readonly manifest: Manifest;
  readonly rule: SourceObject;
  readonly listenerMatch: ListenerMatch;
  /** Whether it redirects requests to another scheme. */
  readonly changesScheme: boolean;
}

/**
 * Imports HTTPRoutes and GRPCRoutes with their Gateways. Their matches become routes in the order of precedence that
 * Gateway API defines.
 */
export function importGatewayApi(manifests: readonly Manifest[], draft: Draft): void {
  const gateways = new Gateways(manifests, draft);
  const reader = new BackendReader(manifests, draft);
  const manifestsOfRoutes = manifests.filter(isRoute).toSorted(byAge);
  const attached = manifestsOfRoutes.map((manifest) => attach(manifest, gateways, draft));
  addInOrder(attached, gateways, (route) => add(route, reader, draft), draft);
  for (const manifest of manifestsOfRoutes) noteUnread(manifest, advice, draft);
  gateways.noteUnread();
  reader.noteUnread();
}

/**
 * Adds the routes, given by age, in the order of their precedence, with those that keep listeners of a Gateway apart.
 * Where Gateways share listeners, the routes of the older come first, so that a younger one takes none of their requests.
 * Returns those that are left out, since an older Gateway has all of their requests.
 */
export function addInOrder(
  attached: readonly Attached[],
  gateways: ListenerNames,
  addOne: (route: RankedRoute) => void,
  draft: Draft,
): readonly HiddenRoute[] {
  noteSharedHosts(attached, draft);
  const byAge = Map.groupBy(
    attached.flatMap(({ attachments }) => attachments),
    ({ age = 0 }) => age,
  );
  const routes = Map.groupBy(
    attached.flatMap((one) => one.routes),
    ({ listenerMatch }) => listenerMatch.age,
  );
  const taken = new TakenHosts();
  const ages = [...byAge.keys()].toSorted((a, b) => a - b);
  return ages.flatMap((age) => {
    const [hidden, open] = parted(routes.get(age) ?? [], taken);
    const isolation = new Isolation(byAge.get(age) ?? [], gateways);
    const ranked = open.flatMap((route) => reachable(route, isolation)).toSorted(byPrecedence);
    const routed = ranked.map(({ listenerMatch, match, manifest }) => ({
      ...{ listenerMatch, manifest },
      takesAll: Object.keys(match).length === 0,
    }));
    for (const hostname of isolation.hostnames(routed)) {
      for (const route of ranked.filter(({ listenerMatch }) => listenerMatch.hostname === hostname)) addOne(route);
      const listeners = isolation.addNotFoundRoute(hostname, routed, draft);
      taken.add({ host: hostname, listeners, age });
    }
    for (const { listenerMatch, manifest, takesAll } of routed) if (takesAll) taken.add(listenerMatch, manifest);
    return hidden;
  });
}

/** A route that gets no requests, since all of them are those of an older Gateway. */
export interface HiddenRoute {
  readonly route: RankedRoute;
  /** Of that Gateway. */
  readonly age: number;
}

function parted(
  routes: readonly RankedRoute[],
  taken: TakenHosts,
): readonly [hidden: readonly HiddenRoute[], open: readonly RankedRoute[]] {
  const hidden: HiddenRoute[] = [];
  const open = routes.filter((route) => {
    const taker = taken.olderThan(route.listenerMatch);
    // By its other Gateway it has them itself.
    if (taker !== undefined && taker.route !== route.manifest) hidden.push({ route, age: taker.age });
    return taker === undefined;
  });
  return [hidden, open];
}

const isRoute = ({ kind, group }: Manifest): boolean =>
  group === "gateway.networking.k8s.io" && (kind === "HTTPRoute" || kind === "GRPCRoute");

const advice: Readonly<Record<string, Advice>> = {
  backoff: { text: "no equivalent: Perch retries at once, on another endpoint if there is one" },
  idleTimeout: { text: "no equivalent" },
};

export interface Attached {
  readonly manifest: Manifest;
  readonly attachments: readonly Attachment[];
  readonly routes: readonly RankedRoute[];
}

function attach(manifest: Manifest, gateways: Gateways, draft: Draft): Attached {
  const where = titleOf(manifest);
  const { spec } = manifest;
  const hostnames = hostnamesOf(manifest, where, draft);
  const attachments = hostnames === undefined ? [] : attachmentsOf(manifest, hostnames, gateways, draft);
  if (hostnames === undefined || attachments.length === 0) {
    spec.dismiss();
    return { manifest, attachments: [], routes: [] };
  }
  return { manifest, attachments, routes: rankedRoutes(manifest, attachments, hostnames, draft) };
}

/** The matches of a route's rules, for the hosts of what it is attached to. */
export function rankedRoutes(
  manifest: Manifest,
  attachments: readonly Attachment[],
  hostnames: readonly Hostname[],
  draft: Draft,
): readonly RankedRoute[] {
  const where = titleOf(manifest);
  const read = manifest.kind === "GRPCRoute" ? readGrpcMatch : readHttpMatch;
  return manifest.spec.objects("rules").flatMap((rule) => {
    const target = schemeOfRedirect(rule);
    const listenerMatches = listenerMatchesOf(attachments, hostnames, target !== "");
    return matchesOf(rule, read, where, draft).flatMap((found) =>
      listenerMatches.flatMap((listenerMatch) => {
        const host = intersection(listenerMatch.host, found.host);
        if (host === undefined) return [];
        const changesScheme = target !== "" && listenerMatch.scheme !== target;
        return [{ ...found, manifest, rule, listenerMatch: { ...listenerMatch, host }, changesScheme }];
      }),
    );
  });
}

function reachable(route: RankedRoute, isolation: Isolation): RankedRoute[] {
  const listenerMatch = isolation.reachable(route.listenerMatch);
  return listenerMatch === undefined ? [] : [{ ...route, listenerMatch }];
}

function schemeOfRedirect(rule: SourceObject): string {
  return rule
    .objects("filters")
    .map((filter) => filter.object("requestRedirect").text("scheme"))
    .join("");
}

/**
 * The precedence of Gateway API: the more specific host, then the ranks of the matches, then the older route. Calls of
 * gRPC come first, as no other request matches them. A redirect of plain requests comes before the application behind
 * it where the input does not tell their age: both have the same match on two listeners.
 */
function byPrecedence(a: RankedRoute, b: RankedRoute): number {
  return (
    bySpecificity(a.listenerMatch.host, b.listenerMatch.host) ||
    Number(isGrpc(b)) - Number(isGrpc(a)) ||
    byRank(a.rank, b.rank) ||
    (hasAge(a) && hasAge(b) ? 0 : Number(b.changesScheme) - Number(a.changesScheme))
  );
}

const isGrpc = ({ manifest }: RankedRoute): boolean => manifest.kind === "GRPCRoute";
const hasAge = ({ manifest }: RankedRoute): boolean => manifest.createdAt !== "";

/** The more important match first. */
export function byRank(a: readonly number[], b: readonly number[]): number {
  const differing = a.findIndex((number, index) => number !== b[index]);
  return differing < 0 ? 0 : (b[differing] ?? 0) - (a[differing] ?? 0);
}

function add(ranked: RankedRoute, reader: BackendReader, draft: Draft): void {
  addRoute(matchedRule(ranked, draft), reader, draft);
}

/** The rule with the whole match of Perch's route for it. */
export function matchedRule(ranked: RankedRoute, draft: Draft): MatchedRule {
  const { manifest, rule, listenerMatch, match } = ranked;
  const hasScheme = listenerMatch.listeners !== undefined || listenerMatch.scheme !== undefined;
  if (isGrpc(ranked)) serveGrpc(ranked, draft);
  return { manifest, rule, match: { ...asMatch(listenerMatch), ...match }, hasScheme };
}

/** Clients of gRPC speak HTTP/2. Without TLS a listener has to be told so. */
function serveGrpc({ manifest, listenerMatch }: RankedRoute, draft: Draft): void {
  for (const listener of listenerMatch.listeners ?? []) draft.serveH2c(listener);
  if (listenerMatch.listeners !== undefined) return;
  draft.note(titleOf(manifest), "clients that speak gRPC without TLS need `h2c: true` on their listener");
}

/** Gateway API wants gateways to accept either HTTPRoutes or GRPCRoutes of one host. */
function noteSharedHosts(attached: readonly Attached[], draft: Draft): void {
  const hostsOf = (kind: string) =>
    new Set(
      attached
        .filter(({ manifest }) => manifest.kind === kind)
        .flatMap(({ routes }) => routes.map(({ listenerMatch }) => listenerMatch.host)),
    );
  const ofHttp = hostsOf("HTTPRoute");
  for (const host of hostsOf("GRPCRoute")) {
    if (!ofHttp.has(host)) continue;
    const name = host === "" ? "requests to any host" : host;
    const what = `HTTPRoutes and GRPCRoutes of one host (${name}): some gateways accept the older only; here both apply, calls of gRPC first`;
    draft.note("the input", what);
  }
}
