import { parseDuration } from "../config/schema-kit/scalars.ts";
import { didYouMean } from "../config/schema-kit/suggest.ts";
import { createOverrideToken } from "../decide/override.ts";
import type { OverrideSpec, ReleaseSpec } from "../decide/release-spec.ts";
import { stripParameters } from "../http/query.ts";
import { type Command, type OptionValues, type Terminal, textOption, UsageError } from "./command.ts";
import { configOption, configPath, loadOrTell, printJson } from "./load-config.ts";

const defaultTtl = "8h";
/** A token can not be taken back one by one, only by its secret: ten years is already no expiry. */
const maxTtlMs = 3_650 * 86_400_000;

export const token: Command = {
  usage: `-c FILE --release NAME --version NAME [--ttl ${defaultTtl}] [--link URL] [--json]

  -c, --config FILE   the configuration; also PERCH_CONFIG
      --release NAME  the release, which needs override.secretFile
      --version NAME  the version that the token asks for
      --ttl TIME      how long it counts, such as 30m or 7d; default ${defaultTtl}
      --link URL      print a link in place of the token: this address with the token in override.query
      --json          print one object: the token, how to send it, when it expires

The token is signed with the first secret of override.secretFile. Whoever has it may use it from anywhere.`,
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
    const loaded = loadOrTell(configPath(options, terminal), terminal);
    if (loaded === undefined) return 2;
    const release = findRelease(loaded.compiled.releases, releaseName);
    const { override, secret } = signerOf(release);
    if (!release.versions.includes(version)) throw unknown("version", version, release.versions);
    // Tokens count by whole seconds, and this one says when it ends.
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
    else tell(made, terminal);
    return 0;
  },
};

/** What `--json` prints; header and cookie are null where the override has none, the link where none was asked for. */
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
  if (value === undefined) throw new UsageError(`--${name} NAME is missing`);
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
  throw new UsageError(`--link "${text}" is not an address such as https://shop.example.com/cart`);
}

/** The address with the token in the link's parameter, in place of one that is there already; all else as it is. */
function linkTo(url: URL, { name, override }: ReleaseSpec, token: string): string {
  const parameter = override?.query;
  if (parameter === undefined) {
    throw new UsageError(`release ${name} takes no links; add query: perch-version to its override`);
  }
  const kept = stripParameters(url.search.slice(1), new Set([parameter]));
  const link = new URL(url);
  link.search = `${kept === "" ? "" : `${kept}&`}${encodeURIComponent(parameter)}=${token}`;
  return link.href;
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

function unknown(what: string, name: string, known: readonly string[]): UsageError {
  const hint = didYouMean(name, known) ?? (known.length === 0 ? "the file has none" : `there are ${known.join(", ")}`);
  return new UsageError(`unknown ${what} "${name}"; ${hint}`);
}

function signerOf({ name, override }: ReleaseSpec): { override: OverrideSpec; secret: Uint8Array } {
  const secret = override?.secrets[0];
  if (override !== undefined && secret !== undefined) return { override, secret };
  const add =
    override === undefined
      ? "override: { header: x-perch-version, secretFile: FILE }"
      : "secretFile: FILE to its override";
  throw new UsageError(`release ${name} takes no tokens; add ${add}, a secret of at least 32 bytes a line`);
}

function tell(made: MadeToken, terminal: Terminal): void {
  const { release, version, expiresAt, header, cookie, link } = made;
  if (link !== null) {
    terminal.out(`${link}\n`);
    terminal.err(`Whoever opens it gets version ${version} of release ${release} until ${expiresAt}.\n`);
    return;
  }
  terminal.out(`${made.token}\n`);
  terminal.err(`Asks for version ${version} of release ${release} until ${expiresAt}. Send it as\n`);
  if (header !== null) terminal.err(`  ${header}: ${made.token}\n`);
  if (cookie !== null) terminal.err(`  Cookie: ${cookie}=${made.token}\n`);
}
