import { type Counter, type CounterValues, countersOf, counterValues, other, setCounters } from "./counters.ts";
import { Histogram, type HistogramCounts } from "./histogram.ts";

/** RFC 9110 §9 and RFC 5789; anything else is `other`, or clients could make series at will. */
const methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
const methodSlots = methods.length + 1;
const methodIndexes: ReadonlyMap<string, number> = new Map(methods.map((method, index) => [method, index]));

/** Stands where there is no last counter yet; its key matches no request's. */
const neverCounted: Counter = { value: 0 };

/** What the stats of one (route, service, version) counted, as plain data; the keys stand for code and method. */
export type RequestCounts = {
  readonly codes: ReadonlyMap<number, number>;
  readonly grpcStatuses: ReadonlyMap<number, number>;
  readonly duration: HistogramCounts | undefined;
};

/** Requests of one (route, service, version). Nothing is exported for it before its first request. */
export class RequestStats {
  readonly route: string;
  readonly service: string;
  readonly version: string;
  readonly duration = new Histogram();
  readonly #stats = new Map<number, Counter>();
  readonly #grpcStats = new Map<number, Counter>();
  // Most requests of a route end like the one before, so the last counter answers without a look-up.
  #lastKey = -1;
  #lastCounter: Counter = neverCounted;

  constructor(route: string, service: string, version: string) {
    this.route = route;
    this.service = service;
    this.version = version;
  }

  /** Counts a request that ended. A code outside 100 to 599 is exported as `other`. */
  count(code: number, method: string): void {
    const whole = code | 0;
    const key =
      (whole >= 100 && whole <= 599 ? whole : 0) * methodSlots + (methodIndexes.get(method) ?? methods.length);
    if (key !== this.#lastKey) {
      this.#lastKey = key;
      this.#lastCounter = this.#counter(key);
    }
    this.#lastCounter.value++;
  }

  /** Counts a gRPC call that ended, by its grpc-status: 0 to 16. */
  countGrpc(status: number): void {
    const counter = this.#grpcStats.get(status) ?? { value: 0 };
    this.#grpcStats.set(status, counter);
    counter.value++;
  }

  /** By grpc-status; empty where none were calls of gRPC. */
  grpcSeries(): ReadonlyMap<number, number> {
    return valuesByKey(this.#grpcStats);
  }

  counts(): RequestCounts {
    return {
      codes: valuesByKey(this.#stats),
      grpcStatuses: valuesByKey(this.#grpcStats),
      duration: this.duration.counts(),
    };
  }

  /** Holds these counts and no others. */
  restore(counts: RequestCounts | undefined): void {
    this.#stats.clear();
    this.#lastKey = -1;
    for (const [key, value] of counts?.codes ?? []) this.#stats.set(key, { value });
    this.#grpcStats.clear();
    for (const [status, value] of counts?.grpcStatuses ?? []) this.#grpcStats.set(status, { value });
    this.duration.restore(counts?.duration);
  }

  *series(): Iterable<{ readonly code: string; readonly method: string; readonly value: number }> {
    for (const [key, counter] of this.#stats) {
      const code = Math.floor(key / methodSlots);
      yield {
        code: code === 0 ? other : String(code),
        method: methods[key % methodSlots] ?? other,
        value: counter.value,
      };
    }
  }

  #counter(key: number): Counter {
    const counter = this.#stats.get(key) ?? { value: 0 };
    this.#stats.set(key, counter);
    return counter;
  }
}

const valuesByKey = (stats: ReadonlyMap<number, Counter>): ReadonlyMap<number, number> =>
  new Map(Array.from(stats, ([key, { value }]) => [key, value]));

export const faultKinds = ["delay", "abort"] as const;
export type FaultKind = (typeof faultKinds)[number];

/** What the stats of one route counted, as plain data. */
export type RouteCounts = { readonly rateLimited: number; readonly faults: CounterValues<FaultKind> };

/** What a route itself did to requests; made for those that have a limit or faults. */
export class RouteStats {
  readonly route: string;
  readonly rateLimited: Counter = { value: 0 };
  readonly faults = countersOf(faultKinds);
  /** Which of them the route has, and so are exported. */
  readonly has: { readonly rateLimit: boolean; readonly fault: boolean };

  constructor(route: string, has: RouteStats["has"], before?: RouteStats) {
    this.route = route;
    this.has = has;
    if (before === undefined) return;
    this.rateLimited = before.rateLimited;
    this.faults = before.faults;
  }

  counts(): RouteCounts {
    return { rateLimited: this.rateLimited.value, faults: counterValues(this.faults) };
  }

  /** Holds these counts and no others. */
  restore(counts: RouteCounts | undefined): void {
    this.rateLimited.value = counts?.rateLimited ?? 0;
    setCounters(this.faults, counts?.faults);
  }
}
