import type { CheckResult } from "../rollout-state.ts";
import type { Judged, Verdict } from "./judged.ts";
import { ForeignShape, savedNumber, savedRecord } from "./saved.ts";

interface Fallen {
  readonly verdict: Verdict;
  readonly atMs: number | null;
  /** As it was when it failed. */
  readonly failed: CheckResult | undefined;
}

const open: Fallen = { verdict: "not-enough-data", atMs: null, failed: undefined };

/** When the verdicts were reached. A failed one keeps its result for as long as the check stays the same. */
export class Verdicts {
  readonly #judged: readonly Judged[];
  /** By what was asked. */
  readonly #fallen = new Map<string, Fallen>();

  /** In the order in which they are shown. `saved`: undefined for a new rollout. */
  constructor(judged: readonly Judged[], saved: unknown) {
    this.#judged = judged;
    if (saved === undefined) return;
    const known = savedRecord(saved);
    for (const { key } of judged) {
      if (Object.hasOwn(known, key)) this.#fallen.set(key, readFallen(known[key]));
    }
  }

  /** Looks at all; returns the first that fails now and acts. */
  update(nowMs: number): CheckResult | undefined {
    let first: CheckResult | undefined;
    for (const judged of this.#judged) {
      const before = this.#fallen.get(judged.key) ?? open;
      if (before.verdict === "fail") continue;
      const verdict = judged.verdict();
      if (verdict === before.verdict) continue;
      const atMs = verdict === "not-enough-data" ? null : nowMs;
      const failed = verdict === "fail" ? resultOf(judged, verdict, atMs) : undefined;
      this.#fallen.set(judged.key, { verdict, atMs, failed });
      if (judged.acts) first ??= failed;
    }
    return first;
  }

  /** Of those that act, the one that failed last. */
  failing(): CheckResult | undefined {
    let latest: CheckResult | undefined;
    for (const { key, acts } of this.#judged) {
      const failed = this.#fallen.get(key)?.failed;
      if (acts && failed !== undefined && (failed.atMs ?? 0) > (latest?.atMs ?? Number.NEGATIVE_INFINITY)) {
        latest = failed;
      }
    }
    return latest;
  }

  results(): readonly CheckResult[] {
    return this.#judged.flatMap((judged) => {
      const { verdict, atMs, failed } = this.#fallen.get(judged.key) ?? open;
      if (judged.isShown === "once-failed" && verdict !== "fail") return [];
      return [failed ?? resultOf(judged, verdict, atMs)];
    });
  }

  save(): unknown {
    return Object.fromEntries(this.#fallen);
  }
}

function resultOf(judged: Judged, verdict: Verdict, atMs: number | null): CheckResult {
  return { name: judged.name, metric: judged.metric, verdict, atMs, ...judged.finding(verdict) };
}

function readFallen(saved: unknown): Fallen {
  const { verdict, atMs, failed } = savedRecord(saved);
  if (verdict !== "pass" && verdict !== "fail" && verdict !== "not-enough-data") throw new ForeignShape("no verdict");
  const at = atMs === null ? null : savedNumber(atMs);
  if (verdict !== "fail") return { verdict, atMs: at, failed: undefined };
  const result = savedRecord(failed);
  if (typeof result["name"] !== "string" || typeof result["why"] !== "string") throw new ForeignShape("no result");
  return { verdict, atMs: at, failed: result as unknown as CheckResult };
}
