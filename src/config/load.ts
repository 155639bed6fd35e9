import { createHash } from "node:crypto";
import type { DatabaseContents } from "../identify/geo-database.ts";
import { compileConfig } from "./compile.ts";
import { CompileContext, type CompileOptions } from "./compile-context.ts";
import { type CompiledConfig, deepFreeze } from "./compiled-config.ts";
import { readDatabase } from "./database-file.ts";
import { withGatewayParts } from "./gateway-parts.ts";
import { type FileReaders, NamedFiles, readRegularFile, whyUnreadable } from "./named-files.ts";
import { type Config, configSchema } from "./schema.ts";
import { type Diagnostic, diagnoseFile, Problems } from "./schema-kit/diagnostics.ts";
import { INVALID, ParseContext } from "./schema-kit/schema.ts";
import { SourceText } from "./schema-kit/tree.ts";
import { type Environment, parseYamlTree } from "./schema-kit/yaml-tree.ts";
import { releaseSchema } from "./sections/release.ts";

/** Everything that a configuration was loaded from, except the environment and random secrets. */
export interface ConfigSources {
  readonly text: string;
  /** Contents of the files that it names, by absolute path, and of keys of ConfigMaps and Secrets, by reference. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Contents of the GeoIP database that it names. */
  readonly database: DatabaseContents | undefined;
  /** Of the object of Kubernetes that the text was read from. */
  readonly resourceVersion?: string | undefined;
}

export type LoadResult =
  | {
      readonly ok: true;
      readonly config: Config;
      readonly compiled: CompiledConfig;
      /** SHA-256, in hex, of `sources`. */
      readonly hash: string;
      /** Loading this text with these files gives the same configuration. */
      readonly sources: ConfigSources;
      readonly warnings: readonly Diagnostic[];
    }
  | {
      readonly ok: false;
      /** At least one error, then the warnings; both in file order. */
      readonly problems: readonly Diagnostic[];
      /** Absolute paths of the other files that were requested: a change of one may fix the configuration. */
      readonly files: readonly string[];
    };

export type LoadedConfig = Extract<LoadResult, { ok: true }>;
export type RejectedConfig = Extract<LoadResult, { ok: false }>;
/** What a process needs of a loaded configuration to run it. */
export type RunnableConfig = Omit<LoadedConfig, "config">;

export interface LoadOptions extends Omit<CompileOptions, "openDatabase">, FileReaders {
  /** Variables that `${NAME}` may refer to. */
  readonly env: Environment;
  /** Opens a database by its absolute path. Default: reads it synchronously. */
  readonly openDatabase?: CompileOptions["openDatabase"];
}

export const maxConfigBytes = 4 * 1024 * 1024;

/** Loads a configuration file. Never throws: problems are in the result. */
export function loadConfigFile(file: string, options: LoadOptions): LoadResult {
  let bytes: Uint8Array;
  try {
    bytes = readRegularFile(file, maxConfigBytes);
  } catch (error) {
    return rejected(diagnoseFile(file, `the configuration cannot be read: ${whyUnreadable(error)}`));
  }
  const text = decode(bytes);
  return text === undefined ? rejected(diagnoseEncoding(file, bytes)) : loadConfigText(text, { ...options, file });
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Loads a configuration from text. `file` is its name in messages and the base of relative paths. Never throws. */
export function loadConfigText(text: string, options: LoadOptions & { readonly file: string }): LoadResult {
  const { file } = options;
  if (Buffer.byteLength(text) > maxConfigBytes) {
    return rejected(diagnoseFile(file, `the configuration is larger than ${maxConfigBytes / 1024 / 1024} MiB`));
  }
  // Editors hide the byte order mark, so columns must not count it.
  const problems = new Problems(new SourceText(file, text.replace(/^\ufeff/, "")));
  const files = new NamedFiles(file, options);
  const loaded = readAndCompile(problems, files, options);
  const found = problems.diagnostics();
  if (loaded === undefined || problems.failed) {
    return Object.freeze({ ok: false, problems: found, files: files.paths() });
  }
  const sources = { text, files: files.bytes(), database: loaded.compiled.geo?.contents };
  return Object.freeze({ ok: true, ...loaded, hash: hashOf(sources), sources, warnings: found });
}

function readAndCompile(
  problems: Problems,
  files: NamedFiles,
  options: LoadOptions,
): { config: Config; compiled: CompiledConfig } | undefined {
  const written = parseYamlTree(problems, options.env);
  if (written === undefined) return undefined;
  const { tree, templates, unknown } = withGatewayParts(written, files);
  const parsing = new ParseContext(problems);
  const readTemplates = templates.flatMap(({ key, value }) => {
    const release = releaseSchema.read(value, parsing);
    return release === INVALID ? [] : [{ name: key, value: release }];
  });
  for (const name of unknown) parsing.unknownName(written.span, "release", name, []);
  const openDatabase = (path: string) => readDatabase(path, options.readFile);
  const config = configSchema.read(tree, parsing);
  if (config === INVALID) return undefined;
  const compiled = compileConfig(
    config,
    new CompileContext(parsing, files, { openDatabase, ...options }),
    readTemplates,
  );
  return { config: deepFreeze(config), compiled };
}

function rejected(problem: Diagnostic): LoadResult {
  return Object.freeze({ ok: false, problems: Object.freeze([problem]), files: Object.freeze([]) });
}

/** Each part is prefixed with its length: otherwise moving bytes from one part to the next would keep the hash. */
function hashOf({ text, files, database }: ConfigSources): string {
  const hash = createHash("sha256");
  // The database was hashed when it was read; it may have hundreds of megabytes.
  const digest = database === undefined ? [] : [Buffer.from(database.digest)];
  for (const bytes of [Buffer.from(text), ...files.values(), ...digest]) {
    hash.update(`${bytes.length}\n`).update(bytes);
  }
  return hash.digest("hex");
}

/** Points at the first bytes that are not UTF-8. */
function diagnoseEncoding(file: string, bytes: Uint8Array): Diagnostic {
  const message = "the file is not valid UTF-8";
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const lineBreak = bytes.indexOf(0x0a, start);
    const lineBytes = bytes.subarray(start, lineBreak === -1 ? bytes.length : lineBreak);
    if (decode(lineBytes) === undefined) {
      const text = new TextDecoder().decode(lineBytes);
      return diagnoseFile(file, message, { position: { line, column: text.indexOf("\ufffd") + 1 }, text });
    }
    start += lineBytes.length + 1;
  }
  return diagnoseFile(file, message);
}
