import type { Decision } from "../decide/decision.ts";
import { stripCookies } from "../http/cookies.ts";
import { removeFields } from "../http/header-fields.ts";
import { stripParameters } from "../http/query.ts";
import type { Endpoint } from "../upstream/endpoint.ts";
import type { Exchange } from "./exchange.ts";
import { mirrorHeader } from "./mirror.ts";
import { noFields } from "./propagation.ts";
import type { RequestHeaderRules } from "./request-header-rules.ts";
import { responseTrailers } from "./response-headers.ts";
import type { ServiceVersion } from "./service.ts";

/**
 * The header fields that go upstream, flat: name, value, name, value. The client's fields come first, in their order and
 * case, then those that Perch adds. Host is the authority of the request. The transport adds the framing fields.
 */
export function upstreamHeaders(exchange: Exchange, rawHeaders: readonly string[], version: "1.1" | "2.0"): string[] {
  const { snapshot, head, caller } = exchange;
  const rules = snapshot.requestHeaders;
  // An HTTP/1.0 request may have no host. The transport then sends the endpoint's address.
  const out: string[] = head.authority === "" ? [] : ["Host", head.authority];
  let via = "";
  let baggage: string | undefined;
  const named: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? "";
    const value = rawHeaders[i + 1] ?? "";
    switch (rules.action(name)) {
      case "keep":
        out.push(name, value);
        break;
      case "trusted-only":
        if (caller.trusted) out.push(name, value);
        break;
      case "connection":
        named.push(...rules.removedBy(value));
        break;
      case "managed":
        if (name.length === 3) via += `${value}, `;
        break;
      case "baggage":
        baggage = joinedBaggage(baggage, value);
        break;
      case "cookie":
      case "drop":
        break;
    }
  }
  removeFields(out, named);
  const cookies = upstreamCookies(exchange);
  if (cookies !== undefined) out.push("Cookie", cookies);
  out.push(...forwardedFields(exchange), "X-Request-Id", exchange.requestId, "Via", upstreamVia(via, version));
  out.push(...propagatedFields(exchange, baggage));
  return out;
}

/** Joins repeated `baggage` lines (RFC 9110 §5.3). */
export function joinedBaggage(before: string | undefined, line: string): string {
  return before === undefined ? line : `${before},${line}`;
}

/** The Cookie that goes upstream: the received one without Perch's own cookies. Undefined if none is left. */
export function upstreamCookies({ snapshot, head, caller }: Exchange): string | undefined {
  if (head.cookies === undefined) return undefined;
  if (caller.trusted) return stripCookies(head.cookies, snapshot.ownCookies);
  const cookies = stripCookies(head.cookies, snapshot.untrustedCookies);
  if (cookies === undefined || snapshot.cookieLookAlikes === undefined) return cookies;
  const left = snapshot.cookieLookAlikes.stripCookies(cookies);
  return left === "" && cookies !== "" ? undefined : left;
}

/** X-Forwarded-* and Forwarded as Perch derived them; flat. */
export function forwardedFields(exchange: Exchange): string[] {
  const forwarded = exchange.facts.forwarded;
  const out = ["X-Forwarded-For", forwarded.for, "X-Forwarded-Proto", forwarded.proto];
  if (forwarded.host !== undefined) out.push("X-Forwarded-Host", forwarded.host);
  out.push("X-Forwarded-Port", forwarded.port);
  if (forwarded.forwarded !== undefined) out.push("Forwarded", forwarded.forwarded);
  return out;
}

/** The value of Via (RFC 9110 §7.6.3). `received`: the received value with a trailing comma, or empty. */
export function upstreamVia(received: string, version: "1.1" | "2.0"): string {
  return `${received}${version} perch`;
}

/** The versions that are propagated, as flat fields. `baggage`: the received value. */
export function propagatedFields(
  exchange: Exchange,
  baggage: string | undefined,
  decision: Pick<Decision, "version"> | undefined = exchange.decision,
): readonly string[] {
  const { snapshot, head, caller, route } = exchange;
  if (baggage === undefined && snapshot.propagation.isIdle) return noFields;
  if (route?.service === undefined) throw new TypeError("An exchange without a service was forwarded.");
  const release = route.release?.policy.name;
  return snapshot.propagation.fields({ head, caller, service: route.service, release, decision }, baggage);
}

/** The target that goes upstream: without override parameters, and without parameters that this caller may not set. */
export function upstreamTarget({ snapshot, head, caller, upstreamPath }: Exchange): string {
  const removed = caller.trusted ? snapshot.ownParameters : snapshot.untrustedParameters;
  const target = upstreamPath === undefined ? head.target : upstreamPath + head.target.slice(head.path.length);
  if (removed.size === 0 || head.query === "") return target;
  const left = stripParameters(head.query, removed);
  const query = caller.trusted ? left : (snapshot.parameterLookAlikes?.stripQuery(left) ?? left);
  if (query === head.query) return target;
  const path = upstreamPath ?? head.path;
  return query === "" ? path : `${path}?${query}`;
}

/**
 * The fields for the endpoint of the current attempt: those of `upstreamHeaders`, transformed by the route, and the trace
 * context.
 */
export function attemptFields(exchange: Exchange, fields: string[]): string[] {
  const { route, attempts, trace } = exchange;
  const transforms = route?.transforms;
  if (trace === undefined && transforms === undefined) return fields;
  let changed = fields;
  if (transforms !== undefined && attempts !== undefined) {
    changed = transforms.requestFields(fields, exchange, attempts.served, attempts.endpoint);
    exchange.forwardedPrefix = transforms.rewrite?.forwardedPrefix(changed);
  }
  return trace === undefined ? changed : [...changed, ...trace.fields()];
}

/** The fields of a mirrored request for an endpoint of `version`. */
export function copyFields(
  exchange: Exchange,
  fields: string[],
  version: ServiceVersion,
  endpoint: Endpoint,
): readonly string[] {
  const changed = exchange.route?.transforms?.requestFields(fields, exchange, version, endpoint);
  return mirrorHeaders(exchange, changed ?? fields, version.name);
}

/**
 * The request's fields, but propagating the mirror's version as if that had been assigned. The transport adds the framing
 * fields.
 */
function mirrorHeaders(exchange: Exchange, headers: readonly string[], version: string): string[] {
  const { trace, head } = exchange;
  const baggage = head.headerLines("baggage");
  const propagated = propagatedFields(exchange, baggage.length === 0 ? undefined : baggage.join(","), { version });
  const written = new Set(["content-length", mirrorHeader, ...propagated.filter((_, index) => index % 2 === 0)]);
  const out: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? "";
    if (!written.has(name.toLowerCase())) out.push(name, headers[i + 1] ?? "");
  }
  out.push(...propagated);
  if (trace !== undefined) out.push(...trace.copyFields());
  out.push(mirrorHeader, version);
  return out;
}

/** The trailer fields that go upstream: those that would be kept as headers, except framing fields. */
export function requestTrailers(rules: RequestHeaderRules, received: readonly string[]): [string, string][] {
  return responseTrailers(received).filter(([name]) => rules.action(name) === "keep");
}
