/** A plain number that the hot path counts in and the exporter reads. */
export interface Counter {
  value: number;
}

/** One counter for each of a closed list of label values, all there from the start, so that alerts find them at 0. */
export const countersOf = <K extends string>(keys: readonly K[]): Readonly<Record<K, Counter>> =>
  Object.fromEntries(keys.map((key) => [key, { value: 0 }])) as Record<K, Counter>;

/** What a closed list of stats counted, as plain data. */
export type CounterValues<K extends string = string> = Readonly<Record<K, number>>;

export const counterValues = <K extends string>(stats: Readonly<Record<K, Counter>>): CounterValues<K> =>
  Object.fromEntries(Object.entries<Counter>(stats).map(([key, { value }]) => [key, value])) as CounterValues<K>;

/** Sets every counter; without values, to 0. */
export function setCounters<K extends string>(
  stats: Readonly<Record<K, Counter>>,
  values: CounterValues<K> | undefined,
): void {
  for (const [key, counter] of Object.entries<Counter>(stats)) counter.value = values?.[key as K] ?? 0;
}

/** The value of a label whose text was not one of those we know. */
export const other = "other";

/** Values of one attribute that were there and could not be used, by why. */
export class AttributeStats {
  readonly attribute: string;
  readonly errors: Readonly<Record<string, Counter>>;

  /** `causes`: all that its sources can have. Built from those before it, it goes on with their counts. */
  constructor(attribute: string, causes: readonly string[], before?: AttributeStats) {
    this.attribute = attribute;
    this.errors = Object.fromEntries(causes.map((cause) => [cause, before?.errors[cause] ?? { value: 0 }]));
  }

  counts(): CounterValues {
    return counterValues(this.errors);
  }

  /** Holds these counts and no others. */
  restore(counts: CounterValues | undefined): void {
    setCounters(this.errors, counts);
  }

  error(cause: string): void {
    const counter = this.errors[cause];
    if (counter !== undefined) counter.value++;
  }
}

/**
 * Why a connection left the fast lane: a head that it does not read, no route, a route that the standard lane serves, a
 * body whose size is to be checked on the way, or a chunked body to be copied.
 */
export const handoverCauses = ["head", "no-route", "route", "body-limit", "mirror-body"] as const;
export type HandoverCause = (typeof handoverCauses)[number];

/** Connections that the fast lane gave to the standard one. */
export class HandoverStats {
  readonly causes = countersOf(handoverCauses);

  counts(): CounterValues<HandoverCause> {
    return counterValues(this.causes);
  }

  /** Holds these counts and no others. */
  restore(counts: CounterValues<HandoverCause> | undefined): void {
    setCounters(this.causes, counts);
  }

  handedOver(cause: HandoverCause): void {
    this.causes[cause].value++;
  }
}

const fetchResults = ["success", "failure"] as const;
export type FetchResult = (typeof fetchResults)[number];

/** How fetching published keys went. */
export class JwksStats {
  readonly fetches = countersOf(fetchResults);

  counts(): CounterValues<FetchResult> {
    return counterValues(this.fetches);
  }

  /** Holds these counts and no others. */
  restore(counts: CounterValues<FetchResult> | undefined): void {
    setCounters(this.fetches, counts);
  }

  fetched(result: FetchResult): void {
    this.fetches[result].value++;
  }
}

/** `empty`: the name servers say that there is nothing; `failure`: none could tell. */
export const resolutionOutcomes = ["success", "empty", "failure"] as const;
export type ResolutionOutcome = (typeof resolutionOutcomes)[number];

/** What became of asking for one name. */
export class DnsStats {
  readonly name: string;
  readonly outcomes = countersOf(resolutionOutcomes);

  constructor(name: string) {
    this.name = name;
  }

  counts(): CounterValues<ResolutionOutcome> {
    return counterValues(this.outcomes);
  }

  /** Holds these counts and no others. */
  restore(counts: CounterValues<ResolutionOutcome> | undefined): void {
    setCounters(this.outcomes, counts);
  }

  resolved(outcome: ResolutionOutcome): void {
    this.outcomes[outcome].value++;
  }
}

/** How the configuration's loads went. */
export class ReloadStats {
  readonly succeeded: Counter = { value: 0 };
  readonly failed: Counter = { value: 0 };
  /** 1 where the last attempt worked, 0 where the last good configuration had to stay. */
  readonly lastSuccessful: Counter = { value: 0 };
  readonly lastSuccessSeconds: Counter = { value: 0 };

  /** The first load, at start: a success that is no reload. `nowMs` is the wall clock. */
  loaded(nowMs: number): void {
    this.lastSuccessful.value = 1;
    this.lastSuccessSeconds.value = nowMs / 1000;
  }

  /** A changed file became the active configuration. `nowMs` is the wall clock. */
  reloaded(nowMs: number): void {
    this.succeeded.value++;
    this.loaded(nowMs);
  }

  rejected(): void {
    this.failed.value++;
    this.lastSuccessful.value = 0;
  }
}

/** Why a request was turned away unserved: as many as may be are under way already, or the event loop is late. */
export const shedCauses = ["in-flight", "loop-delay"] as const;
export type ShedCause = (typeof shedCauses)[number];

/** Requests that were turned away to keep Perch responsive. */
export class ShedStats {
  readonly causes = countersOf(shedCauses);

  counts(): CounterValues<ShedCause> {
    return counterValues(this.causes);
  }

  /** Holds these counts and no others. */
  restore(counts: CounterValues<ShedCause> | undefined): void {
    setCounters(this.causes, counts);
  }

  shed(cause: ShedCause): void {
    this.causes[cause].value++;
  }
}

/**
 * What became of spans: taken by the collector, refused by it, given up after several attempts, or dropped since too many
 * waited already.
 */
export const spanOutcomes = ["exported", "rejected", "undelivered", "overflow"] as const;
export type SpanOutcome = (typeof spanOutcomes)[number];

/** Spans of requests that were recorded. */
export class SpanStats {
  readonly outcomes = countersOf(spanOutcomes);

  counts(): CounterValues<SpanOutcome> {
    return counterValues(this.outcomes);
  }

  /** Holds these counts and no others. */
  restore(counts: CounterValues<SpanOutcome> | undefined): void {
    setCounters(this.outcomes, counts);
  }

  count(outcome: SpanOutcome, spans: number): void {
    this.outcomes[outcome].value += spans;
  }
}
