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
 * The header fields that go upstream, flat: name, value, name, value. The client's come first, in their order and case,
 * then what Perch adds. Host is the authority the client asked for; framing is the transport's.
 */
export function upstreamHeaders(exchange: Exchange, rawHeaders: readonly string[], version: "1.1" | "2.0"): string[] {
  const { snapshot, head, caller } = exchange;
  const rules = snapshot.requestHeaders;
  // An HTTP/1.0 client may name no host; the upstream then gets its own address as one.
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

/**
 * The fields of a copy: those of the request, and for which version it is, as if that had been assigned. The transport
 * frames its body anew.
 */
function mirrorHeaders(exchange: Exchange, headers: readonly string[], version: string): string[] {
  const { trace, head } = exchange;
  const baggage = head.headerLines("baggage");
  const told = propagatedFields(exchange, baggage.length === 0 ? undefined : baggage.join(","), { version });
  const written = new Set(["content-length", mirrorHeader, ...told.filter((_, index) => index % 2 === 0)]);
  const out: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? "";
    if (!written.has(name.toLowerCase())) out.push(name, headers[i + 1] ?? "");
  }
  out.push(...told);
  if (trace !== undefined) out.push(...trace.copyFields());
  out.push(mirrorHeader, version);
  return out;
}

/** One more line of baggage behind those before it (RFC 9110 §5.3). */
export function joinedBaggage(before: string | undefined, line: string): string {
  return before === undefined ? line : `${before},${line}`;
}

/** What the upstream is told of releases, flat; `baggage` is what was received of it. */
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

/** The trailer fields that go upstream: those that would have passed as header fields, and frame nothing. */
export function requestTrailers(rules: RequestHeaderRules, received: readonly string[]): [string, string][] {
  return responseTrailers(received).filter(([name]) => rules.action(name) === "keep");
}

/** The Cookie that goes upstream: all that came, without Perch's own. Undefined where nothing is left. */
export function upstreamCookies({ snapshot, head, caller }: Exchange): string | undefined {
  const withheld = caller.trusted ? snapshot.ownCookies : snapshot.untrustedCookies;
  return head.cookies === undefined ? undefined : stripCookies(head.cookies, withheld);
}

/** The fields that tell of the way the request came, as Perch derived them; flat. */
export function forwardedFields(exchange: Exchange): string[] {
  const forwarded = exchange.facts.forwarded;
  const out = ["X-Forwarded-For", forwarded.for, "X-Forwarded-Proto", forwarded.proto];
  if (forwarded.host !== undefined) out.push("X-Forwarded-Host", forwarded.host);
  out.push("X-Forwarded-Port", forwarded.port);
  if (forwarded.forwarded !== undefined) out.push("Forwarded", forwarded.forwarded);
  return out;
}

/** What Via says (RFC 9110 §7.6.3); `received` is what it said before, ended by a comma where there was any. */
export function upstreamVia(received: string, version: "1.1" | "2.0"): string {
  return `${received}${version} perch`;
}

/** The target that goes upstream: as asked for, without those of testers' links and those only a trusted caller may set. */
export function upstreamTarget({ snapshot, head, caller, upstreamPath }: Exchange): string {
  const withheld = caller.trusted ? snapshot.ownParameters : snapshot.untrustedParameters;
  const asked = upstreamPath === undefined ? head.target : upstreamPath + head.target.slice(head.path.length);
  if (withheld.size === 0 || head.query === "") return asked;
  const query = stripParameters(head.query, withheld);
  if (query === head.query) return asked;
  const path = upstreamPath ?? head.path;
  return query === "" ? path : `${path}?${query}`;
}

/**
 * The fields that go to the endpoint of the present attempt: those of `upstreamHeaders`, as the route changes them, and what
 * tells of the trace.
 */
export function attemptFields(exchange: Exchange, fields: string[]): string[] {
  const { route, attempts, trace } = exchange;
  const work = route?.transforms;
  if (trace === undefined && work === undefined) return fields;
  const changed =
    work === undefined || attempts === undefined
      ? fields
      : work.requestFields(fields, exchange, attempts.served, attempts.endpoint);
  return trace === undefined ? changed : [...changed, ...trace.fields()];
}

/** The fields of a copy for this version, as they go to this endpoint of it. */
export function copyFields(
  exchange: Exchange,
  fields: string[],
  version: ServiceVersion,
  endpoint: Endpoint,
): readonly string[] {
  const changed = exchange.route?.transforms?.requestFields(fields, exchange, version, endpoint);
  return mirrorHeaders(exchange, changed ?? fields, version.name);
}
