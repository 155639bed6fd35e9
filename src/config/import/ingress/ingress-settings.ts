import { compileReplacement } from "../../pattern.ts";
import { cookieDomain, urlPath } from "../../scalars.ts";
import { hostAndPort } from "../../sections/rewrite.ts";
import { accepts } from "../accepts.ts";
import type { Draft, YamlMap } from "../draft.ts";
import { headerEdits } from "../header-edits.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import type { ControllerConfig } from "./controller-config.ts";
import {
  annotation,
  booleanIn,
  dismissAnnotations,
  peekAnnotation,
  positive,
  takeAnnotation,
} from "./ingress-annotations.ts";
import { ingressCors } from "./ingress-cors.ts";
import { type IngressLocation, type IngressServer, matchOf } from "./ingress-locations.ts";

export interface IngressRoute {
  readonly match: YamlMap;
  readonly settings: YamlMap;
}

/** A location with what it shares with others of its host. */
export interface ServedLocation extends IngressLocation {
  readonly server: IngressServer;
  /** Whether the host has a certificate. */
  readonly isCertified: boolean;
}

/**
 * The route of a location that is forwarded; undefined if Perch cannot change its path as nginx does, which is noted.
 * ConfigMaps are by namespace and name.
 */
export function ingressRoute(
  location: ServedLocation,
  configMaps: ReadonlyMap<string, Manifest>,
  controller: ControllerConfig,
  draft: Draft,
): IngressRoute | undefined {
  const { ingress, server } = location;
  const rewritten = rewrittenPath(location, draft);
  if (rewritten === undefined) return undefined;
  const { matched, change } = rewritten;
  const host = takeAnnotation(ingress, "upstream-vhost", (text) => (accepts(hostAndPort, text) ? text : undefined));
  const domain = newCookieDomain(ingress, controller, draft);
  const rewrite = {
    ...change,
    ...(host === undefined ? {} : { host }),
    ...(domain === undefined ? {} : { cookieDomain: domain }),
  };
  dismissAnnotations(ingress, ...offByDefault.filter((name) => peekAnnotation(ingress, name) === "off"));
  return {
    match: matchOf(server, matched),
    settings: {
      ...forwardedPrefix(location, change, draft),
      ...responseHeaders(location, configMaps, controller, draft),
      // ingress-nginx hands on Location and the Path of cookies as they are (`proxy_redirect off`).
      ...(Object.keys(rewrite).length === 0 ? {} : { rewrite: { ...rewrite, responses: "keep" } }),
      ...ingressCors(ingress, draft),
      ...bodySize(ingress, controller),
      ...rateLimit(ingress),
    },
  };
}

const offByDefault = ["proxy-redirect-from", "proxy-redirect-to", "proxy-cookie-path"];

/** The common idiom to strip a prefix: the path `/shop(/|$)(.*)` with the target `/$2`. */
const capturedRest = /^(\/[A-Za-z0-9._~/-]*?)\(\/\|\$\)\(\.\*\)$/;
/** Before other texts nginx and Perch differ by a slash for the prefix alone: there a pattern does the same as nginx. */
const rest = "/$2";

interface RewrittenPath {
  readonly matched: Pick<IngressLocation, "path" | "kind">;
  /** The part of `rewrite` that changes the path. */
  readonly change: YamlMap;
}

