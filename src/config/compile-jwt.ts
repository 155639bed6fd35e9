import { jwtAlgorithms } from "../identify/jwt-algorithms.ts";
import { readKeySet, secretKey, type VerifyingKey } from "../identify/jwt-keys.ts";
import type { JwtSpec } from "../identify/jwt-verifier.ts";
import type { CompileContext } from "./compile-context.ts";
import { isFramingHeader } from "./framing-headers.ts";
import type { JwtConfig } from "./jwt-schema.ts";
import { quote } from "./kit/tree.ts";
import type { Config } from "./schema.ts";

/** A set of keys with certificates beside them is some KiB a key. */
const largestKeySetBytes = 512 * 1024;

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

export function compileJwt(config: Config, claims: ClaimPaths, context: CompileContext): JwtSpec | undefined {
  const { jwt } = config;
  if (jwt === undefined) return undefined;
  const { reading } = context;
  const { issuer = [], audience = [], clockSkew: clockSkewMs } = jwt;
  if (claims.all.length === 0 && !reading.problems.failed) {
    reading.warn(reading.keySpanOf(config, "jwt"), "unused", "no attribute reads a claim");
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
  const { reading } = context;
  const { jwksFile, secretFile, jwksUrl } = source;
  if (secretFile !== undefined) {
    return context.secrets(secretFile, reading.spanOf(source, "secretFile")).map(secretKey);
  }
  if (jwksFile === undefined) {
    if (jwksUrl !== undefined && context.publishedKeys === "refused") {
      const message = "the engine sends nothing, so it fetches no keys";
      reading.error(reading.spanOf(source, "jwksUrl"), "not-supported", message, "name a jwksFile");
    }
    return [];
  }
  const span = reading.spanOf(source, "jwksFile");
  const file = context.file(jwksFile, largestKeySetBytes, span);
  if (file === undefined) return [];
  const set = readKeySet(Buffer.from(file.bytes).toString("utf8"), "counted");
  if ("problem" in set) {
    context.badFile(span, file.path, set.problem);
    return [];
  }
  const told = set.unused.slice(0, 3).join("; ");
  if (set.keys.length === 0) context.badFile(span, file.path, `it holds no key that counts${told && ` (${told})`}`);
  else if (told !== "") reading.warn(span, "unused", `not every key of ${file.path} counts (${told})`);
  return set.keys;
}

function checkAlgorithms(jwt: JwtConfig, keys: readonly VerifyingKey[], { reading }: CompileContext): void {
  if (jwt.algorithms === undefined || keys.length === 0) return;
  if (jwt.keys.some(({ jwksUrl }) => jwksUrl !== undefined)) return;
  if (keys.some((key) => jwt.algorithms?.some((name) => key.algorithms.has(name)))) return;
  reading.error(reading.spanOf(jwt, "algorithms"), "bad-value", "none of the keys is for one of these algorithms");
}

/** RFC 8725 §3.9: an issuer signs for many, and a token for one of them is none for the others. */
function warnOfForeigners(jwt: JwtConfig, { reading }: CompileContext): void {
  if (jwt.audience !== undefined || jwt.keys.every(({ secretFile }) => secretFile !== undefined)) return;
  const message = "tokens that the issuer made for other audiences count here too";
  reading.warn(reading.spanOf(jwt), "risky", message, "name the audience");
}

function compileFrom({ from }: JwtConfig, { reading }: CompileContext): JwtSpec["from"] {
  if (from.cookie !== undefined) return { kind: "cookie", name: from.cookie };
  const name = from.header ?? "authorization";
  if (isFramingHeader(name)) {
    reading.error(reading.spanOf(from, "header"), "bad-value", `${quote(name)} can not hold a token`);
  }
  return { kind: "header", name };
}
