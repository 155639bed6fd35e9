import { parseAddress, parseAddressRange } from "../../decide/ip-address.ts";
import { isFramingHeader } from "../../http/header-names.ts";
import { jwtAlgorithms, readKeySet, secretKey, type VerifyingKey } from "../../identify/jwt-keys.ts";
import type { JwtSpec } from "../../identify/jwt-verifier.ts";
import type { CompileContext } from "../compile-context.ts";
import { cookieName, filePath, headerName, secretPath } from "../scalars.ts";
import { list, oneOrMore } from "../schema-kit/collections.ts";
import { defaulted, object, optional, required } from "../schema-kit/object.ts";
import { duration, oneOf, ParseError, scalar, text } from "../schema-kit/scalars.ts";
import type { Infer } from "../schema-kit/schema.ts";
import { quote } from "../schema-kit/tree.ts";

const loopback = [parseAddressRange("127.0.0.0/8"), parseAddressRange("::1/128")];

/** TLS is required: an attacker who can change the response on its way could add a key of their own. */
const keyAddress = scalar({
  what: "a URL such as https://id.example.com/jwks.json",
  parse: parseKeyAddress,
  json: { type: "string", pattern: "^[Hh][Tt][Tt][Pp][Ss]?://" },
});

function parseKeyAddress(written: string): string | ParseError {
  const url = /^[!-~]+$/.test(written) ? URL.parse(written) : null;
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    return new ParseError(`${quote(written)} is not a URL such as https://id.example.com/jwks.json`);
  }
  if (url.username !== "" || url.password !== "") {
    return new ParseError(
      `${quote(written.replace(/\/\/.*@/, "//…@"))} contains credentials, which jwksUrl does not support`,
    );
  }
  if (url.protocol === "http:" && !isLoopback(url.hostname)) {
    return new ParseError(`${quote(written)}: keys must be fetched over https, except from this machine`);
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
    jwksUrl: optional("The URL of a JSON Web Key Set (JWKS). Fetched again when it expires.", keyAddress),
    jwksFile: optional("A JSON Web Key Set file.", filePath),
    secretFile: optional(
      "A file of shared secrets for HS256, HS384 and HS512, one per line, at least 32 bytes each.",
      secretPath,
    ),
  },
  { what: "a key source", exactlyOneOf: ["jwksUrl", "jwksFile", "secretFile"] },
);

const from = object(
  {
    header: optional(
      "The header that contains the token, after Bearer (optional in headers other than authorization).",
      headerName,
    ),
    cookie: optional("The cookie that contains the token.", cookieName),
  },
  { what: "a token location", exactlyOneOf: ["header", "cookie"] },
);

const name = (what: string) => text({ what, minLength: 1, maxLength: 1_024 });

export const jwtSchema = object(
  {
    keys: required("The keys that verify tokens.", list(keySource, { of: "key sources", min: 1, max: 16 }), []),
    issuer: optional(
      "The token's iss must be this, or one of these. Default: any.",
      oneOrMore(name("an issuer"), "issuers"),
    ),
    audience: optional(
      "The token's aud must contain this, or one of these. Default: any.",
      oneOrMore(name("an audience"), "audiences"),
    ),
    algorithms: optional(
      "Accepted algorithms. Default: all that the keys support.",
      list(oneOf(jwtAlgorithms), { of: "algorithms", min: 1 }),
    ),
    clockSkew: defaulted(
      "The tolerated clock difference to the issuer, for exp and nbf.",
      duration({ minMs: 0, maxMs: 600_000 }),
      "60s",
    ),
    from: defaulted("Where requests carry the token.", from, { header: "authorization" }),
  },
  { what: "jwt" },
);

export type JwtConfig = Infer<typeof jwtSchema>;

/** The name of a claim, in which a dot has no special meaning, or the path to a nested claim. */
export const claimPath = oneOrMore(name("a claim's name"), "claim names");

/** Keys with certificates have a few KiB each. */
const maxKeySetBytes = 512 * 1024;

/** Collects the claims that attributes read while attributes are compiled. */
export class ClaimPaths {
  readonly #paths = new Map<string, readonly string[]>();

