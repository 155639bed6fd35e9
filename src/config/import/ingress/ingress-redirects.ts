import { hostText, urlPath } from "../../scalars.ts";
import { accepts } from "../accepts.ts";
import type { Draft, YamlMap } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { redirectOf, statusIn } from "../redirects.ts";
import type { ControllerConfig } from "./controller-config.ts";
import { annotation, booleanIn, onlyRedirects, takeAnnotation } from "./ingress-annotations.ts";
import { encodedPath, hostsMatch, type IngressLocation, type IngressServer } from "./ingress-locations.ts";
import type { CertifiedHosts } from "./ingress-tls.ts";

/** A route that only redirects. */
export interface RedirectRoute {
  readonly match: YamlMap;
  readonly redirect: YamlMap;
}

/** Scheme, host and port; then the path; then variables that keep the path and the query of the request. */
const redirectTarget =
  /^(?:(?:(https?|\$scheme):)?\/\/(\[[^\]]+\]|[^/?#$:]+|\$(?:host|http_host|best_http_host|server_name))(?::(\d+))?)?(\/[^?#$]*)?(\$request_uri|\$uri)?(\?[^#]*|\$is_args\$args)?(#.*)?$/i;

/**
 * The redirect of an Ingress whose requests are only redirected. Undefined if Perch has no such redirect, which is noted.
 */
export function annotatedRedirect(location: IngressLocation, draft: Draft): YamlMap | undefined {
  const { ingress } = location;
  const where = titleOf(ingress);
  // ingress-nginx prefers the temporal one.
  const temporal = annotation(ingress, "temporal-redirect");
  const url = temporal || annotation(ingress, "permanent-redirect");
  const code = temporal === "" ? "permanent-redirect-code" : "temporal-redirect-code";
  const status = takeAnnotation(ingress, code, statusIn) ?? (temporal === "" ? 301 : 302);
  const found = redirectOf({ ...partsOf(url, location, draft), status });
  if (!("problem" in found)) return found.redirect;
  draft.leftOut(
    where,
    `the redirect to ${url}: ${found.problem}, so it is left out, and ${location.host}${location.path} gets 404`,
  );
  return undefined;
}

/** Where a variable is only a part of the host, as in https://www.$host, it is that of the Ingress. */
const partialHost = /(?<=:\/\/[^/?#$]+)\$(?:host|server_name)\b/;

function partsOf(url: string, { ingress, host: served, path: matched, kind }: IngressLocation, draft: Draft) {
  const isOneHost = served !== "" && !served.startsWith("*");
  const parts = redirectTarget.exec(isOneHost ? url.replace(partialHost, served) : url);
  if (parts === null) return { path: url };
  const [, scheme = "", host = "", port, path = "", kept, query, fragment] = parts;
  const lost = [query === undefined || /^(?:\$is_args\$args|\?\$args)$/.test(query) ? "" : query, fragment ?? ""].join(
    "",
  );
  if (lost !== "")
    draft.note(titleOf(ingress), `the redirect to ${url}: ${lost} is lost, and the client's query stays`);
  else if (kept !== "$request_uri" && query === undefined) {
    draft.note(titleOf(ingress), `the redirect to ${url} dropped the client's query; Perch keeps it`);
  }
  const target = {
    ...(scheme.startsWith("$") ? {} : { scheme: scheme.toLowerCase() }),
    ...(host.startsWith("$") ? {} : { host }),
    port: port === undefined ? undefined : Number(port),
  };
  if (kept === undefined) return { ...target, path: path || "/" };
  const base = path.replace(/\/+$/, "");
  if (base === "") return target;
  if (kind === "prefix") return { ...target, prefix: `${base}${matched.replace(/\/+$/, "")}` };
  // Before the path of a pattern nothing can be put, except by a variable, which Perch has not.
  return { ...target, path: kind === "exact" ? `${base}${matched}` : `${base}${kept}` };
}

/** Whether plain requests of the location are redirected to https. By default those of hosts with a certificate are. */
export function redirectsToHttps(
  { ingress, host, path }: IngressLocation,
  certified: CertifiedHosts,
  controller: ControllerConfig,
  draft: Draft,
): boolean {
  const force = controller.of(ingress, "force-ssl-redirect", booleanIn) === true;
  const wanted = controller.of(ingress, "ssl-redirect", booleanIn);
  const isCertified = certified.covers(host);
  if (staysPlain(path, controller)) return false;
  // `return` comes before the redirect to https.
  if (onlyRedirects(ingress)) return false;
  if (isCertified && wanted === false && !force) {
    draft.note(titleOf(ingress), "ssl-redirect is false: plain HTTP is served, as before");
  }
  return force || (isCertified && wanted !== false);
}

/** Locations without a redirect to https by the beginning of their paths (template.go: `isLocationInLocationList`). */
function staysPlain(path: string, controller: ControllerConfig): boolean {
  const written = controller.take("no-tls-redirect-locations", (text) => text.split(",").map((one) => one.trim()));
  return (written ?? [acmeChallenges]).some((start) => start !== "" && path.startsWith(start));
}

/** Certificate authorities ask for these by plain http. */
const acmeChallenges = "/.well-known/acme-challenge";

export function toHttps(controller: ControllerConfig): YamlMap {
  return { scheme: "https", status: redirectStatus(controller) };
}

/** The status of the redirects that ingress-nginx adds itself. */
function redirectStatus(controller: ControllerConfig): number {
  return controller.take("http-redirect-code", statusIn) ?? 308;
}

/**
 * Redirects that ingress-nginx adds to a server besides those to https. They come before its locations. `hosts`: those of
 * all servers.
 */
export function addedRedirects(
  server: IngressServer,
  hosts: ReadonlySet<string>,
  controller: ControllerConfig,
  draft: Draft,
): RedirectRoute[] {
  const { locations } = server;
  const ingresses = [...new Set(locations.map(({ ingress }) => ingress))];
  return [
    ...ingresses.flatMap((ingress) => wwwRedirect(ingress, server, hosts, controller)),
    // The first one of a server counts, whatever its path is (nginx.tmpl: `if ($uri = /)`).
    ...ingresses.flatMap((ingress) => appRoot(ingress, server, draft)).slice(0, 1),
    ...locations.flatMap((location) => slashRedirect(location, server)),
  ];
}

/** From www.shop.example to shop.example, or the other way round. */
function wwwRedirect(
  ingress: Manifest,
  { host }: IngressServer,
  hosts: ReadonlySet<string>,
  controller: ControllerConfig,
): RedirectRoute[] {
  if (takeAnnotation(ingress, "from-to-www-redirect", booleanIn) !== true || host === "" || host.startsWith("*."))
    return [];
  const other = host.startsWith("www.") ? host.slice("www.".length) : `www.${host}`;
  return hosts.has(other) || !accepts(hostText, other)
    ? []
    : [{ match: { hosts: [other] }, redirect: { host, status: redirectStatus(controller) } }];
}

function appRoot(ingress: Manifest, server: IngressServer, draft: Draft): RedirectRoute[] {
  const root = takeAnnotation(ingress, "app-root", (text) => (accepts(urlPath, text) ? text : undefined));
  if (root === undefined || root === "/") return [];
  draft.note(titleOf(ingress), "app-root dropped the client's query; Perch keeps it");
  return [{ match: { ...hostsMatch(server), path: { exact: "/" } }, redirect: { path: root, status: 302 } }];
}

/** nginx redirects `/a` to `/a/` if it forwards the latter and has no location for the former. Patterns do without. */
function slashRedirect(location: IngressLocation, server: IngressServer): RedirectRoute[] {
  const { path, kind } = location;
  const without = path.slice(0, -1);
  if (kind === "regex" || without === "" || !path.endsWith("/") || without.endsWith("/")) return [];
  const first = server.locations.find((other) => other.path === path && !onlyRedirects(other.ingress));
  if (first !== location || server.locations.some((other) => other.path === without)) return [];
  const match = { ...hostsMatch(server), path: { exact: encodedPath(without) } };
  return [{ match, redirect: { path: encodedPath(path), status: 301 } }];
}
