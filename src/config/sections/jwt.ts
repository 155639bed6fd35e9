import { parseAddress, parseAddressRange } from "../../decide/ip-address.ts";
import { isFramingHeader } from "../../http/header-names.ts";
import { jwtAlgorithms, readKeySet, secretKey, type VerifyingKey } from "../../identify/jwt-keys.ts";
import type { JwtSpec } from "../../identify/jwt-verifier.ts";
import type { CompileContext } from "../compile-context.ts";
import { cookieName, filePath, headerName } from "../scalars.ts";
import { list, oneOrMore } from "../schema-kit/collections.ts";
import { defaulted, object, optional, required } from "../schema-kit/object.ts";
import { duration, oneOf, ParseError, scalar, text } from "../schema-kit/scalars.ts";
import type { Infer } from "../schema-kit/schema.ts";
import { quote } from "../schema-kit/tree.ts";

const loopback = [parseAddressRange("127.0.0.0/8"), parseAddressRange("::1/128")];

/** Whoever can change the answer on its way decides whose tokens count, so only TLS will do. */
const keyAddress = scalar({
  what: "an address such as https://id.example.com/jwks.json",
  parse: parseKeyAddress,
  json: { type: "string", pattern: "^[Hh][Tt][Tt][Pp][Ss]?://" },
});

function parseKeyAddress(written: string): string | ParseError {
  const url = /^[!-~]+$/.test(written) ? URL.parse(written) : null;
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    return new ParseError(`${quote(written)} is not an address such as https://id.example.com/jwks.json`);
  }
  if (url.username !== "" || url.password !== "") {
    return new ParseError(`${quote(written.replace(/\/\/.*@/, "//…@"))} holds credentials; published keys need none`);
  }
  if (url.protocol === "http:" && !isLoopback(url.hostname)) {
    return new ParseError(`${quote(written)}: keys are fetched by https only, but from this machine`);
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

/** A set of keys with certificates beside them is some KiB a key. */
const maxKeySetBytes = 512 * 1024;

/** The claims that attributes read, collected while these are compiled. */
export class ClaimPaths {
  readonly #paths = new Map<string, readonly string[]>();

  get all(): readonly (readonly string[])[] {
    return [...this.#paths.values()];
  }

  /** Equal paths have one index. */
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
    parsing.warn(parsing.keySpanOf(config, "jwt"), "unused", "no attribute reads a claim");
  }
  const keys = jwt.keys.flatMap((source) => fileKeys(source, context));
  const urls = jwt.keys.flatMap(({ jwksUrl }) => jwksUrl ?? []);
  checkAlgorithms(jwt, keys, context);
  warnOfForeigners(jwt, context);
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
      const message = "the engine sends nothing, so it fetches no keys";
      parsing.error(parsing.spanOf(source, "jwksUrl"), "not-supported", message, "name a jwksFile");
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
  const told = set.unused.slice(0, 3).join("; ");
  if (set.keys.length === 0) context.badFile(span, file.path, `it holds no key that counts${told && ` (${told})`}`);
  else if (told !== "") parsing.warn(span, "unused", `not every key of ${file.path} counts (${told})`);
  return set.keys;
}

function checkAlgorithms(jwt: JwtConfig, keys: readonly VerifyingKey[], { parsing }: CompileContext): void {
  if (jwt.algorithms === undefined || keys.length === 0) return;
  if (jwt.keys.some(({ jwksUrl }) => jwksUrl !== undefined)) return;
  if (keys.some((key) => jwt.algorithms?.some((name) => key.algorithms.has(name)))) return;
  parsing.error(parsing.spanOf(jwt, "algorithms"), "bad-value", "none of the keys is for one of these algorithms");
}

/** RFC 8725 §3.9: an issuer signs for many, and a token for one of them is none for the others. */
function warnOfForeigners(jwt: JwtConfig, { parsing }: CompileContext): void {
  if (jwt.audience !== undefined || jwt.keys.every(({ secretFile }) => secretFile !== undefined)) return;
  const message = "tokens that the issuer made for other audiences count here too";
  parsing.warn(parsing.spanOf(jwt), "risky", message, "name the audience");
}

function compileFrom({ from }: JwtConfig, { parsing }: CompileContext): JwtSpec["from"] {
  if (from.cookie !== undefined) return { kind: "cookie", name: from.cookie };
  const name = from.header ?? "authorization";
  if (isFramingHeader(name)) {
    parsing.error(parsing.spanOf(from, "header"), "bad-value", `${quote(name)} can not hold a token`);
  }
  return { kind: "header", name };
}
