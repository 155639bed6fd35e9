import { judgedStatus } from "../http/grpc-status.ts";
import type { AccessLog } from "./access-log.ts";
import type { DecisionTail } from "./live/decision-tail.ts";
import type { Outcome } from "./outcome.ts";
import type { RequestStats } from "./request-stats.ts";

/** Receives the outcome of every request: called exactly once for each, and never throws. */
export class Observer {
  readonly #accessLog: AccessLog;
  readonly #tail: DecisionTail;

  constructor(accessLog: AccessLog, tail: DecisionTail) {
    this.#accessLog = accessLog;
    this.#tail = tail;
  }

  /** `stats` are those of the route and the version served, or the ones for requests without a route. */
  observe(outcome: Outcome, stats: RequestStats): void {
    stats.count(outcome.status, outcome.method);
    if (outcome.grpcStatus !== undefined) stats.countGrpc(outcome.grpcStatus);
    if (judgedStatus(outcome.status, outcome.grpcStatus) >= 500) stats.failed++;
    stats.duration.observe(outcome.durationMs / 1000);
    const trace = outcome.sampledTrace;
    if (trace !== undefined) {
      stats.duration.exemplify(outcome.durationMs / 1000, trace.traceId, trace.startedAtMs + outcome.durationMs);
    }
    if (this.#tail.isWatched) this.#tail.offer(outcome);
    this.#accessLog.log(outcome);
  }
}
