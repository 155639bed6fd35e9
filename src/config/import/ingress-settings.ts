import type { Draft, YamlMap, YamlValue } from "./draft.ts";
import { annotation, annotationNames, type IngressLocation, matchOf } from "./ingress-locations.ts";
import { type Manifest, numberIn, titleOf } from "./manifests.ts";

export interface IngressRoute {
  readonly match: YamlMap;
  readonly settings: YamlMap;
}

/** The redirect, if the Ingress only redirects. */
export function ingressRedirect({ ingress }: IngressLocation): YamlMap | undefined {
  const permanent = annotation(ingress, "permanent-redirect");
  const target = permanent || annotation(ingress, "temporal-redirect");
  if (!URL.canParse(target)) return undefined;
  const { protocol, hostname, port, pathname } = new URL(target);
  const status = numberIn(annotation(ingress, "permanent-redirect-code"));
  const redirect: Record<string, YamlValue> = { scheme: protocol.replace(":", ""), host: hostname, path: pathname };
  if (port !== "") redirect["port"] = Number(port);
  redirect["status"] = permanent === "" ? 302 : (status ?? 301);
  return redirect;
}

/** The common idiom to strip a prefix: the path `/shop(/|$)(.*)` with the target `/$2`. */
const capturedRest = /^(\/[A-Za-z0-9._~/-]*?)\(\/\|\$\)\(\.\*\)$/;
const targetWithRest = /^(\/[A-Za-z0-9._~/-]*?)\/?\$2$/;

export function ingressRoute(location: IngressLocation, draft: Draft): IngressRoute {
  const { ingress } = location;
  const rewritten = rewrittenPrefix(location, draft);
  const host = annotation(ingress, "upstream-vhost");
  const rewrite = {
    ...(rewritten === undefined ? {} : { prefix: rewritten.target }),
    ...(host === "" ? {} : { host }),
  };
  const match = rewritten === undefined ? matchOf(location) : matchOf({ ...location, ...rewritten, kind: "prefix" });
  return {
    match,
    settings: {
      ...(Object.keys(rewrite).length === 0 ? {} : { rewrite }),
      ...bodySize(location),
      ...rateLimit(location),
    },
  };
}

function rewrittenPrefix(
  { ingress, path }: IngressLocation,
  draft: Draft,
): { readonly path: string; readonly target: string } | undefined {
  const target = annotation(ingress, "rewrite-target");
  if (target === "") return undefined;
  const [, prefix] = capturedRest.exec(path) ?? [];
  const [, start] = targetWithRest.exec(target) ?? [];
  if (prefix !== undefined && start !== undefined) return { path: prefix === "" ? "/" : prefix, target: start || "/" };
  draft.note(titleOf(ingress), `rewrite-target ${target} of the path ${path}: no equivalent, the path stays unchanged`);
  return undefined;
}

/** Sizes of nginx: 512k, 8m, 1g; 0 means no limit. */
function bodySize({ ingress }: IngressLocation): YamlMap {
  const [, count, unit = ""] = /^(\d+)([kmg]?)$/i.exec(annotation(ingress, "proxy-body-size")) ?? [];
  if (count === undefined || Number(count) === 0) return {};
  const units: Readonly<Record<string, string>> = { k: "KiB", m: "MiB", g: "GiB" };
  return { maxBodySize: `${count}${units[unit.toLowerCase()] ?? "B"}` };
}

/** Requests per second or minute and client address. ingress-nginx's default burst is five times the rate. */
function rateLimit({ ingress }: IngressLocation): YamlMap {
  const perSecond = numberIn(annotation(ingress, "limit-rps"));
  const perMinute = numberIn(annotation(ingress, "limit-rpm"));
  const requests = perSecond ?? perMinute;
  if (requests === undefined) return {};
  const burst = requests * (numberIn(annotation(ingress, "limit-burst-multiplier")) ?? 5);
  const limit: YamlMap = { by: "clientAddress", requests, per: perSecond === undefined ? "1m" : "1s", burst };
  return { rateLimit: limit };
}

