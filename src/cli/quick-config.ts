import { stringify } from "yaml";
import { UsageError } from "./command.ts";

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
