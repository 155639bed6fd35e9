import type { Draft, YamlMap, YamlValue } from "./draft.ts";
import { annotation, annotationNames } from "./ingress-locations.ts";
import { numberIn } from "./loose.ts";
import { type Manifest, titleOf } from "./manifests.ts";

/** Read elsewhere, or of no consequence for a configuration. */
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

/** What to say of annotations that many have; of any other it is said that there is no equivalent. */
const advice: Readonly<Record<string, string>> = {
  "custom-http-errors": "no equivalent: upstreams' errors pass as they are, so that a failing canary shows",
  "ssl-redirect": "TLS is the listener's: give it `tls`, and a route with `redirect` on the plain listener",
  "force-ssl-redirect": "TLS is the listener's: give it `tls`, and a route with `redirect` on the plain listener",
  "proxy-buffering": "no equivalent: bodies stream, with backpressure",
  "proxy-request-buffering": "no equivalent: bodies stream, with backpressure",
};

export function schemeOf(ingress: Manifest, draft: Draft): "http" | "https" {
  const protocol = annotation(ingress, "backend-protocol").toUpperCase();
  if (protocol === "HTTPS" || protocol === "GRPCS") return "https";
  if (protocol !== "" && protocol !== "HTTP" && protocol !== "AUTO_HTTP" && protocol !== "GRPC") {
    draft.note(titleOf(ingress), `backend-protocol ${protocol}: Perch speaks HTTP; http stands in its place`);
  }
  return "http";
}

/** What a service takes over from its Ingress's annotations. */
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

/** Names every annotation that was not taken over. */
export function noteTheRest(ingress: Manifest, draft: Draft): void {
  for (const name of annotationNames(ingress)) {
    if (handled.has(name) || name === "canary" || name.startsWith("canary-")) continue;
    draft.note(titleOf(ingress), `${name}: ${advice[name] ?? "no equivalent here"}`);
  }
  if (annotation(ingress, "proxy-body-size") === "") {
    draft.note(
      titleOf(ingress),
      "bodies were limited to 1 MiB unless told otherwise; Perch has no limit unless told one (`maxBodySize`)",
    );
  }
  if (Array.isArray(ingress.spec["tls"])) {
    draft.note(titleOf(ingress), "tls: mount the Secret's tls.crt and tls.key, and name them in `listeners[].tls`");
  }
}
