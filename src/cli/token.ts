import { parseDuration } from "../config/schema-kit/scalars.ts";
import { didYouMean } from "../config/schema-kit/suggest.ts";
import { createOverrideToken } from "../decide/override.ts";
import type { OverrideSpec, ReleaseSpec } from "../decide/release-spec.ts";
import { stripParameters } from "../http/query.ts";
import { type Command, type OptionValues, type Terminal, textOption, UsageError } from "./command.ts";
import { configOption, configPath, loadOrTell, printJson } from "./load-config.ts";

const defaultTtl = "8h";
/** Ten years. A single token cannot be revoked, only its secret, so an unlimited lifetime is not offered. */
const maxTtlMs = 3_650 * 86_400_000;

export const token: Command = {
  usage: `-c FILE --release NAME --version NAME [--ttl ${defaultTtl}] [--link URL] [--json]

  -c, --config FILE   the configuration, also kubernetes://…; default: PERCH_CONFIG
      --release NAME  the release, which needs override.secretFile
      --version NAME  the version that the token selects
      --ttl TIME      how long it is valid, such as 30m or 7d; default ${defaultTtl}
      --link URL      print a link instead of the token: this URL with the token in the parameter override.query
      --json          print one JSON object: the token, how to send it, when it expires

The token is signed with the first secret of override.secretFile. Anyone who has it can use it, from any address.`,
  options: {
    ...configOption,
    release: { type: "string" },
    version: { type: "string" },
    ttl: { type: "string" },
    link: { type: "string" },
    json: { type: "boolean" },
  },
  async run({ options, positionals }, terminal) {
    if (positionals.length > 0) throw new UsageError(`unexpected argument "${positionals[0]}"`);
    const releaseName = requiredOption(options, "release");
    const version = requiredOption(options, "version");
    const ttlMs = readTtl(options);
    const url = readUrl(options);
    const loaded = await loadOrTell(configPath(options, terminal), terminal);
    if (loaded === undefined) return 2;
    const release = findRelease(loaded.compiled.releases, releaseName);
    const { override, secret } = signerOf(release);
    if (!release.versions.includes(version)) throw unknown("version", version, release.versions);
    // Tokens carry whole seconds; the printed expiry must match.
    const expiresAtMs = Math.floor((Date.now() + ttlMs) / 1000) * 1000;
    const token = createOverrideToken(secret, release.name, version, expiresAtMs);
    const made: MadeToken = {
      token,
      release: release.name,
      version,
      expiresAt: new Date(expiresAtMs).toISOString(),
      header: override.header ?? null,
      cookie: override.cookie ?? null,
      link: url === undefined ? null : linkTo(url, release, token),
    };
    if (options["json"] === true) printJson(made, terminal);
    else printToken(made, terminal);
    return 0;
  },
};

/** What `--json` prints. `header` and `cookie` are null if the override has none, `link` without `--link`. */
interface MadeToken {
  readonly token: string;
  readonly release: string;
  readonly version: string;
  readonly expiresAt: string;
  readonly header: string | null;
  readonly cookie: string | null;
  readonly link: string | null;
}

function requiredOption(options: OptionValues, name: string): string {
  const value = textOption(options, name);
  if (value === undefined) throw new UsageError(`--${name} NAME is required`);
  return value;
}

function readTtl(options: OptionValues): number {
  const text = textOption(options, "ttl") ?? defaultTtl;
  const ms = parseDuration(text);
  if (ms === undefined || ms < 1000 || ms > maxTtlMs) {
    throw new UsageError(`--ttl "${text}" is not a duration from 1s to 3650d, such as 30m, 8h or 7d`);
  }
  return ms;
}

function readUrl(options: OptionValues): URL | undefined {
  const text = textOption(options, "link");
  const url = text === undefined ? null : URL.parse(text);
  if (text === undefined) return undefined;
  if (url?.protocol === "http:" || url?.protocol === "https:") return url;
  throw new UsageError(`--link "${text}" is not a URL such as https://shop.example.com/cart`);
}

function findRelease(releases: readonly ReleaseSpec[], name: string): ReleaseSpec {
  const found = releases.find((release) => release.name === name);
  if (found !== undefined) return found;
  throw unknown(
    "release",
    name,
    releases.map((release) => release.name),
  );
}

/** The first secret of the file signs. The others only verify, for rotation. */
function signerOf({ name, override }: ReleaseSpec): { override: OverrideSpec; secret: Uint8Array } {
  const secret = override?.secrets[0];
  if (override !== undefined && secret !== undefined) return { override, secret };
  const add =
    override === undefined
      ? "override: { header: x-perch-version, secretFile: FILE }"
      : "secretFile: FILE to its override";
  throw new UsageError(
    `release ${name} accepts no tokens; add ${add} (FILE: one secret per line, at least 32 bytes each)`,
  );
}

function unknown(what: string, name: string, known: readonly string[]): UsageError {
  const hint = didYouMean(name, known) ?? (known.length === 0 ? "the file has none" : `known: ${known.join(", ")}`);
  return new UsageError(`unknown ${what} "${name}"; ${hint}`);
}

/** The URL with the token in the override's query parameter, replacing an existing one. The rest stays unchanged. */
function linkTo(url: URL, { name, override }: ReleaseSpec, token: string): string {
  const parameter = override?.query;
  if (parameter === undefined) {
    throw new UsageError(`release ${name} accepts no links; add query: perch-version to its override`);
  }
  const kept = stripParameters(url.search.slice(1), new Set([parameter]));
  const link = new URL(url);
  link.search = `${kept === "" ? "" : `${kept}&`}${encodeURIComponent(parameter)}=${token}`;
  return link.href;
}

function printToken(made: MadeToken, terminal: Terminal): void {
  const { release, version, expiresAt, header, cookie, link } = made;
  if (link !== null) {
    terminal.out(`${link}\n`);
    terminal.err(`Anyone who opens it gets version ${version} of release ${release} until ${expiresAt}.\n`);
    return;
  }
  terminal.out(`${made.token}\n`);
  terminal.err(`Selects version ${version} of release ${release} until ${expiresAt}. Send it as\n`);
  if (header !== null) terminal.err(`  ${header}: ${made.token}\n`);
  if (cookie !== null) terminal.err(`  Cookie: ${cookie}=${made.token}\n`);
}