  get all(): readonly (readonly string[])[] {
    return [...this.#paths.values()];
  }

  /** Equal paths get the same index. */
  indexOf(path: readonly string[]): number {
    const key = JSON.stringify(path);
    if (!this.#paths.has(key)) this.#paths.set(key, [...path]);
    return [...this.#paths.keys()].indexOf(key);
  }
}

export function compileJwt(
  config: { readonly jwt: JwtConfig | undefined },
  claims: ClaimPaths,
  context: CompileContext,
): JwtSpec | undefined {
  const { jwt } = config;
  if (jwt === undefined) return undefined;
  const { parsing } = context;
  const { issuer = [], audience = [], clockSkew: clockSkewMs } = jwt;
  if (claims.all.length === 0 && !parsing.problems.failed) {
    parsing.warn(parsing.keySpanOf(config, "jwt"), "unused", "no attribute has a jwt source");
  }
  const keys = jwt.keys.flatMap((source) => fileKeys(source, context));
  const urls = jwt.keys.flatMap(({ jwksUrl }) => jwksUrl ?? []);
  checkAlgorithms(jwt, keys, context);
  warnWithoutAudience(jwt, context);
  return {
    keys,
    urls: [...new Set(urls)],
    issuers: issuer,
    audiences: audience,
    algorithms: new Set(jwt.algorithms ?? jwtAlgorithms),
    clockSkewMs,
    from: compileFrom(jwt, context),
    claims: claims.all,
  };
}

function fileKeys(source: JwtConfig["keys"][number], context: CompileContext): readonly VerifyingKey[] {
  const { parsing } = context;
  const { jwksFile, secretFile, jwksUrl } = source;
  if (secretFile !== undefined) {
    return context.secrets(secretFile, parsing.spanOf(source, "secretFile")).map(secretKey);
  }
  if (jwksFile === undefined) {
    if (jwksUrl !== undefined && context.publishedKeys === "refused") {
      const message = "the engine does not fetch keys";
      parsing.error(parsing.spanOf(source, "jwksUrl"), "not-supported", message, "use jwksFile");
    }
    return [];
  }
  const span = parsing.spanOf(source, "jwksFile");
  const file = context.file(jwksFile, maxKeySetBytes, span);
  if (file === undefined) return [];
  const set = readKeySet(Buffer.from(file.bytes).toString("utf8"), "counted");
  if ("problem" in set) {
    context.badFile(span, file.path, set.problem);
    return [];
  }
  const reasons = set.unused.slice(0, 3).join("; ");
  if (set.keys.length === 0) {
    context.badFile(span, file.path, `it has no usable key${reasons && ` (${reasons})`}`);
  } else if (reasons !== "") {
    parsing.warn(span, "unused", `some keys of ${file.path} are not used (${reasons})`);
  }
  return set.keys;
}

function checkAlgorithms(jwt: JwtConfig, keys: readonly VerifyingKey[], { parsing }: CompileContext): void {
  if (jwt.algorithms === undefined || keys.length === 0) return;
  if (jwt.keys.some(({ jwksUrl }) => jwksUrl !== undefined)) return;
  if (keys.some((key) => jwt.algorithms?.some((name) => key.algorithms.has(name)))) return;
  parsing.error(parsing.spanOf(jwt, "algorithms"), "bad-value", "no key supports any of these algorithms");
}

/** RFC 8725 §3.9: an issuer signs tokens for many services, and a token for one must not be accepted by another. */
function warnWithoutAudience(jwt: JwtConfig, { parsing }: CompileContext): void {
  if (jwt.audience !== undefined || jwt.keys.every(({ secretFile }) => secretFile !== undefined)) return;
  const message = "tokens that were issued for other services are accepted, too";
  parsing.warn(parsing.spanOf(jwt), "risky", message, "set audience");
}

function compileFrom({ from }: JwtConfig, { parsing }: CompileContext): JwtSpec["from"] {
  if (from.cookie !== undefined) return { kind: "cookie", name: from.cookie };
  const name = from.header ?? "authorization";
  if (isFramingHeader(name)) {
    parsing.error(parsing.spanOf(from, "header"), "bad-value", `${quote(name)} cannot contain a token`);
  }
  return { kind: "header", name };
}
