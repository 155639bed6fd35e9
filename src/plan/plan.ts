import { planReleases, type ReleasePlan } from "./release-plan.ts";
import { type ConfigPair, planReload, type ReloadPlan } from "./reload-plan.ts";

/** What `perch plan --json` prints. Shares are of the simulated units, 0 to 1. */
export interface Plan {
  /** The names of the two configurations. */
  readonly old: string;
  readonly new: string;
  readonly units: number;
  readonly releases: readonly ReleasePlan[];
  readonly reload: ReloadPlan;
}

export interface NamedConfig extends ConfigPair {
  readonly name: string;
}

/** What changing one configuration for another does. */
export function planChange(old: NamedConfig, next: NamedConfig, units: number): Plan {
  const releases = planReleases(old.compiled, next.compiled, units);
  return { old: old.name, new: next.name, units, releases, reload: planReload(old, next) };
}

/**
 * The same secret for the old and the new configuration, since a reload keeps the random secret of a release without a
 * secretFile. It signs nothing that leaves this process.
 */
export function stableSecret(release: string): Uint8Array {
  return Buffer.alloc(32, `random secret of ${release}`);
}
