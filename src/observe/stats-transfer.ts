import type {
  CounterValues,
  FetchResult,
  HandoverCause,
  ResolutionOutcome,
  ShedCause,
  SpanOutcome,
} from "./counters.ts";
import type { Exemplar } from "./histogram.ts";
import type { ListenerCounts } from "./listener-stats.ts";
import type { MirrorCounts } from "./mirror-stats.ts";
import type { ReleaseCounts } from "./release-stats.ts";
import type { RequestCounts, RouteCounts } from "./request-stats.ts";
import { recentSlots } from "./sliding-window.ts";
import type { UpstreamCounts } from "./upstream-stats.ts";

/** What the stats of a snapshot counted, as plain data that may be sent to another thread; keyed as the stats are. */
export type StatsCounts = {
  readonly requests: ReadonlyMap<string, RequestCounts>;
  readonly upstreams: ReadonlyMap<string, UpstreamCounts>;
  readonly releases: ReadonlyMap<string, ReleaseCounts>;
  readonly attributes: ReadonlyMap<string, CounterValues>;
  readonly mirrors: ReadonlyMap<string, MirrorCounts>;
  readonly listeners: ReadonlyMap<string, ListenerCounts>;
  readonly names: ReadonlyMap<string, CounterValues<ResolutionOutcome>>;
  readonly routes: ReadonlyMap<string, RouteCounts>;
  /** Undefined where there are none yet. */
  readonly handovers: CounterValues<HandoverCause> | undefined;
  /** Likewise. */
  readonly jwks: CounterValues<FetchResult> | undefined;
  readonly spans: CounterValues<SpanOutcome> | undefined;
  readonly shed: CounterValues<ShedCause> | undefined;
};

export const noCounts: StatsCounts = Object.freeze({
  requests: new Map(),
  upstreams: new Map(),
  releases: new Map(),
  attributes: new Map(),
  mirrors: new Map(),
  listeners: new Map(),
  names: new Map(),
  routes: new Map(),
  handovers: undefined,
  jwks: undefined,
  spans: undefined,
  shed: undefined,
});

/** Counts are numbers and exemplars in lists, maps and records; what one side lacks counts as nothing. */
type Count =
  | number
  | undefined
  | Exemplar
  | readonly number[]
  | ReadonlyMap<string | number, unknown>
  | { readonly [name: string]: unknown };

/** Adds number to number, whatever they are nested in; of two exemplars the later one counts. */
export function sumCounts(all: readonly StatsCounts[]): StatsCounts {
  return all.reduce<StatsCounts>((sum, counts) => sumOf(sum, counts) as StatsCounts, noCounts);
}

/** What is left of counts whose counters ended: nothing in flight, and of windows only the last minutes. */
export function pastCounts(counts: StatsCounts): StatsCounts {
  const { upstreams, releases, mirrors, listeners } = counts;
  return {
    ...counts,
    upstreams: mapValues(upstreams, (upstream) => ({ ...upstream, inFlight: 0, pending: 0 })),
    releases: mapValues(releases, (release) => ({
      ...release,
      versions: mapValues(release.versions, ({ byReason, window }) => ({ byReason, window: recentSlots(window) })),
    })),
    listeners: mapValues(listeners, (listener) => ({ ...listener, open: 0 })),
    mirrors: mapValues(mirrors, (mirror) => ({ ...mirror, inFlight: 0 })),
  };
}

const mapValues = <T>(map: ReadonlyMap<string, T>, change: (value: T) => T): ReadonlyMap<string, T> =>
  new Map(Array.from(map, ([key, value]) => [key, change(value)]));

function sumOf(a: Count, b: Count): Count {
  if (a === undefined || b === undefined) return a ?? b;
  if (typeof a === "number") return a + (b as number);
  if (Array.isArray(a)) return a.map((value: number, index) => value + ((b as readonly number[])[index] ?? 0));
  if (isExemplar(a)) return a.atMs > (b as Exemplar).atMs ? a : b;
  if (a instanceof Map) return sumOfMaps(a, b as ReadonlyMap<string | number, Count>);
  const [left, right] = [a, b] as Readonly<Record<string, Count>>[];
  return Object.fromEntries(sumOfMaps(new Map(Object.entries(left ?? {})), new Map(Object.entries(right ?? {}))));
}

function isExemplar(count: Exclude<Count, number | undefined>): count is Exemplar {
  return "traceId" in count;
}

function sumOfMaps(
  a: ReadonlyMap<string | number, Count>,
  b: ReadonlyMap<string | number, Count>,
): ReadonlyMap<string | number, Count> {
  const sum = new Map(a);
  for (const [key, value] of b) sum.set(key, sumOf(sum.get(key), value));
  return sum;
}