/** The service settings for an Ingress's annotations. */
export function serviceSettings(ingress: Manifest): YamlMap {
  const timeouts: Record<string, YamlValue> = {};
  const seconds = (name: string) => numberIn(annotation(ingress, name).replace(/s$/, ""));
  const connect = seconds("proxy-connect-timeout");
  const read = seconds("proxy-read-timeout");
  const idle = Math.max(read ?? 0, seconds("proxy-send-timeout") ?? 0);
  if (connect !== undefined) timeouts["connect"] = `${connect}s`;
  if (read !== undefined) timeouts["responseHeaders"] = `${read}s`;
  if (idle > 0) timeouts["idle"] = `${idle}s`;
  const http2 = /^GRPCS?$/i.test(annotation(ingress, "backend-protocol")) ? { protocol: "http2" } : {};
  const balance = annotation(ingress, "load-balance") === "round_robin" ? { balance: "round-robin" } : {};
  return { ...(Object.keys(timeouts).length === 0 ? {} : { timeouts }), ...balance, ...http2 };
}

export function schemeOf(ingress: Manifest, draft: Draft): "http" | "https" {
  const protocol = annotation(ingress, "backend-protocol").toUpperCase();
  if (protocol === "HTTPS" || protocol === "GRPCS") return "https";
  if (protocol !== "" && protocol !== "HTTP" && protocol !== "AUTO_HTTP" && protocol !== "GRPC") {
    draft.note(titleOf(ingress), `backend-protocol ${protocol} is not supported: http is used instead`);
  }
  return "http";
}

/** Adds a note for each annotation that is not imported. */
export function noteTheRest(ingress: Manifest, draft: Draft): void {
  for (const name of annotationNames(ingress)) {
    if (handled.has(name) || name === "canary" || name.startsWith("canary-")) continue;
    draft.note(titleOf(ingress), `${name}: ${advice[name] ?? "no equivalent"}`);
  }
  if (annotation(ingress, "proxy-body-size") === "") {
    draft.note(
      titleOf(ingress),
      "bodies were limited to 1 MiB by default; Perch has no limit unless `maxBodySize` is set",
    );
  }
  if (Array.isArray(ingress.spec["tls"])) {
    draft.note(titleOf(ingress), "tls: mount the Secret's tls.crt and tls.key, and set them in `listeners[].tls`");
  }
}

/** Annotations that are imported, or irrelevant to Perch. */
const handled: ReadonlySet<string> = new Set([
  "affinity",
  "affinity-canary-behavior",
  "affinity-mode",
  "backend-protocol",
  "proxy-connect-timeout",
  "proxy-read-timeout",
  "proxy-send-timeout",
  "limit-burst-multiplier",
  "limit-rpm",
  "limit-rps",
  "load-balance",
  "permanent-redirect",
  "permanent-redirect-code",
  "proxy-body-size",
  "rewrite-target",
  "temporal-redirect",
  "upstream-vhost",
  "use-regex",
  "proxy-http-version",
  "session-cookie-change-on-failure",
  "session-cookie-expires",
  "session-cookie-hash",
  "session-cookie-max-age",
  "session-cookie-name",
  "session-cookie-path",
  "session-cookie-samesite",
  "session-cookie-secure",
]);

/** Notes for frequent annotations without an equivalent. */
const advice: Readonly<Record<string, string>> = {
  "custom-http-errors": "no equivalent: upstream errors pass through unchanged, so that a failing canary is visible",
  "ssl-redirect": "TLS belongs to the listener: set its `tls`, and add a route with `redirect` for plain HTTP",
  "force-ssl-redirect": "TLS belongs to the listener: set its `tls`, and add a route with `redirect` for plain HTTP",
  "proxy-buffering": "no equivalent: bodies stream, with backpressure",
  "proxy-request-buffering": "no equivalent: bodies stream, with backpressure",
};
