import type { RolloutTraffic } from "../../decide/release-traffic.ts";
import type { RolloutSpec } from "../../decide/rollout-spec.ts";
import type { BadAnswerQuestions, RolloutReport, Side } from "../../observe/rollout/rollout-report.ts";
import { RolloutTap } from "../../observe/rollout/rollout-tap.ts";
import type { Judge } from "../controller-parts.ts";
import type { CheckResult } from "../rollout-state.ts";
import { answerOf, hashedUnit, LineTimes, type LogLine, unitOf, versionOf } from "./log-line.ts";
import { OddsByPlan } from "./odds-by-plan.ts";
import { parseLogLine } from "./parse-line.ts";

/** What the replay needs of the judge that decides live. */
export type ReplayedJudge = Pick<Judge, "report" | "look" | "checks"> & { questions(): BadAnswerQuestions };

/** How the lines of a log were used. The lines of the release are the sum of those from `judged` on. */
export interface LineCounts {
  lines: number;
  /** Not JSON, or without a time. */
  broken: number;
  /** JSON, but not the end of a request. */
  other: number;
  otherReleases: number;
  judged: number;
  /** Of those judged: the odds are those of the plan at that time. */
  judgedByPlan: number;
  /** Of those judged: a unit of their own. */
  judgedWithoutUnit: number;
  /** A rule, an override, a caller or a pin gave the version. */
  placed: number;
  otherVersions: number;
  /** The side cannot have been drawn with the line's odds, or with the plan's. */
  impossible: number;
}

/** A check as it stands, and how many lines of the release had been read when its verdict was reached, or in total. */
export interface Replayed {
  readonly check: CheckResult;
  readonly requests: number;
}

interface Fell extends Pick<CheckResult, "verdict" | "atMs"> {
  readonly requests: number;
}

type RequestLine = LogLine & { readonly release: string; readonly status: number };

/** The audit log, which has a release and a status too, goes to the same place. Other writers of requests have no `msg`. */
function isRequest(line: LogLine): line is RequestLine {
  if (line.msg !== undefined && line.msg !== "request") return false;
  return typeof line.release === "string" && typeof line.status === "number";
}

/** The shortest interval between reports, in the log's time. Bad responses are reported without waiting. */
const handOverMs = 1_000;
/** How many reports' times are kept to find out when a verdict was reached; then the verdicts are checked. */
const maxMoments = 1_000;
/** Nobody chooses their units with this seed in mind: the log was written before. */
const unitSeed = 0x5eed;

/**
 * Replays access-log lines in their own time: what a data plane would have seen goes to the judge as it does live.
 * Lines out of order are taken as they come; time never goes back.
 */
export class Replay {
  readonly counts: LineCounts = {
    lines: 0,
    broken: 0,
    other: 0,
    otherReleases: 0,
    judged: 0,
    judgedByPlan: 0,
    judgedWithoutUnit: 0,
    placed: 0,
    otherVersions: 0,
    impossible: 0,
  };
  readonly #release: string;
  readonly #spec: RolloutSpec;
  readonly #judge: ReplayedJudge;
  readonly #odds: OddsByPlan;
  readonly #times = new LineTimes();
  readonly #traffic: RolloutTraffic;
  readonly #tap: RolloutTap;
  #due: { readonly atMs: number; readonly callback: () => void } | undefined;
  #firstMs: number | undefined;
  #nowMs = Number.NEGATIVE_INFINITY;
  #requests = 0;
  /** Of the reports since the verdicts were looked at last. */
  #moments: { readonly atMs: number; readonly requests: number }[] = [];
  /** When the current verdict was reached, by the check's index in the judge's list. */
  readonly #fell: Fell[] = [];
  #failed: CheckResult | undefined;

