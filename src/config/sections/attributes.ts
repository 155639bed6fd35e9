import { isFramingHeader } from "../../http/header-names.ts";
import type { AttributeSource, AttributeSpec } from "../../identify/attributes.ts";
import { type GeoField, geoFields } from "../../identify/geo-database.ts";
import { cookieName, headerName, queryName } from "../scalars.ts";
import { type Entry, list } from "../schema-kit/collections.ts";
import { defaulted, object, optional, required } from "../schema-kit/object.ts";
import { oneOf, ParseError, scalar, text } from "../schema-kit/scalars.ts";
import type { Infer, ParseContext, Schema } from "../schema-kit/schema.ts";
import { quote } from "../schema-kit/tree.ts";
import { reservedAttributeNames } from "./condition.ts";
import { type ClaimPaths, claimPath } from "./jwt.ts";

const trust = defaulted(
  "proxies: counts only from a caller in trustedProxies, and a copy that anyone else sent is removed.",
  oneOf(["anyone", "proxies"]),
  "anyone",
);

const attributeSource = object(
  {
    header: optional("The request header that holds the value.", headerName),
    cookie: optional("The cookie that holds the value.", cookieName),
    query: optional("The query parameter that holds the value.", queryName),
    clientAddress: optional("The client's address, as derived by trustedProxies; always true.", yes()),
    jwt: optional("The claim of a verified token that holds the value; a list leads to one inside others.", claimPath),
    geo: optional("What the database knows of the derived client address.", oneOf(geoFields)),
    trust,
  },
  {
    what: "a source",
    exactlyOneOf: ["header", "cookie", "query", "clientAddress", "jwt", "geo"],
  },
);

function yes(): Schema<true> {
  return scalar({
    what: "true",
    parse: (written) => (written === "true" ? true : new ParseError(`expected true, found ${quote(written)}`)),
    json: { const: true },
    unquotedOnly: true,
  });
}

export const attributeName: Schema<string> = text({
  what: "an attribute's name",
  pattern: /^[A-Za-z][A-Za-z0-9_-]{0,63}$/,
  rule: "use letters, digits, - and _, a letter first, at most 64 characters",
});

/** A typed fact about the requester. */
export const attributeSchema = object(
  {
    type: required(
      "How the value is read and compared.",
      oneOf(["string", "number", "boolean", "time", "semver", "ip"]),
    ),
    from: required(
      "Sources in order; the first that is present and parses gives the value.",
      list(attributeSource, { of: "sources", min: 1 }),
    ),
  },
  { what: "an attribute" },
);

export type AttributeConfig = Infer<typeof attributeSchema>;

/** What sources are checked against, and what is collected of them. */
export interface AttributeScope {
  /** Whether any caller is trusted at all. */
  readonly proxiesKnown: boolean;
  /** Whether the file says how tokens are verified. */
  readonly jwtKnown: boolean;
  /** Whether the file names a database. */
  readonly geoKnown: boolean;
  readonly claims: ClaimPaths;
  readonly parsing: ParseContext;
}

export function compileAttribute(entry: Entry<AttributeConfig>, scope: AttributeScope): AttributeSpec {
  const { parsing } = scope;
  const { name, value } = entry;
  if (reservedAttributeNames.has(name)) {
    const message = `an attribute may not be called ${quote(name)}: conditions use that word for something else`;
    parsing.error(parsing.keySpanOf(entry), "bad-value", message);
  }
  const from = value.from.map((source) => compileSource(source, value, scope));
  return { name, type: value.type, from };
}

type SourceConfig = AttributeConfig["from"][number];

function compileSource(source: SourceConfig, attribute: AttributeConfig, scope: AttributeScope): AttributeSource {
  const { proxiesKnown, parsing } = scope;
  const { trust } = source;
  if (source.clientAddress === true) {
    checkClientAddress(source, attribute, parsing);
    return { kind: "clientAddress" };
  }
  if (source.jwt !== undefined) return compileClaim(source, source.jwt, scope);
  if (source.geo !== undefined) return compilePlace(source, source.geo, scope);
  if (trust === "proxies") checkTrust(source, proxiesKnown, parsing);
  if (source.header !== undefined) return { kind: "header", name: source.header, trust };
  if (source.cookie !== undefined) return { kind: "cookie", name: source.cookie, trust };
  return { kind: "query", name: source.query ?? "", trust };
}

function compileClaim(
  source: SourceConfig,
  path: readonly string[],
  { jwtKnown, claims, parsing }: AttributeScope,
): AttributeSource {
  if (!jwtKnown) {
    const message = "the file does not say how tokens are verified";
    parsing.error(parsing.keySpanOf(source, "jwt"), "missing-key", message, "add jwt: { keys: [...] } at its top");
  }
  refuseTrust(source, "a claim, which counts because it is verified", parsing);
  return { kind: "jwt", claim: claims.indexOf(path), path };
}

function compilePlace(source: SourceConfig, field: GeoField, { geoKnown, parsing }: AttributeScope): AttributeSource {
  if (!geoKnown) {
    const message = "the file names no database of places";
    parsing.error(parsing.keySpanOf(source, "geo"), "missing-key", message, "add geo: { database: FILE } at its top");
  }
  refuseTrust(source, "a place, which comes of the client address that trustedProxies derive", parsing);
  return { kind: "geo", field };
}

function checkClientAddress(source: SourceConfig, { type }: AttributeConfig, parsing: ParseContext): void {
  if (type !== "ip" && type !== "string") {
    const message = `clientAddress gives an address, which is no value of type ${type}`;
    parsing.error(parsing.keySpanOf(source, "clientAddress"), "bad-value", message, "use type ip or string");
  }
  refuseTrust(source, "clientAddress, which trustedProxies derive already", parsing);
}

function refuseTrust(source: SourceConfig, what: string, parsing: ParseContext): void {
  if (!parsing.has(source, "trust")) return;
  parsing.error(parsing.keySpanOf(source, "trust"), "conflicting-keys", `trust does not go with ${what}`);
}

function checkTrust(source: SourceConfig, proxiesKnown: boolean, parsing: ParseContext): void {
  const span = parsing.spanOf(source, "trust");
  if (!proxiesKnown) {
    parsing.warn(span, "risky", "no caller is in trustedProxies, so this source never counts");
  }
  if (source.header !== undefined && isFramingHeader(source.header)) {
    const message = `the header ${quote(source.header)} can not be removed from requests, as trust: proxies would`;
    parsing.error(span, "bad-value", message);
  }
}
