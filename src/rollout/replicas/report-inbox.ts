import type { RolloutReport } from "../../observe/rollout/rollout-report.ts";
import type { NumberedReport } from "./report-outbox.ts";

/** Numbers by replica: up to which its reports were taken. */
export type TakenReports = Readonly<Record<string, number>>;

/** Replicas that came and went: the oldest are forgotten. */
const maxReplicas = 200;

/**
 * Takes the reports of all replicas, each once, however often it is sent, and without a gap.
 *
 * A replica sends what follows on what it was told is taken. Told by another leader, or by this one before it led anew, it
 * leaves out what this inbox lacks. So the first reports of each replica must follow on what the state has; if they do not,
 * it is only told what is taken. What is still missing after that it has dropped, or knows to be saved: a replica without an
 * answer begins with all that it has.
 */
export class ReportInbox {
  readonly #take: (report: RolloutReport) => void;
  /** The replica that was heard last is the last. */
  readonly #taken: Map<string, number>;
  #saved: ReadonlyMap<string, number>;
  /** Replicas that this inbox has told what is taken. */
  readonly #told = new Set<string>();

  /** `saved`: what the state's judges have taken. `own`: the replica that needs no telling. */
  constructor(saved: TakenReports, own: string, take: (report: RolloutReport) => void) {
    this.#take = take;
    this.#told.add(own);
    this.#saved = new Map(Object.entries(saved));
    this.#taken = new Map(this.#saved);
  }

  take(replica: string, reports: readonly NumberedReport[]): void {
    let last = this.takenOf(replica);
    const [first] = reports;
    const follows = this.#told.has(replica) || first === undefined || first.number <= last + 1;
    this.#told.add(replica);
    for (const { number, report } of follows ? reports : []) {
      if (number <= last) continue;
      last = number;
      this.#take(report);
    }
    this.#taken.delete(replica);
    this.#taken.set(replica, last);
    const [oldest] = this.#taken.keys();
    if (this.#taken.size <= maxReplicas || oldest === undefined) return;
    this.#taken.delete(oldest);
    this.#told.delete(oldest);
  }

  takenOf(replica: string): number {
    return this.#taken.get(replica) ?? 0;
  }

  savedOf(replica: string): number {
    return this.#saved.get(replica) ?? 0;
  }

  /** As it is now: to be saved with what the judges have. */
  get taken(): TakenReports {
    return Object.fromEntries(this.#taken);
  }

  saved(taken: TakenReports): void {
    this.#saved = new Map(Object.entries(taken));
  }
}
