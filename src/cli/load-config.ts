import { randomBytes } from "node:crypto";
import { stringify } from "yaml";
import { type LoadResult, loadConfigFile } from "../config/load.ts";
import { formatDiagnostic } from "../config/schema-kit/diagnostics.ts";
import { type OptionValues, type Terminal, textOption, UsageError } from "./command.ts";

/** A configuration that may be used. */
export type LoadedConfig = Extract<LoadResult, { ok: true }>;

/** The option that every command with one configuration takes. */
export const configOption = { config: { type: "string", short: "c" } } as const;

/** The file that `-c` names, else PERCH_CONFIG. */
export function configPath(options: OptionValues, terminal: Terminal): string {
  const path = textOption(options, "config") ?? terminal.env["PERCH_CONFIG"];
  if (path === undefined || path === "") throw new UsageError("no configuration: give -c FILE, or set PERCH_CONFIG");
  return path;
}

/** Gives a release without a secretFile its secret. Default: one that lasts no longer than the command. */
type RandomSecret = (release: string) => Uint8Array;

export function loadOptions(terminal: Terminal, randomSecret: RandomSecret = () => randomBytes(32)) {
  return { env: terminal.env, randomSecret, nowMs: () => Date.now() };
}

/** Undefined where the file can not be used; its problems are told by then, and the command ends with 2. */
export function loadOrTell(file: string, terminal: Terminal, randomSecret?: RandomSecret): LoadedConfig | undefined {
  const result = loadConfigFile(file, loadOptions(terminal, randomSecret));
  if (result.ok) return result;
  for (const problem of result.problems) terminal.err(`${formatDiagnostic(problem)}\n`);
  return undefined;
}

/** One JSON value, as every `--json` prints it. */
export function printJson(value: unknown, terminal: Terminal): void {
  terminal.out(`${JSON.stringify(value, null, 2)}\n`);
}

/** What `perch serve` is told by flags where there is no file. */
export interface QuickOptions {
  readonly to: string;
  readonly canary: string | undefined;
  /** Per cent. */
  readonly weight: string | undefined;
  readonly listen: string | undefined;
  readonly admin: string | undefined;
}

const defaultWeight = 10;

/** The configuration that the flags stand for, as text: it is then read and validated like any other. */
export function quickConfig(options: QuickOptions): string {
  const { to, canary, listen, admin } = options;
  if (canary === undefined && options.weight !== undefined) throw new UsageError("--weight goes with --canary");
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
