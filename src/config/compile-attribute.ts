import type { AttributeSource, AttributeSpec } from "../identify/attribute-spec.ts";
import type { GeoField } from "../identify/geo-database.ts";
import type { AttributeConfig } from "./attribute-schema.ts";
import type { ClaimPaths } from "./compile-jwt.ts";
import { isFramingHeader } from "./framing-headers.ts";
import type { Entry } from "./kit/collections.ts";
import type { Reading } from "./kit/schema.ts";
import { quote } from "./kit/tree.ts";
import { reservedAttributeNames } from "./schema.ts";

/** What sources are checked against, and what is collected of them. */
export interface AttributeScope {
  /** Whether any caller is trusted at all. */
  readonly proxiesKnown: boolean;
  /** Whether the file says how tokens are verified. */
  readonly jwtKnown: boolean;
  /** Whether the file names a database. */
  readonly geoKnown: boolean;
  readonly claims: ClaimPaths;
  readonly reading: Reading;
}

export function compileAttribute(entry: Entry<AttributeConfig>, scope: AttributeScope): AttributeSpec {
  const { reading } = scope;
  const { name, value } = entry;
  if (reservedAttributeNames.has(name)) {
    const message = `an attribute may not be called ${quote(name)}: conditions use that word for something else`;
    reading.error(reading.keySpanOf(entry), "bad-value", message);
  }
  const from = value.from.map((source) => compileSource(source, value, scope));
  return { name, type: value.type, from };
}

type SourceConfig = AttributeConfig["from"][number];

function compileSource(source: SourceConfig, attribute: AttributeConfig, scope: AttributeScope): AttributeSource {
  const { proxiesKnown, reading } = scope;
  const { trust } = source;
  if (source.clientAddress === true) {
    checkClientAddress(source, attribute, reading);
    return { kind: "clientAddress" };
  }
  if (source.jwt !== undefined) return compileClaim(source, source.jwt, scope);
  if (source.geo !== undefined) return compilePlace(source, source.geo, scope);
  if (trust === "proxies") checkTrust(source, proxiesKnown, reading);
  if (source.header !== undefined) return { kind: "header", name: source.header, trust };
  if (source.cookie !== undefined) return { kind: "cookie", name: source.cookie, trust };
  return { kind: "query", name: source.query ?? "", trust };
}

function compileClaim(
  source: SourceConfig,
  path: readonly string[],
  { jwtKnown, claims, reading }: AttributeScope,
): AttributeSource {
  if (!jwtKnown) {
    const message = "the file does not say how tokens are verified";
    reading.error(reading.keySpanOf(source, "jwt"), "missing-key", message, "add jwt: { keys: [...] } at its top");
  }
  refuseTrust(source, "a claim, which counts because it is verified", reading);
  return { kind: "jwt", claim: claims.indexOf(path), path };
}

function compilePlace(source: SourceConfig, field: GeoField, { geoKnown, reading }: AttributeScope): AttributeSource {
  if (!geoKnown) {
    const message = "the file names no database of places";
    reading.error(reading.keySpanOf(source, "geo"), "missing-key", message, "add geo: { database: FILE } at its top");
  }
  refuseTrust(source, "a place, which comes of the client address that trustedProxies derive", reading);
  return { kind: "geo", field };
}

function checkClientAddress(source: SourceConfig, { type }: AttributeConfig, reading: Reading): void {
  if (type !== "ip" && type !== "string") {
    const message = `clientAddress gives an address, which is no value of type ${type}`;
    reading.error(reading.keySpanOf(source, "clientAddress"), "bad-value", message, "use type ip or string");
  }
  refuseTrust(source, "clientAddress, which trustedProxies derive already", reading);
}

function refuseTrust(source: SourceConfig, what: string, reading: Reading): void {
  if (!reading.has(source, "trust")) return;
  reading.error(reading.keySpanOf(source, "trust"), "conflicting-keys", `trust does not go with ${what}`);
}

function checkTrust(source: SourceConfig, proxiesKnown: boolean, reading: Reading): void {
  const span = reading.spanOf(source, "trust");
  if (!proxiesKnown) {
    reading.warn(span, "risky", "no caller is in trustedProxies, so this source never counts");
  }
  if (source.header !== undefined && isFramingHeader(source.header)) {
    const message = `the header ${quote(source.header)} can not be removed from requests, as trust: proxies would`;
    reading.error(span, "bad-value", message);
  }
}
