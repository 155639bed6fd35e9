import { createHistogram, type RecordableHistogram } from "node:perf_hooks";
import type { DemoUser } from "./demo-user.ts";
import { type DemoSplit, type DemoVersion, demoRule, demoVersions, type VersionName } from "./stage.ts";

/** What came back to a user. */
export interface Answer {
  /** The version that answered, by its own words; undefined where none did. */
  readonly version: VersionName | undefined;
  /** Answered well, and Perch's `x-perch-version` says the same. */
  readonly isRight: boolean;
  readonly tookMs: number;
}

export interface VersionCount {
  readonly version: VersionName;
  readonly number: string;
  /** Of the users that no rule takes, 0 to 1. */
  readonly configuredShare: number;
  /** By the version of their first answer. */
  readonly drawnUsers: number;
  readonly requests: number;
  readonly errors: number;
  /** As the users saw it; null where nobody has seen it yet. */
  readonly p95Ms: number | null;
}

/** What the crowd has seen so far. */
export interface CrowdReport {
  readonly users: number;
  /** Those that no rule takes: the users that the split is about. */
  readonly drawnUsers: number;
  readonly requests: number;
  /** Those that no version answered among them. */
  readonly errors: number;
  /** Answers by another version than the same user's answer before. */
  readonly flips: number;
  readonly versions: readonly VersionCount[];
  /** `elsewhere`: users that the rule takes and that another version has answered. */
  readonly rule: {
    readonly name: string;
    readonly version: VersionName;
    readonly users: number;
    readonly elsewhere: number;
  };
}

interface Cell {
  drawnUsers: number;
  requests: number;
  errors: number;
  readonly tookUs: RecordableHistogram;
}

/** Counts what the crowd sees, from outside: it believes the versions themselves rather than Perch. */
export class Tally {
  readonly #split: DemoSplit;
  readonly #stats: Readonly<Record<VersionName, Cell>> = { stable: newCounter(), canary: newCounter() };
  /** The version of each user's last answer. Users who have left are forgotten with the crowd's last reference. */
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
    const counter = this.#stats[version];
    counter.requests++;
    if (!isRight) counter.errors++;
    counter.tookUs.record(Math.max(1, Math.round(tookMs * 1000)));
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

function newCounter(): Cell {
  return { drawnUsers: 0, requests: 0, errors: 0, tookUs: createHistogram() };
}

function total(versions: readonly VersionCount[], what: "drawnUsers" | "requests" | "errors"): number {
  return versions.reduce((sum, version) => sum + version[what], 0);
}

/**
 * How many standard deviations the count of a version's users may be off: a fair split is that far off once in some
 * 16,000 runs.
 */
export const z = 4;

/** How many users a fair split may give a version, both ends included. */
export interface Bound {
  readonly version: string;
  readonly min: number;
  readonly max: number;
}

export interface Verdict {
  readonly ok: boolean;
  /** A sentence each; none where all is well. */
  readonly problems: readonly string[];
  readonly bounds: readonly Bound[];
}

/** Whether Perch kept its word: every user in their place, nobody moved, nothing failed, the split as configured. */
export function judge(report: CrowdReport): Verdict {
  const { versions, drawnUsers: drawn, flips, errors, requests, rule } = report;
  const bounds = versions.map((version) => boundOf(version, drawn));
  const problems = versions.flatMap((version, at) => skewOf(version, bounds[at], drawn));
  if (requests === 0) problems.push("not one request was made");
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
  // Where few are expected the binomial's tail is longer than the normal's, and one user more makes up for it.
  const off = deviation === 0 ? 0 : z * deviation + 1;
  return { version, min: Math.max(0, Math.ceil(mean - off)), max: Math.min(drawn, Math.floor(mean + off)) };
}

function skewOf({ version, drawnUsers }: VersionCount, bound: Bound | undefined, drawn: number): string[] {
  if (bound === undefined || (drawnUsers >= bound.min && drawnUsers <= bound.max)) return [];
  return [`split: ${drawnUsers} of ${drawn} users on ${version}, outside ${bound.min} to ${bound.max}`];
}