  constructor(release: string, spec: RolloutSpec, judge: ReplayedJudge) {
    const { id, baseline, candidate } = spec;
    this.#release = release;
    this.#spec = spec;
    this.#judge = judge;
    this.#odds = new OddsByPlan(spec);
    // Each line has its own odds, so the tap's weight says nothing.
    this.#traffic = { id, baseline, candidate, candidateIs: "drawn", step: 0, weight: 0, rings: [] };
    this.#tap = new RolloutTap(release, this.#traffic, judge.questions(), {
      handOver: (report) => this.#report(report),
      schedule: (ms, callback) => {
        this.#due = { atMs: this.#nowMs + Math.max(ms, handOverMs), callback };
        return () => {
          this.#due = undefined;
        };
      },
      seed: unitSeed,
    });
  }

  /** Lines of the release so far, judged or not. */
  get requests(): number {
    return this.#requests;
  }

  /** The check that failed first, after which nothing is read. */
  get failed(): CheckResult | undefined {
    return this.#failed;
  }

  /** From the first line of the release to the last. */
  get span(): { readonly firstMs: number; readonly lastMs: number } | undefined {
    return this.#firstMs === undefined ? undefined : { firstMs: this.#firstMs, lastMs: this.#nowMs };
  }

  /** Takes a line without its newline; returns false once a check has failed. */
  take(text: string): boolean {
    if (text === "" || text === "\r") return true;
    this.counts.lines += 1;
    const line = parseLogLine(text);
    if (line === undefined) this.counts.broken += 1;
    else if (!isRequest(line)) this.counts.other += 1;
    else if (line.release !== this.#release) this.counts.otherReleases += 1;
    else this.#takeRequest(line);
    return this.#failed === undefined;
  }

  /** To be called after the last line: what waits is judged, and the verdicts are final. */
  end(): readonly Replayed[] {
    if (this.#failed === undefined && this.#firstMs !== undefined) {
      this.#due?.callback();
      this.#failed ??= this.#judge.look(this.#nowMs);
    }
    return this.#look().map((check, at) => {
      const fell = this.#fell[at];
      return { check, requests: fell?.verdict === "not-enough-data" ? this.#requests : (fell?.requests ?? 0) };
    });
  }

  #takeRequest(line: RequestLine): void {
    const atMs = this.#times.of(line);
    if (Number.isNaN(atMs)) {
      this.counts.broken += 1;
      return;
    }
    this.#moveTo(atMs);
    // What was due before this line may have ended it all.
    if (this.#failed !== undefined) return;
    this.#requests += 1;
    const side = this.#sideOf(line);
    if (side === undefined) this.counts.otherVersions += 1;
    else this.#observe(line, line.status, side);
    if (this.#moments.length >= maxMoments) this.#look();
  }

  /** What was due between the lines happens at its time. */
  #moveTo(atMs: number): void {
    this.#firstMs ??= atMs;
    const due = this.#due;
    if (due !== undefined && due.atMs <= atMs) {
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.callback();
      if (this.#failed !== undefined) return;
    }
    this.#nowMs = Math.max(this.#nowMs, atMs);
  }

  #sideOf(line: LogLine): Side | undefined {
    const version = versionOf(line);
    if (version === this.#spec.candidate) return "candidate";
    return version === this.#spec.baseline ? "baseline" : undefined;
  }

  #observe(line: LogLine, status: number, side: Side): void {
    const { counts } = this;
    const answer = answerOf(line, status);
    const odds = this.#oddsOf(line, side);
    const isImpossible = odds === (side === "candidate" ? 0 : 1);
    if (odds === undefined || isImpossible) {
      if (isImpossible) counts.impossible += 1;
      else counts.placed += 1;
      this.#tap.observe(undefined, side, undefined, answer);
      return;
    }
    counts.judged += 1;
    if (typeof line.odds !== "number") counts.judgedByPlan += 1;
    let unit = unitOf(line);
    if (unit === undefined) {
      counts.judgedWithoutUnit += 1;
      unit = hashedUnit(`line ${counts.lines}`);
    }
    this.#tap.observe(unit, side, odds, answer);
  }

  /** Undefined: this line's unit was not drawn. */
  #oddsOf({ reason, odds }: LogLine, side: Side): number | undefined {
    if (reason === "override" || reason === "propagated" || reason === "preflight") return undefined;
    if (typeof odds === "number") return odds >= 0 && odds <= 1 ? odds : undefined;
    return reason === "split" ? this.#odds.take(side, this.#nowMs - (this.#firstMs ?? 0)) : undefined;
  }

  #report(report: RolloutReport): void {
    this.#moments.push({ atMs: this.#nowMs, requests: this.#requests });
    this.#failed = this.#judge.report(report, this.#nowMs);
    this.#tap.direct(this.#traffic, this.#judge.questions());
  }

  /** Records which verdicts have been reached since the last call, and at which report. */
  #look(): readonly CheckResult[] {
    const checks = this.#judge.checks();
    for (const [at, { verdict, atMs }] of checks.entries()) {
      const before = this.#fell[at];
      if (before?.verdict === verdict && before.atMs === atMs) continue;
      const moment = this.#moments.findLast((report) => report.atMs === atMs);
      this.#fell[at] = { verdict, atMs, requests: moment?.requests ?? this.#requests };
    }
    this.#moments = [];
    return checks;
  }
}
