import { compileReplacement } from "../../pattern.ts";
import { cookieDomain, urlPath } from "../../scalars.ts";
import { hostAndPort } from "../../sections/rewrite.ts";
import { accepts } from "../accepts.ts";
import type { Draft, YamlMap } from "../draft.ts";
import { headerEdits } from "../header-edits.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { annotation, peekAnnotation, positive, takeAnnotation } from "./ingress-annotations.ts";
import { ingressCors } from "./ingress-cors.ts";
import { type IngressLocation, type IngressServer, matchOf } from "./ingress-locations.ts";

export interface IngressRoute {
  readonly match: YamlMap;
  readonly settings: YamlMap;
}

/** The route of a location that is forwarded. ConfigMaps are by namespace and name. */
export function ingressRoute(
  location: IngressLocation,
  server: IngressServer,
  configMaps: ReadonlyMap<string, Manifest>,
  draft: Draft,
): IngressRoute {
  const { ingress } = location;
  const { matched, change } = rewrittenPath(location, draft);
  const host = takeAnnotation(ingress, "upstream-vhost", (text) => (accepts(hostAndPort, text) ? text : undefined));
  const domain = newCookieDomain(ingress, draft);
  const rewrite = {
    ...change,
    ...(host === undefined ? {} : { host }),
    ...(domain === undefined ? {} : { cookieDomain: domain }),
  };
  return {
    match: matchOf(server, matched),
    settings: {
      ...forwardedPrefix(ingress, draft),
      ...customHeaders(ingress, configMaps, draft),
      ...(Object.keys(rewrite).length === 0 ? {} : { rewrite }),
      ...ingressCors(ingress, draft),
      ...bodySize(ingress),
      ...rateLimit(ingress),
    },
  };
}

/** The common idiom to strip a prefix: the path `/shop(/|$)(.*)` with the target `/$2`. */
const capturedRest = /^(\/[A-Za-z0-9._~/-]*?)\(\/\|\$\)\(\.\*\)$/;
const targetWithRest = /^(\/[A-Za-z0-9._~/-]*?)\/?\$2$/;

interface RewrittenPath {
  readonly matched: Pick<IngressLocation, "path" | "kind">;
  /** The part of `rewrite` that changes the path. */
  readonly change: YamlMap;
}

/** nginx replaces the whole path by the target, whose `$1` to `$9` are groups of the location's pattern. */
function rewrittenPath(location: IngressLocation, draft: Draft): RewrittenPath {
  const { ingress, path } = location;
  const target = annotation(ingress, "rewrite-target");
  if (target === "" || target === path) return { matched: location, change: {} };
  const where = titleOf(ingress);
  const unchanged = (why: string): RewrittenPath => {
    draft.note(where, `rewrite-target ${target} of the path ${path}: the path stays unchanged, as ${why}`);
    return { matched: location, change: {} };
  };
  const [, prefix] = capturedRest.exec(path) ?? [];
  const [, start] = targetWithRest.exec(target) ?? [];
  if (prefix !== undefined && start !== undefined) {
    if (/[a-z]/i.test(prefix)) draft.note(where, `the path ${path} ignored case; the prefix ${prefix} does not`);
    return { matched: { path: prefix === "" ? "/" : prefix, kind: "prefix" }, change: { prefix: start || "/" } };
  }
  const [newPath = "", query] = target.split("?");
  if (/\$(?!\d)/.test(newPath)) return unchanged("variables of nginx have no equivalent");
  if (!newPath.startsWith("/")) return unchanged("it does not start with a slash");
  if (query !== undefined && query !== "") draft.note(where, `rewrite-target ${target}: the query ${query} is lost`);
  if (!newPath.includes("$")) {
    return accepts(urlPath, newPath) ? { matched: location, change: { path: newPath } } : unchanged("it is not a path");
  }
  // Perch replaces what the pattern matches, so it must match up to the end.
  const pattern = `(?i)^${path}${/(?:\.\*\)?|\$)$/.test(path) ? "" : ".*"}`;
  const compiled = compileReplacement(pattern, newPath);
  if ("problem" in compiled) return unchanged(compiled.problem);
  return { matched: location, change: { regex: { pattern, replacement: newPath } } };
}

/** `off`, or the domain in the upstream's cookies and its replacement. */
function newCookieDomain(ingress: Manifest, draft: Draft): string | undefined {
  const [from, to] =
    takeAnnotation(ingress, "proxy-cookie-domain", (text) => {
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

function forwardedPrefix(ingress: Manifest, draft: Draft): YamlMap {
  const value = annotation(ingress, "x-forwarded-prefix");
  if (value === "") return {};
  const where = titleOf(ingress);
  if (peekAnnotation(ingress, "rewrite-target") === "") {
    draft.note(where, "x-forwarded-prefix had an effect only with rewrite-target; Perch always sends the header");
  }
  const { edits } = headerEdits({ set: [["x-forwarded-prefix", value]], add: [], remove: [] }, "request", where, draft);
  return Object.keys(edits).length === 0 ? {} : { requestHeaders: edits };
}

/** Response headers, from a ConfigMap named by `namespace/name`. */
function customHeaders(ingress: Manifest, configMaps: ReadonlyMap<string, Manifest>, draft: Draft): YamlMap {
  const data = takeAnnotation(ingress, "custom-headers", (name) => {
    return configMaps.get(name.includes("/") ? name : `${ingress.namespace}/${name}`)?.data;
  });
  if (data === undefined) return {};
  const set = data.keys().map((name) => [name, data.text(name)] as const);
  const { edits } = headerEdits({ set, add: [], remove: [] }, "response", titleOf(ingress), draft);
  return Object.keys(edits).length === 0 ? {} : { responseHeaders: edits };
}

/** Sizes of nginx: 512k, 8m, 1g; 0 means no limit. */
function bodySize(ingress: Manifest): YamlMap {
  const units: Readonly<Record<string, string>> = { k: "KiB", m: "MiB", g: "GiB" };
  const size = takeAnnotation(ingress, "proxy-body-size", (text) => {
    const [, count, unit = ""] = /^(\d+)([kmg]?)$/i.exec(text) ?? [];
    if (count === undefined) return undefined;
    return Number(count) === 0 ? "" : `${count}${units[unit.toLowerCase()] ?? "B"}`;
  });
  return size === undefined || size === "" ? {} : { maxBodySize: size };
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
