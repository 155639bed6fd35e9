import { TimeZone } from "../../decide/time-zone.ts";
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
  "Who may send it. proxies: only callers in trustedProxies; it is removed from the requests of others.",
  oneOf(["anyone", "proxies"]),
  "anyone",
);

const attributeSource = object(
  {
    header: optional("The request header that holds the value.", headerName),
    cookie: optional("The cookie that holds the value.", cookieName),
    query: optional("The query parameter that holds the value.", queryName),
    clientAddress: optional("true: the client's address, as derived with trustedProxies.", trueOnly()),
    jwt: optional(
      "The claim of a verified token that holds the value; a list is the path to a nested claim.",
      claimPath,
    ),
    geo: optional("A field of the GeoIP database for the client's address.", oneOf(geoFields)),
    trust,
  },
  {
    what: "a source",
    exactlyOneOf: ["header", "cookie", "query", "clientAddress", "jwt", "geo"],
  },
);

function trueOnly(): Schema<true> {
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

/** Names outside the IANA database that Intl knows: it takes CST for Chicago, and half the world for Shanghai. */
const ambiguous = /^(?:A[CEGRS]T|BET|BST|C[ANS]T|CTT|EAT|ECT|I[ES]T|JST|MIT|N[ES]T|P[LNRS]T|SST|VST)$/i;

const zoneName: Schema<string> = scalar({
  what: "a time zone",
  parse(written) {
    const message = `${quote(written)} is not the name of a time zone`;
    const hint = "write an IANA name such as Asia/Shanghai";
    if (!ambiguous.test(written)) return TimeZone.named(written)?.name ?? new ParseError(message, hint);
    return new ParseError(`${quote(written)} is an abbreviation that several time zones have`, hint);
  },
  json: { type: "string", pattern: "^[A-Za-z][A-Za-z0-9_+/-]*$" },
});

export const attributeSchema = object(
  {
    type: required(
      "How the value is parsed and compared.",
      oneOf(["string", "number", "boolean", "time", "semver", "ip"]),
    ),
    timeZone: optional(
      "For type time: the IANA zone of values and bounds without one, such as Asia/Shanghai. Default: UTC.",
      zoneName,
    ),
    from: required(
      "Sources in order of precedence; the first that is present and valid gives the value.",
      list(attributeSource, { of: "sources", min: 1 }),
    ),
  },
  { what: "an attribute" },
);

export type AttributeConfig = Infer<typeof attributeSchema>;

/** What sources are checked against, and the claims that they add to. */
export interface AttributeScope {
  /** Whether `trustedProxies` is set. */
  readonly proxiesKnown: boolean;
  /** Whether `jwt` is set. */
  readonly jwtKnown: boolean;
  /** Whether `geo` is set. */
  readonly geoKnown: boolean;
  readonly claims: ClaimPaths;
  readonly parsing: ParseContext;
}

export function compileAttribute(entry: Entry<AttributeConfig>, scope: AttributeScope): AttributeSpec {
  const { parsing } = scope;
  const { name, value } = entry;
  if (reservedAttributeNames.has(name)) {
    const message = `an attribute cannot be named ${quote(name)}: the name is a reserved key of conditions`;
    parsing.error(parsing.keySpanOf(entry), "bad-value", message);
  }
  if (value.timeZone !== undefined && value.type !== "time") {
    const message = `timeZone needs type: time; the attribute ${quote(name)} is of type ${value.type}`;
    parsing.error(parsing.keySpanOf(value, "timeZone"), "conflicting-keys", message);
  }
  const from = value.from.map((source) => compileSource(source, value, scope));
  return { name, type: value.type, timeZone: value.timeZone, from };
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
  if (source.geo !== undefined) return compileGeoSource(source, source.geo, scope);
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
    const message = "a jwt source needs the jwt section, which defines how tokens are verified";
    parsing.error(
      parsing.keySpanOf(source, "jwt"),
      "missing-key",
      message,
      "add jwt: { keys: [...] } at the top level",
    );
  }
  refuseTrust(source, "jwt: claims are trusted because they are verified", parsing);
  return { kind: "jwt", claim: claims.indexOf(path), path };
}

function compileGeoSource(
  source: SourceConfig,
  field: GeoField,
  { geoKnown, parsing }: AttributeScope,
): AttributeSource {
  if (!geoKnown) {
    const message = "a geo source needs the geo section, which names the database";
    parsing.error(
      parsing.keySpanOf(source, "geo"),
      "missing-key",
      message,
      "add geo: { database: FILE } at the top level",
    );
  }
  refuseTrust(source, "geo: the client's address is already derived with trustedProxies", parsing);
  return { kind: "geo", field };
}

function checkClientAddress(source: SourceConfig, { type }: AttributeConfig, parsing: ParseContext): void {
  if (type !== "ip" && type !== "string") {
    const message = `clientAddress gives an address, which is not a value of type ${type}`;
    parsing.error(parsing.keySpanOf(source, "clientAddress"), "bad-value", message, "use type ip or string");
  }
  refuseTrust(source, "clientAddress: it is already derived with trustedProxies", parsing);
}

/** `trust` is for values that clients can forge. Verified and derived values need no such choice. */
function refuseTrust(source: SourceConfig, why: string, parsing: ParseContext): void {
  if (!parsing.has(source, "trust")) return;
  parsing.error(parsing.keySpanOf(source, "trust"), "conflicting-keys", `trust cannot be combined with ${why}`);
}

function checkTrust(source: SourceConfig, proxiesKnown: boolean, parsing: ParseContext): void {
  const span = parsing.spanOf(source, "trust");
  if (!proxiesKnown) {
    parsing.warn(span, "risky", "trustedProxies is empty, so this source is never used");
  }
  if (source.header !== undefined && isFramingHeader(source.header)) {
    const message = `the header ${quote(source.header)} cannot be removed from requests, which trust: proxies requires`;
    parsing.error(span, "bad-value", message);
  }
}
