import type { RolloutReport } from "../../observe/rollout/rollout-report.ts";
import type { NumberedReport } from "./report-outbox.ts";

/** Numbers by replica: up to which its reports were taken. */
export type TakenReports = Readonly<Record<string, number>>;

/** Replicas that came and went: the oldest are forgotten. */
const maxReplicas = 200;

/** Takes the reports of all replicas, each once, however often it is sent. */
export class ReportInbox {
  readonly #take: (report: RolloutReport) => void;
  /** The replica that was heard last is the last. */
  readonly #taken: Map<string, number>;
  #saved: ReadonlyMap<string, number>;

  /** `saved`: what the state's judges have taken. */
  constructor(saved: TakenReports, take: (report: RolloutReport) => void) {
    this.#take = take;
    this.#saved = new Map(Object.entries(saved));
    this.#taken = new Map(this.#saved);
  }

  take(replica: string, reports: readonly NumberedReport[]): void {
    let last = this.takenOf(replica);
    for (const { number, report } of reports) {
      if (number <= last) continue;
      last = number;
      this.#take(report);
    }
    this.#taken.delete(replica);
    this.#taken.set(replica, last);
    const [oldest] = this.#taken.keys();
    if (this.#taken.size > maxReplicas && oldest !== undefined) this.#taken.delete(oldest);
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
