import { randomBytes } from "node:crypto";
import { stringify } from "yaml";
import type { KeyReader } from "../app/kubernetes/key-reader.ts";
import { type KeyValues, keyReader, loadConfigKey, loadWithKeys } from "../app/kubernetes/named-keys.ts";
import { isKeyReference, referenceProblem } from "../config/key-reference.ts";
import { type LoadOptions, type LoadResult, loadConfigFile } from "../config/load.ts";
import { diagnoseFile, errorsOf, formatDiagnostic } from "../config/schema-kit/diagnostics.ts";
import { type OptionValues, type Terminal, textOption, UsageError } from "./command.ts";

export type LoadedConfig = Extract<LoadResult, { ok: true }>;

/** The option of every command that takes one configuration. */
export const configOption = { config: { type: "string", short: "c" } } as const;

/** The value of `-c`, or PERCH_CONFIG without it. */
export function configPath(options: OptionValues, terminal: Terminal): string {
  const path = textOption(options, "config") ?? terminal.env["PERCH_CONFIG"];
  if (path === undefined || path === "") throw new UsageError("no configuration: pass -c FILE, or set PERCH_CONFIG");
  return path;
}

/** The secret of a release without a secretFile. Default: a random one, valid for this command only. */
type RandomSecret = (release: string) => Uint8Array;

export function loadOptions(terminal: Terminal, randomSecret: RandomSecret = () => randomBytes(32)) {
  return { env: terminal.env, randomSecret, nowMs: () => Date.now() };
}

/** Undefined if the file cannot be used. Its errors are then already printed, and the command should exit with 2. */
export async function loadOrTell(
  file: string,
  terminal: Terminal,
  randomSecret?: RandomSecret,
): Promise<LoadedConfig | undefined> {
  const result = await loadConfig(file, terminal, randomSecret);
  if (result.ok) return result;
  for (const problem of errorsOf(result.problems)) terminal.err(`${formatDiagnostic(problem)}\n`);
  return undefined;
}

/** Loads a file, or a key of a ConfigMap or Secret, which is read once from the Kubernetes API. */
export async function loadConfig(file: string, terminal: Terminal, randomSecret?: RandomSecret): Promise<LoadResult> {
  const options = loadOptions(terminal, randomSecret);
  const problem = referenceProblem(file);
  if (problem !== undefined) return { ok: false, problems: [diagnoseFile(file, `it ${problem}`)], files: [] };
  if (!isKeyReference(file)) return loadOnce(terminal, (readers) => loadConfigFile(file, { ...options, ...readers }));
  return loadOnce(terminal, (readers, keys) => {
    const result = loadConfigKey(file, keys, { ...options, ...readers });
    // What is not known yet is named as well.
    return keys.has(file) || result.ok ? result : { ...result, files: [file] };
  });
}

/** The API's client is loaded only for a configuration that names something of it. */
export async function loadOnce(
  terminal: Terminal,
  load: (readers: Pick<LoadOptions, "readKey">, keys: KeyValues) => LoadResult,
): Promise<LoadResult> {
  let reader: KeyReader | undefined;
  try {
    const values = () => reader?.values ?? new Map();
    return await loadWithKeys(async () => load({ readKey: keyReader(values()) }, values()), {
      isRead: (reference) => values().has(reference),
      async read(references) {
        reader ??= new (await import("../app/kubernetes/key-reader.ts")).KeyReader(terminal.env);
        await reader.read(references);
      },
    });
  } finally {
    await reader?.close();
  }
}

export function printJson(value: unknown, terminal: Terminal): void {
  terminal.out(`${JSON.stringify(value, null, 2)}\n`);
}

/** The flags of `perch serve` without a configuration file. */
export interface QuickOptions {
  readonly to: string;
  readonly canary: string | undefined;
  /** Per cent. */
  readonly weight: string | undefined;
  readonly listen: string | undefined;
  readonly admin: string | undefined;
}

const defaultWeight = 10;

/** The flags as configuration text, which is then parsed and validated like a file. */
export function quickConfig(options: QuickOptions): string {
  const { to, canary, listen, admin } = options;
  if (canary === undefined && options.weight !== undefined) throw new UsageError("--weight needs --canary");
  const weight = options.weight === undefined ? defaultWeight : Number(options.weight);
  if (!(weight >= 0 && weight <= 100))
    throw new UsageError(`--weight "${options.weight}" is not a number from 0 to 100`);
  const versions: Record<string, unknown> = { stable: { endpoints: [to] } };
  if (canary !== undefined) versions["canary"] = { endpoints: [canary] };
  const release = canary === undefined ? {} : { release: "app" };
  return stringify({
    ...(listen === undefined ? {} : { listeners: [{ name: "web", address: listen }] }),
    ...(admin === undefined ? {} : { admin: { address: admin, withoutToken: "probes-and-metrics" } }),
    exposeVersion: true,
    services: { app: { versions } },
    ...(canary === undefined ? {} : { releases: { app: { split: { stable: 100 - weight, canary: weight } } } }),
    routes: [{ name: "all", match: { path: { prefix: "/" } }, service: "app", ...release }],
  });
}
