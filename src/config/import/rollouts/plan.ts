import type { YamlMap, YamlValue } from "../draft.ts";
import type { Manifest } from "../manifests.ts";

/** An object of the input that routes requests to the versions of a plan. */
export interface Router {
  /** As in `Ingress shop/web`. */
  readonly title: string;
  /** The names of its routes that the plan moves; empty: all. */
  readonly routes: readonly string[];
}

/** Who keeps the baseline while the plan runs. */
export interface KeptRule {
  readonly name: string;
  readonly when: YamlMap;
}

/** A rollout of another program, for which routes are yet to be found. */
export interface ImportedPlan {
  readonly manifest: Manifest;
  /** The Services of the baseline, as `name.namespace`, or `*-subset.namespace`; the first is its own. */
  readonly baseline: readonly [string, ...string[]];
  readonly candidate: string;
  /** What the original names; empty: every route to these Services is its own. */
  readonly routers: readonly Router[];
  /** Whether only routes that lead to both versions already are its own. */
  readonly isWeighted: boolean;
  readonly steps: readonly YamlValue[];
  readonly checks: readonly YamlMap[];
  readonly kept: readonly KeptRule[];
  /** Of the release; empty if the original says nothing of sessions. */
  readonly sticky: YamlMap;
  /** Without its version; undefined if nothing is mirrored. */
  readonly mirror: YamlMap | undefined;
  /** Objects with routes to both versions, which are imported where the input has none. */
  readonly ownRoutes: readonly object[];
  /** TraefikServices that the original creates, and IngressRoutes of the input refer to. */
  readonly ownTargets: readonly object[];
}

/** Checks of a plan with unique names. A comparison of errors comes first. */
export class PlanChecks {
  readonly #checks: YamlMap[] = [{ name: "errors", metric: "errors" }];
  /** The built-in checks have these names. */
  readonly #names = new Set(["errors", "drift", "catastrophe"]);
  #judgesUsers = false;

  /** Whether a check replaces one that needed traffic. */
  get judgesUsers(): boolean {
    return this.#judgesUsers;
  }

  /** Empty if only errors are compared, which is the default. */
  written(): readonly YamlMap[] {
    return this.#checks.length === 1 ? [] : this.#checks;
  }

  add(name: string, check: YamlMap): void {
    let unique = name;
    for (let number = 2; this.#names.has(unique); number++) unique = `${name.slice(0, 58)}-${number}`;
    this.#names.add(unique);
    this.#checks.push({ name: unique, ...check });
  }

  /** A bound for the share of the candidate's users with an error; 0 to 1. */
  addErrors(name: string, atMost: number): void {
    this.#judgesUsers = true;
    this.add(name, { metric: "errors", atMost: percentOf(atMost) });
  }

  /** A comparison of slow answers, and a bound for the share of the candidate's users who meet one; 0 to 1. */
  addSlow(name: string, overMs: number, atMost: number): void {
    this.#judgesUsers = true;
    const over = `${Math.max(1, Math.round(overMs))}ms`;
    this.add("slow", { metric: "slow", over });
    this.add(name, { metric: "slow", over, atMost: percentOf(atMost) });
  }
}

/** Within what a check accepts. */
function percentOf(share: number): string {
  const percent = Math.min(Math.max(share * 100, 0.001), 99);
  return `${Number(percent.toFixed(3))}%`;
}
