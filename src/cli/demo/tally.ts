import { createHistogram, type RecordableHistogram } from "node:perf_hooks";
import type { DemoUser } from "./demo-user.ts";
import { type DemoSplit, type DemoVersion, demoRule, demoVersions, type VersionName } from "./stage.ts";

/** The outcome of one request. */
export interface Answer {
  /** The version that answered, judged by the response body; undefined if none did. */
  readonly version: VersionName | undefined;
  /** Whether the status is 200 and `x-perch-version` names the same version. */
  readonly isRight: boolean;
  /** By the crowd's clock. */
  readonly startedMs: number;
  readonly tookMs: number;
}

export interface VersionCount {
  readonly version: VersionName;
  readonly number: string;
  /** Of the users that the rule does not match, 0 to 1. */
  readonly configuredShare: number;
  /** Users that the rule does not match, by the version of their first response. */
  readonly drawnUsers: number;
  readonly requests: number;
  readonly errors: number;
  /** Client-side latency; null before the first response. */
  readonly p95Ms: number | null;
}

export interface CrowdReport {
  readonly users: number;
  /** Users that the rule does not match, who are subject to the split. */
  readonly drawnUsers: number;
  readonly requests: number;
  /** Includes requests that no version answered. */
  readonly errors: number;
  /** Responses by another version than the same user's previous response. */
  readonly flips: number;
  readonly versions: readonly VersionCount[];
  /** `elsewhere`: users matched by the rule who got another version at least once. */
  readonly rule: {
    readonly name: string;
    readonly version: VersionName;
    readonly users: number;
    readonly elsewhere: number;
  };
}

/** The range of users that a fair split gives a version, both ends included. */
export interface Bound {
  readonly version: string;
  readonly min: number;
  readonly max: number;
}

export interface Verdict {
  readonly ok: boolean;
  /** One sentence each; empty if `ok`. */
  readonly problems: readonly string[];
  readonly bounds: readonly Bound[];
}

/** Counts results as clients see them: by the upstreams' response bodies, not by what Perch reports. */
export class Tally {
  readonly #split: DemoSplit;
  readonly #stats: Readonly<Record<VersionName, VersionStats>> = { stable: newStats(), canary: newStats() };
  /** The version of each user's last response. Weak, so that users who have left are not kept in memory. */
  readonly #lastVersions = new WeakMap<DemoUser, VersionName>();
  readonly #elsewhere = new WeakSet<DemoUser>();
  #unanswered = 0;
  #flips = 0;
  #ruledUsers = 0;
  #ruledElsewhere = 0;

  constructor(split: DemoSplit) {
    this.#split = split;
  }

  add(user: DemoUser, { version, isRight, tookMs }: Answer): void {
    if (version === undefined) {
      this.#unanswered++;
      return;
    }
    const stats = this.#stats[version];
    stats.requests++;
    if (!isRight) stats.errors++;
    stats.tookUs.record(Math.max(1, Math.round(tookMs * 1000)));
    this.#place(user, version);
  }

  #place(user: DemoUser, version: VersionName): void {
    const last = this.#lastVersions.get(user);
    this.#lastVersions.set(user, version);
    if (last === undefined && user.isRuled) this.#ruledUsers++;
    else if (last === undefined) this.#stats[version].drawnUsers++;
    else if (last !== version) this.#flips++;
    if (user.isRuled && version !== demoRule.version && !this.#elsewhere.has(user)) {
      this.#elsewhere.add(user);
      this.#ruledElsewhere++;
    }
  }

  report(): CrowdReport {
    const versions = demoVersions.map((version) => this.#count(version));
    const drawnUsers = total(versions, "drawnUsers");
    return {
      users: drawnUsers + this.#ruledUsers,
      drawnUsers,
      requests: total(versions, "requests") + this.#unanswered,
      errors: total(versions, "errors") + this.#unanswered,
      flips: this.#flips,
      versions,
      rule: { ...demoRule, users: this.#ruledUsers, elsewhere: this.#ruledElsewhere },
    };
  }

  #count({ name, number }: DemoVersion): VersionCount {
    const { drawnUsers, requests, errors, tookUs } = this.#stats[name];
    return {
      version: name,
      number,
      configuredShare: this.#split[name] / 100,
      drawnUsers,
      requests,
      errors,
      p95Ms: tookUs.count === 0 ? null : tookUs.percentile(95) / 1000,
    };
  }
}

interface VersionStats {
  drawnUsers: number;
  requests: number;
  errors: number;
  readonly tookUs: RecordableHistogram;
}

function newStats(): VersionStats {
  return { drawnUsers: 0, requests: 0, errors: 0, tookUs: createHistogram() };
}

function total(versions: readonly VersionCount[], what: "drawnUsers" | "requests" | "errors"): number {
  return versions.reduce((sum, version) => sum + version[what], 0);
}

/** The tolerance in standard deviations. A fair split exceeds it about once in 16,000 runs. */
export const z = 4;

/** Checks that matched users got their version, no user moved, no request failed, and the split is as configured. */
export function judge(report: CrowdReport): Verdict {
  const { versions, drawnUsers: drawn, flips, errors, requests, rule } = report;
  const bounds = versions.map((version) => boundOf(version, drawn));
  const problems = versions.flatMap((version, at) => skewOf(version, bounds[at], drawn));
  if (requests === 0) problems.push("no request was made");
  if (flips > 0) problems.push(`sticky flips: ${flips}`);
  if (errors > 0) problems.push(`errors: ${errors} of ${requests} requests`);
  if (rule.elsewhere > 0) {
    problems.push(`rule ${rule.name}: ${rule.elsewhere} of ${rule.users} users not on ${rule.version}`);
  }
  return { ok: problems.length === 0, problems, bounds };
}

/** Each user is an independent draw, so a version's count is binomial: mean n·p, variance n·p·(1 - p). */
function boundOf({ version, configuredShare }: VersionCount, drawn: number): Bound {
  const mean = drawn * configuredShare;
  const deviation = Math.sqrt(mean * (1 - configuredShare));
  // For small means the binomial has a longer tail than the normal distribution; one extra user covers it.
  const tolerance = deviation === 0 ? 0 : z * deviation + 1;
  return { version, min: Math.max(0, Math.ceil(mean - tolerance)), max: Math.min(drawn, Math.floor(mean + tolerance)) };
}

function skewOf({ version, drawnUsers }: VersionCount, bound: Bound | undefined, drawn: number): string[] {
  if (bound === undefined || (drawnUsers >= bound.min && drawnUsers <= bound.max)) return [];
  return [`split: ${drawnUsers} of ${drawn} users on ${version}, outside ${bound.min} to ${bound.max}`];
}
