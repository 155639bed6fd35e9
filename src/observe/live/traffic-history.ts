import { SlotRing } from "./slot-ring.ts";
import type { Point, RecentSlot, SeriesBody, SummaryBody } from "./traffic-bodies.ts";
import { countsLength, type ReleaseTrafficCounts, requestsAt, type TrafficCounts } from "./traffic-counts.ts";
import { secondsKept, summaryOf, summarySlotsKept, tensKept, VersionHistory } from "./version-history.ts";

/** What the history follows of a release. */
export interface FollowedRelease {
  readonly release: string;
  readonly versions: readonly { readonly version: string; readonly configuredShare: number | null }[];
  readonly rules: readonly { readonly rule: string }[];
}

/** All hits so far, and the second of the last one. */
export type RuleHits = readonly [hits: number, lastMs: number | null];

export interface VersionNow {
  readonly point: Point | null;
  readonly minute: SummaryBody;
  readonly fiveMinutes: SummaryBody;
}

interface ReleaseHistory {
  followed: FollowedRelease;
  readonly versions: Map<string, VersionHistory>;
  readonly rules: Map<string, RuleHits>;
}

/** What is counted after more seconds than this belongs to none of them: the process slept, or the clock was set. */
const maxLateSeconds = 5;
const minuteSlots = 6;

/** What each release did in the last seconds, and in the last hour. The caller passes every second; it reads no clock. */
export class TrafficHistory {
  readonly #releases = new Map<string, ReleaseHistory>();
  /** How many seconds were counted in each slot of ten. */
  readonly #counted: SlotRing;
  #followed: readonly FollowedRelease[] = [];
  #second: number;
  #last: TrafficCounts = new Map();

  /** `startMs`: when the counts were zero. */
  constructor(startMs: number) {
    this.#second = Math.floor(startMs / 1_000) - 1;
    this.#counted = new SlotRing(summarySlotsKept, 1, Math.floor(this.#second / 10));
  }

  /** The start of the last second that was recorded. */
  get atMs(): number {
    return this.#second * 1_000;
  }

  /**
   * Takes the counts as they are at the end of a second. `releases`: those of the configuration; the same array until
   * they change.
   */
  record(secondMs: number, counts: TrafficCounts, releases: readonly FollowedRelease[]): void {
    const second = Math.floor(secondMs / 1_000);
    const elapsed = second - this.#second;
    const isKnown = elapsed > 0 && elapsed <= maxLateSeconds;
    this.follow(releases);
    this.#second = second;
    this.#counted.moveTo(Math.floor(second / 10));
    const counted = this.#counted.newest;
    if (isKnown) counted[0] = (counted[0] ?? 0) + elapsed;
    for (const [name, history] of this.#releases) {
      const [now, before] = [counts.get(name), this.#last.get(name)];
      for (const { version, configuredShare } of history.followed.versions) {
        const since = isKnown ? countedSince(before?.versions.get(version), now?.versions.get(version)) : undefined;
        this.#historyOf(history, version, since)?.record(second, since, configuredShare);
      }
      this.#recordRules(history, now, isKnown);
    }
    this.#last = counts;
  }

  /** Undefined if there is no such release. */
  series(release: string): { readonly seconds: SeriesBody; readonly tens: SeriesBody } | undefined {
    const history = this.#releases.get(release);
    if (history === undefined) return undefined;
    const of = (slotMs: number, length: number, points: (version: VersionHistory) => readonly (Point | null)[]) => ({
      slotMs,
      newestMs: Math.floor(this.atMs / slotMs) * slotMs,
      versions: byVersion(history, (version) => (version === undefined ? Array(length).fill(null) : points(version))),
    });
    return {
      seconds: of(1_000, secondsKept, (version) => version.seconds()),
      tens: of(10_000, tensKept, (version) => version.tens()),
    };
  }

  /** Of the versions that had requests. */
  recent(release: string): Readonly<Record<string, readonly RecentSlot[]>> {
    const versions = this.#releases.get(release)?.versions ?? [];
    return Object.fromEntries(Array.from(versions, ([name, version]) => [name, version.recent()]));
  }

  /** Each version in the last second, and in the last minutes. */
  versions(release: string): Readonly<Record<string, VersionNow>> {
    const history = this.#releases.get(release);
    if (history === undefined) return {};
    const [minuteMs, fiveMinutesMs] = [this.#spanMs(minuteSlots), this.#spanMs(summarySlotsKept)];
    const nothing = new Float64Array(countsLength);
    return byVersion(history, (version) => ({
      point: version?.newest ?? null,
      minute: version?.summary(minuteSlots, minuteMs) ?? summaryOf(nothing, minuteMs),
      fiveMinutes: version?.summary(summarySlotsKept, fiveMinutesMs) ?? summaryOf(nothing, fiveMinutesMs),
    }));
  }

  /** The rules of a release that were ever hit. */
  rules(release: string): Readonly<Record<string, RuleHits>> {
    return Object.fromEntries(this.#releases.get(release)?.rules ?? []);
  }

  #spanMs(slots: number): number {
    return Array.from(this.#counted.last(slots)).reduce((sum, [seconds = 0]) => sum + seconds, 0) * 1_000;
  }

  #historyOf(history: ReleaseHistory, version: string, since: Float64Array | undefined): VersionHistory | undefined {
    const known = history.versions.get(version);
    if (known !== undefined || since === undefined || (since[requestsAt] ?? 0) === 0) return known;
    const made = new VersionHistory(this.#second);
    history.versions.set(version, made);
    return made;
  }

  #recordRules({ followed, rules }: ReleaseHistory, now: ReleaseTrafficCounts | undefined, isKnown: boolean): void {
    for (const { rule } of followed.rules) {
      const hits = now?.ruleHits.get(rule);
      if (hits === undefined) continue;
      const [before, lastMs] = rules.get(rule) ?? [0, null];
      if (hits !== before) rules.set(rule, [hits, hits > before && isKnown ? this.atMs : lastMs]);
    }
  }

  /** What a reload has removed goes away, and what it has added is there at once, with nothing in it. */
  follow(releases: readonly FollowedRelease[]): void {
    if (releases === this.#followed) return;
    this.#followed = releases;
    const left = new Set(this.#releases.keys());
    for (const followed of releases) {
      const history = this.#releases.get(followed.release) ?? { followed, versions: new Map(), rules: new Map() };
      history.followed = followed;
      dropOthers(history.versions, new Set(followed.versions.map(({ version }) => version)));
      dropOthers(history.rules, new Set(followed.rules.map(({ rule }) => rule)));
      this.#releases.set(followed.release, history);
      left.delete(followed.release);
    }
    for (const release of left) this.#releases.delete(release);
  }
}

/**
 * Undefined if there was nothing, or if a sum decreased: a data plane restarted from zero, and it is unknown how much it
 * had counted.
 */
function countedSince(before: Float64Array | undefined, now: Float64Array | undefined): Float64Array | undefined {
  if (before === undefined || now === undefined) return before === undefined ? now : undefined;
  if (now[requestsAt] === before[requestsAt]) return undefined;
  const since = now.map((count, at) => count - (before[at] ?? 0));
  return since.some((count) => count < 0) ? undefined : since;
}

function byVersion<T>(
  { followed, versions }: ReleaseHistory,
  of: (version: VersionHistory | undefined) => T,
): Readonly<Record<string, T>> {
  return Object.fromEntries(followed.versions.map(({ version }) => [version, of(versions.get(version))]));
}

function dropOthers(map: Map<string, unknown>, kept: ReadonlySet<string>): void {
  for (const key of map.keys()) if (!kept.has(key)) map.delete(key);
}
