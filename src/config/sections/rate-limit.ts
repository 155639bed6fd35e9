import { createHash } from "node:crypto";
import type { RateLimitSpec, TokenStoreSpec } from "../../route/route-spec.ts";
import { checkAuthorities } from "../certificate.ts";
import type { CompileContext, KnownAttributes } from "../compile-context.ts";
import { filePath, secretPath } from "../scalars.ts";
import { defaulted, object, optional, required } from "../schema-kit/object.ts";
import { duration, number, ParseError, scalar, text } from "../schema-kit/scalars.ts";
import type { Infer, Schema } from "../schema-kit/schema.ts";

const count = number({ what: "a number of requests", min: 1, max: 1_000_000, integer: true });

/** What the URL of a Redis server says. */
type RedisUrl = Pick<TokenStoreSpec, "host" | "port" | "database" | "username"> & { readonly isTls: boolean };

const defaultPort = 6379;

/** Problems do not show the URL, which may have a password in it. */
const redisUrl: Schema<RedisUrl> = scalar({
  what: "the URL of a Redis server such as redis://redis:6379",
  parse(written) {
    const url = /^rediss?:\/\/[!-~]+$/i.test(written) ? URL.parse(written) : null;
    if (url === null || url.hostname === "" || url.search !== "" || url.hash !== "") {
      const why = /^rediss?:\/\//i.test(written) ? "" : ": it does not begin with redis:// or rediss://";
      return ParseError.ofSecret(`this is not the URL of a Redis server${why}`, "write it as in redis://redis:6379");
    }
    if (url.password !== "") {
      return ParseError.ofSecret("the URL has a password", "put it in a file, and name that by passwordFile");
    }
    const username = decoded(url.username);
    if (username === undefined) return ParseError.ofSecret("the user in the URL is not percent-encoded UTF-8");
    const [, database] = /^(?:\/(\d{1,5})?)?$/.exec(url.pathname) ?? ["", "none"];
    if (database === "none") {
      return ParseError.ofSecret(
        "the path of the URL is not a database's number",
        "write it as in redis://redis:6379/0",
      );
    }
    return {
      host: url.hostname.replace(/^\[|\]$/g, ""),
      port: url.port === "" ? defaultPort : Number(url.port),
      database: Number(database ?? 0),
      username: username === "" ? undefined : username,
      isTls: url.protocol === "rediss:",
    };
  },
  json: { type: "string", pattern: "^[Rr][Ee][Dd][Ii][Ss][Ss]?://[^#?\\s]+$" },
});

function decoded(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}

const sharedSchema = object(
  {
    redis: required(
      "The Redis server that all processes count in: redis://, or rediss:// for TLS, with the user and the database's number if there are any.",
      redisUrl,
      { host: "", port: defaultPort, database: 0, username: undefined, isTls: false },
    ),
    passwordFile: optional("A file with the password, and nothing else.", secretPath),
    ca: optional("A PEM file of CA certificates that replace the system's, for rediss.", filePath),
    prefix: defaulted(
      "What the keys in Redis begin with. Installations with the same prefix count together where their routes have the same name and limit.",
      text({
        what: "a prefix",
        pattern: /^[A-Za-z0-9._-]{1,64}$/,
        rule: "use letters, digits, dots, dashes and underscores, at most 64 characters",
      }),
      "perch",
    ),
    timeout: defaulted(
      "How long a request waits for Redis. Without an answer it counts in its process only.",
      duration({ minMs: 5, maxMs: 1_000 }),
      "50ms",
    ),
  },
  { what: "a shared rate limit" },
);

type SharedConfig = Infer<typeof sharedSchema>;

export const rateLimitSchema = object(
  {
    by: defaulted(
      "What identifies a client: clientAddress (for IPv6 the /64 network), or the name of an attribute.",
      text({ what: "clientAddress or an attribute" }),
      "clientAddress",
    ),
    requests: required("The number of requests per period.", count, 1),
    per: defaulted("The period.", duration({ minMs: 1, maxMs: 86_400_000 }), "1s"),
    burst: optional("The number of requests that may come at once after an idle time. Default: `requests`.", count),
    shared: optional(
      "Counts the requests of all workers and replicas together. Default: each worker counts by itself.",
      sharedSchema,
    ),
  },
  { what: "a rate limit" },
);

export type RateLimitConfig = Infer<typeof rateLimitSchema>;

const clientAddress = "clientAddress";

export function compileRateLimit(
  config: RateLimitConfig,
  attributes: KnownAttributes,
  context: CompileContext,
): RateLimitSpec {
  const { parsing } = context;
  const { by, requests, per, burst = requests } = config;
  const shared = config.shared && compileShared(config.shared, context);
  const rate = { requests, perMs: per, burst, shared };
  if (by === clientAddress) return { by: { kind: clientAddress }, ...rate };
  const attribute = attributes.use(by);
  if (attribute !== undefined) return { by: { kind: "attribute", index: attribute.index, name: by }, ...rate };
  if (attributes.names?.has(by) === false) {
    parsing.unknownName(parsing.spanOf(config, "by"), "attribute", by, [...attributes.names, clientAddress]);
  }
  // Never used: the problem is reported, or the attributes could not be read.
  return { by: { kind: clientAddress }, ...rate };
}

const maxPasswordBytes = 4_096;
const maxPemBytes = 1024 * 1024;

function compileShared(config: SharedConfig, context: CompileContext): TokenStoreSpec {
  const { parsing } = context;
  const { redis, prefix, timeout } = config;
  const { host, port, database, username, isTls } = redis;
  const password = readPassword(config, context);
  const ca = readAuthorities(config, context);
  if (config.ca !== undefined && !isTls) {
    parsing.error(parsing.keySpanOf(config, "ca"), "conflicting-keys", "ca needs TLS", "write rediss:// in redis");
  }
  const tls = isTls ? { ca } : undefined;
  const settings = { host, port, database, username, prefix, answerMs: timeout };
  const digest = createHash("sha256").update(JSON.stringify({ ...settings, isTls }));
  for (const secret of [password, ca]) digest.update(`\n${secret?.length ?? "none"}\n`).update(secret ?? "");
  return { ...settings, password, tls, digest: digest.digest("hex") };
}

function readPassword(config: SharedConfig, context: CompileContext): Uint8Array | undefined {
  if (config.passwordFile === undefined) return undefined;
  const span = context.parsing.spanOf(config, "passwordFile");
  const file = context.file(config.passwordFile, maxPasswordBytes, span);
  if (file === undefined) return undefined;
  const password = Buffer.from(file.bytes)
    .toString("utf8")
    .replace(/\r?\n$/, "");
  if (/^[^\r\n]+$/.test(password)) return Buffer.from(password);
  return context.badFile(span, file.path, password === "" ? "it is empty" : "it has more than one line");
}

function readAuthorities(config: SharedConfig, context: CompileContext): Uint8Array | undefined {
  if (config.ca === undefined) return undefined;
  const span = context.parsing.spanOf(config, "ca");
  const file = context.file(config.ca, maxPemBytes, span);
  if (file === undefined) return undefined;
  const problem = checkAuthorities(file.bytes);
  return problem === undefined ? file.bytes : context.badFile(span, file.path, problem);
}
