import { parseAddress, parseAddressRange } from "../decide/address.ts";
import { jwtAlgorithms } from "../identify/jwt-algorithms.ts";
import { cookieName, filePath, headerName } from "./domain-scalars.ts";
import { list, oneOrMore } from "./kit/collections.ts";
import { defaulted, object, optional, required } from "./kit/object.ts";
import { duration } from "./kit/quantities.ts";
import { oneOf, scalar, text, Wrong } from "./kit/scalars.ts";
import type { Infer } from "./kit/schema.ts";
import { quote } from "./kit/tree.ts";

const loopback = [parseAddressRange("127.0.0.0/8"), parseAddressRange("::1/128")];

/** Whoever can change the answer on its way decides whose tokens count, so only TLS will do. */
const keyAddress = scalar({
  what: "an address such as https://id.example.com/jwks.json",
  parse: parseKeyAddress,
  json: { type: "string", pattern: "^[Hh][Tt][Tt][Pp][Ss]?://" },
});

function parseKeyAddress(written: string): string | Wrong {
  const url = /^[!-~]+$/.test(written) ? URL.parse(written) : null;
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    return new Wrong(`${quote(written)} is not an address such as https://id.example.com/jwks.json`);
  }
  if (url.username !== "" || url.password !== "") {
    return new Wrong(`${quote(written.replace(/\/\/.*@/, "//…@"))} holds credentials; published keys need none`);
  }
  if (url.protocol === "http:" && !isLoopback(url.hostname)) {
    return new Wrong(`${quote(written)}: keys are fetched by https only, but from this machine`);
  }
  url.hash = "";
  return url.href;
}

function isLoopback(hostname: string): boolean {
  const address = parseAddress(hostname.replace(/^\[|\]$/g, ""));
  return hostname === "localhost" || (address !== undefined && loopback.some((range) => range?.contains(address)));
}

const keySource = object(
  {
    jwksUrl: optional("Where public keys are published, as a JSON Web Key Set; fetched again and again.", keyAddress),
    jwksFile: optional("A file that holds a JSON Web Key Set.", filePath),
    secretFile: optional(
      "A file of shared secrets for HS256, HS384 and HS512, one a line, 32 bytes at least.",
      filePath,
    ),
  },
  { what: "a source of keys", exactlyOneOf: ["jwksUrl", "jwksFile", "secretFile"] },
);

const from = object(
  {
    header: optional("The header that holds the token, as it is or behind the word Bearer.", headerName),
    cookie: optional("The cookie that holds the token.", cookieName),
  },
  { what: "a place for tokens", exactlyOneOf: ["header", "cookie"] },
);

const name = (what: string) => text({ what, minLength: 1, maxLength: 1_024 });

/** Which tokens attributes believe. */
export const jwtSchema = object(
  {
    keys: required("Whose signatures count.", list(keySource, { of: "sources of keys", min: 1, max: 16 }), []),
    issuer: optional(
      "The token's iss must be this, or one of these. Default: any.",
      oneOrMore(name("an issuer"), "issuers"),
    ),
    audience: optional(
      "The token's aud must hold this, or one of these. Default: any.",
      oneOrMore(name("an audience"), "audiences"),
    ),
    algorithms: optional(
      "Algorithms that count. Default: all that the keys are made for.",
      list(oneOf(jwtAlgorithms), { of: "algorithms", min: 1 }),
    ),
    clockSkew: defaulted("How far the issuer's clock may be from ours.", duration({ minMs: 0, maxMs: 600_000 }), "60s"),
    from: defaulted("Where requests carry the token.", from, { header: "authorization" }),
  },
  { what: "jwt" },
);

export type JwtConfig = Infer<typeof jwtSchema>;

/** A claim: its name as it is, dots and all, or the names that lead to one inside others. */
export const claimPath = oneOrMore(name("a claim's name"), "claim names");
