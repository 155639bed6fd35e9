import { geoFields } from "../identify/geo-database.ts";
import { cookieName, headerName, queryName } from "./domain-scalars.ts";
import { claimPath } from "./jwt-schema.ts";
import { list } from "./kit/collections.ts";
import { defaulted, object, optional, required } from "./kit/object.ts";
import { oneOf, scalar, text, Wrong } from "./kit/scalars.ts";
import type { Infer, Schema } from "./kit/schema.ts";
import { quote } from "./kit/tree.ts";

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
    parse: (written) => (written === "true" ? true : new Wrong(`expected true, found ${quote(written)}`)),
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
