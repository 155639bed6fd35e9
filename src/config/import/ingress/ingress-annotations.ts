import { type Draft, lossOf } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";

const prefix = "nginx.ingress.kubernetes.io/";

/** An annotation of ingress-nginx by its short name; empty if it is not set. */
export function annotation(ingress: Manifest, name: string): string {
  return ingress.annotations.text(prefix + name).trim();
}

/** An annotation through `parse`. It counts as imported only if the result is not undefined. */
export function takeAnnotation<T>(
  ingress: Manifest,
  name: string,
  parse: (text: string) => T | undefined,
): T | undefined {
  return ingress.annotations.take(prefix + name, (text) => parse(text.trim()));
}

/** An annotation that another part imports. */
export function peekAnnotation(ingress: Manifest, name: string): string {
  const value = ingress.annotations.peek(prefix + name);
  return typeof value === "object" ? "" : String(value ?? "").trim();
}

/** Counts annotations as imported that have no effect, or that a note names already. */
export function dismissAnnotations(ingress: Manifest, ...names: readonly string[]): void {
  // Without names everything would count.
  if (names.length > 0) ingress.annotations.dismiss(...names.map((name) => prefix + name));
}

/** A number above zero, as ingress-nginx's limits and times in seconds are. */
export function positive(text: string): number | undefined {
  return /^\d+(?:\.\d+)?$/.test(text) && Number(text) > 0 ? Number(text) : undefined;
}

/** A boolean as Go's strconv.ParseBool reads it. */
export function booleanIn(text: string): boolean | undefined {
  if (/^(?:1|t|T|TRUE|true|True)$/.test(text)) return true;
  return /^(?:0|f|F|FALSE|false|False)$/.test(text) ? false : undefined;
}

/** Names every annotation that was not imported. */
export function noteOtherAnnotations(ingress: Manifest, isCanary: boolean, draft: Draft): void {
  const unread = ingress.annotations.unread().filter((name) => !isOff(ingress, name));
  for (const name of unread.filter((one) => one.startsWith(prefix)).map((one) => one.slice(prefix.length))) {
    if (isCanary) draft.note(titleOf(ingress), `${name}: ${onCanary(name)}`);
    else draft.note(titleOf(ingress), `${name}: ${onMain(name, ingress)}`, lossOf(isLost(name, ingress)));
  }
  const others = unread.filter((name) => !name.startsWith(prefix) && !irrelevant.test(name));
  const protecting = isCanary ? [] : others.filter((name) => protectsByAnotherPrefix(name, ingress));
  const plain = others.filter((name) => !protecting.includes(name));
  if (protecting.length > 0) {
    const what = `annotations of another prefix: ${protecting.join(", ")}: not imported`;
    draft.noteLostProtection(titleOf(ingress), `${what}; a controller with \`--annotations-prefix\` applied them`);
  }
  if (plain.length > 0)
    draft.note(titleOf(ingress), `annotations of other controllers: ${plain.join(", ")}: not imported`);
}

/** Whether an annotation says what is so without it: an empty one, a limit of 0, no verification of clients, and the address of the Service instead of its Pods. */
function isOff(ingress: Manifest, key: string): boolean {
  if (!key.startsWith(prefix)) return false;
  const name = key.slice(prefix.length);
  // ingress-nginx takes an empty annotation for none.
  if (peekAnnotation(ingress, name) === "") return true;
  if (/^limit-(?:rps|rpm|connections|rate|rate-after)$/.test(name)) return peekAnnotation(ingress, name) === "0";
  if (/^enable-(?:modsecurity|owasp-core-rules)$/.test(name)) {
    return booleanIn(peekAnnotation(ingress, name)) === false;
  }
  if (name.startsWith("auth-tls-")) return peekAnnotation(ingress, "auth-tls-verify-client") === "off";
  return name === "service-upstream";
}

/** Whether the original protected something by an annotation that was not imported. */
function isLost(name: string, ingress: Manifest): boolean {
  if (!protective.test(name)) return false;
  return !(onlyRedirects(ingress) && afterRedirects.test(name));
}

/** What nginx does only after it has answered with `return`. */
const afterRedirects =
  /^(?:auth-(?!tls-|snippet)|whitelist-|allowlist-|denylist-|satisfy|enable-global-auth|limit-|global-rate-limit)/;

