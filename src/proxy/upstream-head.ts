import { stripCookies } from "../identify/cookies.ts";
import { stripParameters } from "../identify/query.ts";
import type { Exchange } from "./exchange.ts";
import { removeFields } from "./header-fields.ts";

/**
 * The header fields that go upstream, flat: name, value, name, value. The client's come first, in their order and case,
 * then what Perch adds. Host is the authority the client asked for; framing is the transport's.
 */
export function upstreamHeaders(exchange: Exchange, rawHeaders: readonly string[]): string[] {
  const { snapshot, head, caller } = exchange;
  const rules = snapshot.requestHeaders;
  // An HTTP/1.0 client may name no host; the upstream then gets its own address as one.
  const out: string[] = head.authority === "" ? [] : ["Host", head.authority];
  let via = "";
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
      case "cookie":
      case "drop":
        break;
    }
  }
  removeFields(out, named);
  addedFields(exchange, via, out);
  return out;
}

/**
 * Appends what Perch writes itself, whatever the lane: the cookies that are left, and the way the request came. `via` is
 * what Via said before (RFC 9110 §7.6.3), ended by a comma where there was any.
 */
export function addedFields(exchange: Exchange, via: string, out: string[]): void {
  const { snapshot, head, caller, requestId } = exchange;
  const withheld = caller.trusted ? snapshot.ownCookies : snapshot.strangersCookies;
  const cookies = head.cookies === undefined ? undefined : stripCookies(head.cookies, withheld);
  if (cookies !== undefined) out.push("Cookie", cookies);
  const forwarded = exchange.facts.forwarded;
  out.push("X-Forwarded-For", forwarded.for, "X-Forwarded-Proto", forwarded.proto);
  if (forwarded.host !== undefined) out.push("X-Forwarded-Host", forwarded.host);
  out.push("X-Forwarded-Port", forwarded.port);
  if (forwarded.forwarded !== undefined) out.push("Forwarded", forwarded.forwarded);
  out.push("X-Request-Id", requestId, "Via", `${via}1.1 perch`);
}

/** The target that goes upstream: as sent, without query parameters that only a trusted caller may set. */
export function upstreamTarget({ snapshot, head, caller }: Exchange): string {
  const { untrustedQuery } = snapshot.attributes;
  if (caller.trusted || untrustedQuery.size === 0 || head.query === "") return head.target;
  const query = stripParameters(head.query, untrustedQuery);
  return query === "" ? head.path : `${head.path}?${query}`;
}