/** nginx replaces the whole path by the target, whose `$1` to `$9` are groups of the location's pattern. */
function rewrittenPath(location: IngressLocation, draft: Draft): RewrittenPath | undefined {
  const { ingress, path } = location;
  const target = annotation(ingress, "rewrite-target");
  if (target === "" || target === path) return { matched: location, change: {} };
  const where = titleOf(ingress);
  // Forwarded as it is, the path could reach what the rewrite hides.
  const leftOut = (why: string): undefined => {
    draft.leftOut(where, `rewrite-target ${target} of the path ${path}: ${why}, so it is left out, and gets 404`);
  };
  const [, prefix] = capturedRest.exec(path) ?? [];
  if (prefix !== undefined && target === rest) {
    if (/[a-z]/i.test(prefix)) draft.note(where, `the path ${path} ignored case; the prefix ${prefix} does not`);
    return { matched: { path: prefix === "" ? "/" : prefix, kind: "prefix" }, change: { prefix: "/" } };
  }
  const [written = "", query] = target.split("?");
  // nginx has an empty text for a group that the pattern does not have.
  const groups = path.match(/\((?!\?)/g)?.length ?? 0;
  const newPath = written.replace(/\$(\d)/g, (group, number) => (Number(number) > groups ? "" : group));
  if (/\$(?!\d)/.test(newPath)) return leftOut("variables of nginx have no equivalent");
  if (!newPath.startsWith("/")) return leftOut("it does not start with a slash");
  if (query !== undefined && query !== "") draft.note(where, `rewrite-target ${target}: the query ${query} is lost`);
  if (!newPath.includes("$")) {
    return accepts(urlPath, newPath) ? { matched: location, change: { path: newPath } } : leftOut("it is not a path");
  }
  // Perch replaces what the pattern matches, so it must match up to the end.
  const pattern = `(?i)^${path}${/(?:\.\*\)?|\$)$/.test(path) ? "" : ".*"}`;
  const compiled = compileReplacement(pattern, newPath);
  if ("problem" in compiled) return leftOut(compiled.problem);
  return { matched: location, change: { regex: { pattern, replacement: newPath } } };
}

/** `off`, or the domain in the upstream's cookies and its replacement. */
function newCookieDomain(ingress: Manifest, controller: ControllerConfig, draft: Draft): string | undefined {
  const [from, to] =
    controller.of(ingress, "proxy-cookie-domain", (text) => {
      const words = text === "off" ? [] : text.split(/\s+/);
      return words.length === 0 || (words.length === 2 && words.every((one) => accepts(cookieDomain, one)))
        ? words
        : undefined;
    }) ?? [];
  if (to !== undefined) {
    draft.note(
      titleOf(ingress),
      `proxy-cookie-domain applied to cookies of ${from}; Perch replaces the Domain of every cookie`,
    );
  }
  return to;
}

/** Perch says which prefix it has replaced, which ingress-nginx did not; the application may act on it. */
function forwardedPrefix({ ingress, path }: IngressLocation, change: YamlMap, draft: Draft): YamlMap {
  const target = peekAnnotation(ingress, "rewrite-target");
  const value = annotation(ingress, "x-forwarded-prefix");
  const isRewritten = target !== "" && target !== path;
  if (value !== "" && !isRewritten) {
    draft.note(titleOf(ingress), "x-forwarded-prefix has no effect without rewrite-target, in ingress-nginx either");
  }
  if (value === "" || !isRewritten) {
    return Object.keys(change).length === 0 ? {} : { requestHeaders: { remove: ["x-forwarded-prefix"] } };
  }
  const written = { set: [["x-forwarded-prefix", value] as const], add: [], remove: [] };
  const { edits } = headerEdits(written, "request", titleOf(ingress), draft);
  return Object.keys(edits).length === 0 ? {} : { requestHeaders: edits };
}

/** Headers of a ConfigMap named by `namespace/name`, and HSTS, which hosts with a certificate have by default. */
function responseHeaders(
  { ingress, isCertified }: ServedLocation,
  configMaps: ReadonlyMap<string, Manifest>,
  controller: ControllerConfig,
  draft: Draft,
): YamlMap {
  const data = takeAnnotation(ingress, "custom-headers", (name) => {
    return configMaps.get(name.includes("/") ? name : `${ingress.namespace}/${name}`)?.data;
  });
  const custom = data?.keys().map((name) => [name, data.text(name)] as const) ?? [];
  const set = [...(isCertified ? strictTransport(controller) : []), ...custom];
  if (set.length === 0) return {};
  const { edits } = headerEdits({ set, add: [], remove: [] }, "response", titleOf(ingress), draft);
  return Object.keys(edits).length === 0 ? {} : { responseHeaders: edits };
}

/** Browsers ignore it in plain responses (RFC 6797 §8.1), so it need not be told apart from those by https. */
function strictTransport(controller: ControllerConfig): (readonly [string, string])[] {
  const isOn = controller.take("hsts", booleanIn) ?? true;
  const seconds = controller.take("hsts-max-age", (text) => (/^\d+$/.test(text) ? text : undefined)) ?? "31536000";
  const withSubdomains = controller.take("hsts-include-subdomains", booleanIn) ?? true;
  const isPreloaded = controller.take("hsts-preload", booleanIn) === true;
  const value = `max-age=${seconds}${withSubdomains ? "; includeSubDomains" : ""}${isPreloaded ? "; preload" : ""}`;
  return isOn ? [["strict-transport-security", value]] : [];
}

/** Sizes of nginx: 512k, 8m, 1g; 0 means no limit. */
function bodySize(ingress: Manifest, controller: ControllerConfig): YamlMap {
  const units: Readonly<Record<string, string>> = { k: "KiB", m: "MiB", g: "GiB" };
  const size = controller.of(ingress, "proxy-body-size", (text) => {
    const [, count, unit = ""] = /^(\d+)([kmg]?)$/i.exec(text) ?? [];
    if (count === undefined) return undefined;
    return Number(count) === 0 ? 0 : `${count}${units[unit.toLowerCase()] ?? "B"}`;
  });
  return { maxBodySize: size ?? "1MiB" };
}

/** Requests per second or minute and client address. ingress-nginx's default burst is five times the rate. */
function rateLimit(ingress: Manifest): YamlMap {
  const perSecond = takeAnnotation(ingress, "limit-rps", positive);
  const requests = perSecond ?? takeAnnotation(ingress, "limit-rpm", positive);
  if (requests === undefined) return {};
  const burst = Math.ceil(requests * (takeAnnotation(ingress, "limit-burst-multiplier", positive) ?? 5));
  const limit: YamlMap = { by: "clientAddress", requests, per: perSecond === undefined ? "1m" : "1s", burst };
  return { rateLimit: limit };
}
