import { hostText, urlPath } from "../../scalars.ts";
import { accepts } from "../accepts.ts";
import type { Draft, YamlMap } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { redirectOf, statusIn } from "../redirects.ts";
import { annotation, booleanIn, onlyRedirects, takeAnnotation } from "./ingress-annotations.ts";
import { hostsMatch, type IngressLocation, type IngressServer } from "./ingress-locations.ts";

/** A route that only redirects. */
export interface RedirectRoute {
  readonly match: YamlMap;
  readonly redirect: YamlMap;
}

/** Scheme, host and port; then the path; then variables that keep the path and the query of the request. */
const redirectTarget =
  /^(?:(?:(https?|\$scheme):)?\/\/(\[[^\]]+\]|[^/?#$:]+|\$(?:host|http_host|best_http_host|server_name))(?::(\d+))?)?(\/[^?#$]*)?(\$request_uri|\$uri)?(\?[^#]*|\$is_args\$args)?(#.*)?$/i;

/**
 * The redirect of an Ingress whose requests are only redirected. Undefined if Perch has no such redirect: the location
 * is then left out, and noted.
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
    `the redirect to ${url}: ${found.problem}, so ${location.host}${location.path} is left out, and other routes match its requests`,
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
  const place = {
    ...(scheme.startsWith("$") ? {} : { scheme: scheme.toLowerCase() }),
    ...(host.startsWith("$") ? {} : { host }),
    port: port === undefined ? undefined : Number(port),
  };
  if (kept === undefined) return { ...place, path: path || "/" };
  const base = path.replace(/\/+$/, "");
  if (base === "") return place;
  if (kind === "prefix") return { ...place, prefix: `${base}${matched.replace(/\/+$/, "")}` };
  // Before the path of a pattern nothing can be put, except by a variable, which Perch has not.
  return { ...place, path: kind === "exact" ? `${base}${matched}` : `${base}${kept}` };
}

/** The hosts with a certificate: ingress-nginx redirects their plain requests. */
export function tlsHosts(ingress: Manifest): readonly string[] {
  const hosts = ingress.spec.objects("rules").map((rule) => rule.text("host").toLowerCase());
  return ingress.spec.objects("tls").flatMap((entry) => {
    entry.dismiss("secretName");
    const named = entry.texts("hosts").map((host) => host.toLowerCase());
    return named.length === 0 ? hosts : named;
  });
}

/** Whether plain requests of the location are redirected to https. By default those of hosts with a certificate are. */
export function redirectsToHttps(location: IngressLocation, certified: readonly string[], draft: Draft): boolean {
  const { ingress, host } = location;
  const force = takeAnnotation(ingress, "force-ssl-redirect", booleanIn) === true;
  const wanted = takeAnnotation(ingress, "ssl-redirect", booleanIn);
  const isCertified = host !== "" && certified.some((name) => covers(name, host));
  // `return` comes before the redirect to https.
  if (onlyRedirects(ingress)) return false;
  if (isCertified && wanted === false && !force) {
    draft.note(titleOf(ingress), "ssl-redirect is false: plain HTTP is served, as before");
  }
  return force || (isCertified && wanted !== false);
}

/** A wildcard certificate covers one label (RFC 9525 §6.3). */
function covers(certified: string, host: string): boolean {
  return certified === host || (certified.startsWith("*.") && host.replace(/^[^.]+/, "*") === certified);
}

export const toHttps: YamlMap = { scheme: "https", status: 308 };

/** Redirects that ingress-nginx adds to a server besides those to https. They come before its locations. */
export function addedRedirects(
  server: IngressServer,
  servers: readonly IngressServer[],
  draft: Draft,
): RedirectRoute[] {
  const { locations } = server;
  const ingresses = [...new Set(locations.map(({ ingress }) => ingress))];
  return [
    ...ingresses.flatMap((ingress) => wwwRedirect(ingress, server, servers)),
    ...locations.flatMap((location) => appRoot(location, server, draft)),
    ...locations.flatMap((location) => slashRedirect(location, server)),
  ];
}

/** From www.shop.example to shop.example, or the other way round. */
function wwwRedirect(ingress: Manifest, { host }: IngressServer, servers: readonly IngressServer[]): RedirectRoute[] {
  if (takeAnnotation(ingress, "from-to-www-redirect", booleanIn) !== true || host === "" || host.startsWith("*."))
    return [];
  const other = host.startsWith("www.") ? host.slice("www.".length) : `www.${host}`;
  const isServed = servers.some((one) => one.host === other || one.aliases.includes(other));
  return isServed || !accepts(hostText, other) ? [] : [{ match: { hosts: [other] }, redirect: { host, status: 308 } }];
}

function appRoot({ ingress, path }: IngressLocation, server: IngressServer, draft: Draft): RedirectRoute[] {
  if (path !== "/") return [];
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
  return [{ match: { ...hostsMatch(server), path: { exact: without } }, redirect: { path, status: 301 } }];
}

/** Says what a server with a certificate needs. */
export function noteTls(ingress: Manifest, draft: Draft): void {
  if (!ingress.spec.has("tls")) return;
  const how = "mount the Secret's tls.crt and tls.key, and set them in `listeners[].tls`";
  const proxies = "Behind a load balancer that ends TLS, list it in `trustedProxies`, or redirects to https loop";
  draft.noteLostProtection(titleOf(ingress), `tls: ${how}. ${proxies}`);
}
