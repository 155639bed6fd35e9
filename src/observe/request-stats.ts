import { type Counter, type CounterValues, countersOf, other, setCounters, counterValues } from "./counters.ts";
import { Histogram, type HistogramCounts } from "./histogram.ts";

/** RFC 9110 §9 and RFC 5789; anything else is `other`, or clients could make series at will. */
const methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
const methodSlots = methods.length + 1;
const methodIndexes: ReadonlyMap<string, number> = new Map(methods.map((method, index) => [method, index]));

/** Stands where there is no last cell yet; its key matches no request's. */
const neverCounted: Counter = { value: 0 };

/** What the cells of one (route, service, version) counted, as plain data; the keys stand for code and method. */
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
  readonly #cells = new Map<number, Counter>();
  readonly #grpcCells = new Map<number, Counter>();
  // Most requests of a route end like the one before, so the last cell answers without a look-up.
  #lastKey = -1;
  #lastCell: Counter = neverCounted;

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
      this.#lastCell = this.#cell(key);
    }
    this.#lastCell.value++;
  }

  /** Counts a gRPC call that ended, by its grpc-status: 0 to 16. */
  countGrpc(status: number): void {
    const cell = this.#grpcCells.get(status) ?? { value: 0 };
    this.#grpcCells.set(status, cell);
    cell.value++;
  }

  /** By grpc-status; empty where none were calls of gRPC. */
  grpcSeries(): ReadonlyMap<number, number> {
    return valuesByKey(this.#grpcCells);
  }

  counts(): RequestCounts {
    return {
      codes: valuesByKey(this.#cells),
      grpcStatuses: valuesByKey(this.#grpcCells),
      duration: this.duration.counts(),
    };
  }

  /** Holds these counts and no others. */
  restore(counts: RequestCounts | undefined): void {
    this.#cells.clear();
    this.#lastKey = -1;
    for (const [key, value] of counts?.codes ?? []) this.#cells.set(key, { value });
    this.#grpcCells.clear();
    for (const [status, value] of counts?.grpcStatuses ?? []) this.#grpcCells.set(status, { value });
    this.duration.restore(counts?.duration);
  }

  *series(): Iterable<{ readonly code: string; readonly method: string; readonly value: number }> {
    for (const [key, cell] of this.#cells) {
      const code = Math.floor(key / methodSlots);
      yield { code: code === 0 ? other : String(code), method: methods[key % methodSlots] ?? other, value: cell.value };
    }
  }

  #cell(key: number): Counter {
    const cell = this.#cells.get(key) ?? { value: 0 };
    this.#cells.set(key, cell);
    return cell;
  }
}

const valuesByKey = (cells: ReadonlyMap<number, Counter>): ReadonlyMap<number, number> =>
  new Map(Array.from(cells, ([key, { value }]) => [key, value]));

export const faultKinds = ["delay", "abort"] as const;
export type FaultKind = (typeof faultKinds)[number];

/** What the cells of one route counted, as plain data. */
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
