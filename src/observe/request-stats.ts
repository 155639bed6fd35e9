import { other, SparseCounters } from "./counters.ts";
import { Histogram } from "./histogram.ts";
import { StatsGroup } from "./stats-group.ts";

/** RFC 9110 §9 and RFC 5789; anything else is `other`, or clients could make series at will. */
const methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
const methodSlots = methods.length + 1;
const methodIndexes: ReadonlyMap<string, number> = new Map(methods.map((method, index) => [method, index]));

/** Requests of one (route, service, version). Nothing is exported for it before its first request. */
export class RequestStats {
  readonly byCodeAndMethod = new SparseCounters(codeAndMethodOf);
  readonly grpcStatuses = new SparseCounters(grpcStatusOf);
  readonly duration = new Histogram();
  /** Requests of this thread that failed, by the judged status. Not exported: the counters by code say it. */
  failed = 0;

  /** Counts a request that ended. A code outside 100 to 599 is exported as `other`. */
  count(code: number, method: string): void {
    const whole = code | 0;
    const known = whole >= 100 && whole <= 599 ? whole : 0;
    this.byCodeAndMethod.count(known * methodSlots + (methodIndexes.get(method) ?? methods.length));
  }

  /** Counts a gRPC call that ended, by its grpc-status: 0 to 16. */
  countGrpc(status: number): void {
    this.grpcStatuses.count(status);
  }
}

function codeAndMethodOf(key: number): readonly [code: string, method: string] {
  const code = Math.floor(key / methodSlots);
  return [code === 0 ? other : String(code), methods[key % methodSlots] ?? other];
}

function grpcStatusOf(status: number): readonly [status: string] {
  return [String(status)];
}

export const requestGroup = new StatsGroup<RequestStats, [route: string, service: string, version: string]>({
  labels: ["route", "service", "version"],
  make: (before) => before ?? new RequestStats(),
  metrics: [
    {
      name: "perch_requests_total",
      help: "Requests that ended, by the status code sent to the client; 499 if the client closed the connection first.",
      type: "counter",
      labels: ["code", "method"],
      storage: ({ byCodeAndMethod }) => byCodeAndMethod,
    },
    {
      name: "perch_grpc_requests_total",
      help: "gRPC calls that ended, by grpc-status.",
      type: "counter",
      labels: ["grpc_status"],
      storage: ({ grpcStatuses }) => grpcStatuses,
    },
    {
      name: "perch_request_duration_seconds",
      help: "Time from a request's first byte to the end of its response.",
      type: "histogram",
      // An unused route would cost eighteen lines for each version at every scrape.
      idle: "hidden",
      storage: ({ duration }) => duration,
    },
  ],
});