function protectsByAnotherPrefix(key: string, ingress: Manifest): boolean {
  const name = key.replace(/^.*\//, "");
  return key.includes("/") && protective.test(name) && peekAnnotation(ingress, name) === "";
}

/** Whether nginx answers the requests with `return`. */
export function onlyRedirects(ingress: Manifest): boolean {
  return peekAnnotation(ingress, "temporal-redirect") !== "" || peekAnnotation(ingress, "permanent-redirect") !== "";
}

function onMain(name: string, ingress: Manifest): string {
  if (!imported.has(name)) return advice[name] ?? "no equivalent";
  if (onlyRedirects(ingress)) return "has no effect beside a redirect";
  return (hasItsCondition(name, ingress) ? undefined : advice[name]) ?? "not imported: its value is not understood";
}

/** Whether what the advice asks for is there, so that the value is why it was not imported. */
function hasItsCondition(name: string, ingress: Manifest): boolean {
  const hasLimit = (key: string) => positive(peekAnnotation(ingress, key)) !== undefined;
  if (name === "limit-burst-multiplier") return hasLimit("limit-rps") || hasLimit("limit-rpm");
  if (name === "limit-rpm") return !hasLimit("limit-rps");
  return advice[name] === ofCors && booleanIn(peekAnnotation(ingress, "enable-cors")) === true;
}

function onCanary(name: string): string {
  if (name.startsWith("canary-")) return "not imported: its value is not understood";
  return /^(?:load-balance$|upstream-hash-by|affinity|session-cookie-)/.test(name)
    ? "not imported from a canary Ingress; it applied to the canary's Pods"
    : "has no effect on a canary Ingress, in ingress-nginx either";
}

/** Annotations that limit who may do what. Snippets may do so as well. */
export const protective =
  /^(?:auth-|whitelist-|allowlist-|denylist-|satisfy|enable-global-auth|global-auth|limit-(?!rate|whitelist|burst|[a-z]+-status-code)|global-rate-limit|modsecurity|enable-modsecurity|enable-owasp|proxy-ssl-verify|ssl-(?!session|buffer)|force-ssl-|hsts|block-|[a-z]+-snippet)/;

/** Whether an annotation limits who may do what. */
export function hasProtection({ annotations }: Manifest): boolean {
  return annotations.keys().some((key) => key.startsWith(prefix) && protective.test(key.slice(prefix.length)));
}

/** Annotations of tools that act on the Ingress object, not on requests. */
const irrelevant =
  /^(?:kubectl\.kubernetes\.io|meta\.helm\.sh|helm\.sh|cert-manager\.io|acme\.cert-manager\.io|external-dns|argocd|field\.cattle\.io)|^kubernetes\.io\/(?:ingress\.class|tls-acme)$/;

/** Annotations that are imported where their value has an equivalent. */
const imported: ReadonlySet<string> = new Set([
  "affinity",
  "allowlist-source-range",
  "app-root",
  "backend-protocol",
  "canary",
  "canary-by-cookie",
  "canary-by-header",
  "canary-by-header-pattern",
  "canary-by-header-value",
  "canary-weight",
  "canary-weight-total",
  "cors-allow-credentials",
  "cors-allow-headers",
  "cors-allow-methods",
  "cors-allow-origin",
  "cors-expose-headers",
  "cors-max-age",
  "custom-headers",
  "denylist-source-range",
  "enable-cors",
  "force-ssl-redirect",
  "from-to-www-redirect",
  "limit-burst-multiplier",
  "limit-rpm",
  "limit-rps",
  "load-balance",
  "mirror-target",
  "permanent-redirect",
  "permanent-redirect-code",
  "proxy-body-size",
  "proxy-connect-timeout",
  "proxy-cookie-domain",
  "proxy-next-upstream",
  "proxy-next-upstream-tries",
  "proxy-read-timeout",
  "proxy-send-timeout",
  "proxy-ssl-name",
  "proxy-ssl-secret",
  "proxy-ssl-server-name",
  "proxy-ssl-verify",
  "rewrite-target",
  "server-alias",
  "ssl-redirect",
  "temporal-redirect",
  "temporal-redirect-code",
  "upstream-hash-by",
  "upstream-vhost",
  "use-regex",
  "whitelist-source-range",
  "x-forwarded-prefix",
]);

const ofAffinity = "has no effect without affinity: cookie, or its value is not understood";
const ofCanary = "has no effect without canary: true";
const ofCors = "has no effect without enable-cors";
const ofUpstreamTls =
  "has no effect without backend-protocol HTTPS or GRPCS and proxy-ssl-secret, in ingress-nginx either";
const ofOpenssl = "no equivalent: Perch uses the defaults of OpenSSL, with TLS 1.2 and 1.3";
const redirects = "no equivalent: see `rewrite.responses`";
const streams = "no equivalent: bodies stream, with backpressure";

/** Notes for annotations without an equivalent, or whose value has none. */
const advice: Readonly<Record<string, string>> = {
  "affinity-canary-behavior": "has no effect on the main Ingress, in ingress-nginx either: it is read from the canary",
  "affinity-mode": "no equivalent: it decides when users move to other Pods",
  "canary-by-cookie": ofCanary,
  "canary-by-header": ofCanary,
  "canary-by-header-pattern": ofCanary,
  "canary-by-header-value": ofCanary,
  "canary-weight": ofCanary,
  "canary-weight-total": ofCanary,
  "cors-allow-credentials": ofCors,
  "cors-allow-headers": ofCors,
  "cors-allow-methods": ofCors,
  "cors-allow-origin": ofCors,
  "cors-expose-headers": ofCors,
  "cors-max-age": ofCors,
  "custom-headers": "set the data of the ConfigMap as `responseHeaders.set`, or add the ConfigMap to the input",
  "custom-http-errors": "no equivalent: upstream errors pass through unchanged, so that a failing canary is visible",
  "auth-tls-secret": "set `tls.clientCa` on the listener, which then applies to all its hosts",
  "app-root": "only a plain path can be imported",
  "limit-whitelist": "no equivalent: clients at these addresses are limited as well",
  "limit-burst-multiplier": "has no effect without limit-rps or limit-rpm",
  "limit-rpm": "not imported: a route has one rate limit",
  "load-balance": "not imported: see `balance`",
  "mirror-host": "no equivalent: mirrored requests have the Host header of the original",
  "mirror-request-body": "no equivalent: requests are mirrored with their bodies, up to `mirror.maxBody`",
  "mirror-target": "only a URL that ends with $request_uri can be imported: add `mirror` to the release",
  "proxy-buffering": streams,
  "proxy-cookie-domain": "only two plain domains can be imported: see `rewrite.cookieDomain`",
  "proxy-next-upstream-timeout": "no equivalent: `timeouts.total` limits all attempts",
  "proxy-request-buffering": streams,
  "proxy-redirect-from": redirects,
  "proxy-redirect-to": redirects,
  "proxy-ssl-ciphers": ofOpenssl,
  "proxy-ssl-name": ofUpstreamTls,
  "proxy-ssl-protocols": ofOpenssl,
  "proxy-ssl-secret": ofUpstreamTls,
  "proxy-ssl-server-name": ofUpstreamTls,
  "proxy-ssl-verify": ofUpstreamTls,
  "proxy-ssl-verify-depth": ofOpenssl,
  "server-alias": "patterns have no equivalent: list the hosts in `match.hosts`",
  "session-cookie-change-on-failure":
    "no equivalent: while a version has no healthy endpoint the default one serves, and pins stay",
  "session-cookie-conditional-samesite-none": "no equivalent",
  "session-cookie-domain": ofAffinity,
  "session-cookie-expires": ofAffinity,
  "session-cookie-hash": "no equivalent: pins are signed",
  "session-cookie-max-age": ofAffinity,
  "session-cookie-name": ofAffinity,
  "session-cookie-partitioned": ofAffinity,
  "session-cookie-path": ofAffinity,
  "session-cookie-samesite": ofAffinity,
  "session-cookie-secure": ofAffinity,
  "upstream-hash-by":
    "not imported: `balance: hash` uses the release's unit, which `sticky.by` takes from an attribute, or else the client's address",
  "upstream-vhost": "only a plain host can be imported: see `rewrite.host`",
};
