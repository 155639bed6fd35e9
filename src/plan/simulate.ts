import type { Decision } from "../decide/decision.ts";
import type { AttributeValue, Facts } from "../decide/facts.ts";
import { hashText } from "../decide/hash.ts";
import { type Address, parseAddress } from "../decide/ip-address.ts";
import { PatternMeter } from "../decide/pattern.ts";
import type { Pin } from "../decide/pin-content.ts";
import { Release } from "../decide/release.ts";
import type { ReleaseSpec, StickySpec } from "../decide/release-spec.ts";
import type { ReleaseTraffic } from "../decide/release-traffic.ts";
import type { RandomSource } from "../decide/unit.ts";

/** A release, and the version that serves if it does not decide. */
export interface Policy {
  readonly spec: ReleaseSpec;
  readonly defaultVersion: string;
  /** What operators and a rollout have set. Default: nothing. */
  readonly traffic?: ReleaseTraffic | undefined;
}

export interface Move {
  readonly from: string;
  readonly to: string;
  /** Of all units, 0 to 1. */
  readonly share: number;
}

/** Units whose version changes. */
export interface Movement {
  /** Of all units, 0 to 1. */
  readonly moved: number;
  /** Largest share first. */
  readonly moves: readonly Move[];
}

export interface Simulation {
  /** Shares of units by version, 0 to 1. */
  readonly before: Readonly<Record<string, number>>;
  readonly after: Readonly<Record<string, number>>;
  /** How the draw changes, ignoring pinned versions: what `follow` does at once. */
  readonly byDraw: Movement;
  /** What happens at the next request of users who have a pin of the old policy. */
  readonly pinned: Movement;
}

/** An arbitrary constant: no simulated decision depends on the time. */
const nowMs = 0;

/** Decides the same units by both policies and counts the differences. Deterministic. */
export function simulate(before: Policy, after: Policy, units: number): Simulation {
  const old = new SimulatedRelease(before, "old");
  const next = new SimulatedRelease(after, "new");
  const following = new SimulatedRelease({ ...after, spec: withFollow(after.spec) }, "new");
  const pinsCarryOver = readsPinsOf(old, next);
  const counts = { before: new Counts(), after: new Counts(), byDraw: new Counts(), pinned: new Counts() };
  for (let unit = 0; unit < units; unit++) {
    const first = old.decide(unit, undefined);
    const drawn = following.decide(unit, first.pin).version;
    const second = next.decide(unit, pinsCarryOver ? first.pin : undefined).version;
    counts.before.add(first.version);
    counts.after.add(drawn);
    if (drawn !== first.version) counts.byDraw.add(moveKey(first.version, drawn));
    if (second !== first.version) counts.pinned.add(moveKey(first.version, second));
  }
  return {
    before: counts.before.shares(units),
    after: counts.after.shares(units),
    byDraw: movementOf(counts.byDraw, units),
    pinned: movementOf(counts.pinned, units),
  };
}

/** Whether the new release accepts pins of the old one: same cookie name, and a secret that verifies them. */
export function pinsCarryOver(before: ReleaseSpec, after: ReleaseSpec): boolean {
  const policy = { defaultVersion: before.versions[0] ?? "" };
  return readsPinsOf(
    new SimulatedRelease({ ...policy, spec: before }, "old"),
    new SimulatedRelease({ ...policy, spec: after }, "new"),
  );
}

function readsPinsOf(old: SimulatedRelease, next: SimulatedRelease): boolean {
  const { pin } = old.decide(0, undefined);
  const written = pin === undefined ? "" : old.release.setCookie(pin, false);
  const [, name, value = ""] = /^([^=]*)=([^;]*)/.exec(written) ?? [];
  if (name !== next.release.spec.sticky.cookie.name) return false;
  return next.release.readPin([value], nowMs, () => undefined) !== undefined;
}

function withFollow(spec: ReleaseSpec): ReleaseSpec {
  return { ...spec, sticky: { ...spec.sticky, whenWeightsChange: "follow" } };
}

class SimulatedRelease {
  readonly release: Release;
  readonly #defaultVersion: string;
  readonly #stream: string;

  /** `stream` seeds the random units, so that the new release does not draw the same random id for a lost pin. */
  constructor({ spec, defaultVersion, traffic }: Policy, stream: string) {
    // A simulated unit is a single request, so page assets do not exist.
    this.release = new Release({ ...spec, sticky: { ...spec.sticky, assets: "independent" } });
    this.release.direct(traffic);
    this.#defaultVersion = defaultVersion;
    this.#stream = stream;
  }

  decide(unit: number, pin: Pin | undefined): Decision {
    return this.release.decide({
      facts: new SimulatedFacts(unit, this.release.spec.sticky.by),
      pin,
      override: undefined,
      propagated: undefined,
      defaultVersion: this.#defaultVersion,
      nowMs,
      random: numbered(`${this.#stream} ${unit}`),
    });
  }
}

/** The only known fact is the one that names the unit. */
class SimulatedFacts implements Facts {
  readonly method = "GET";
  readonly host = "";
  readonly path = "/";
  readonly #unit: number;
  readonly #by: StickySpec["by"];

  constructor(unit: number, by: StickySpec["by"]) {
    this.#unit = unit;
    this.#by = by;
  }

  attribute(index: number): AttributeValue | undefined {
    const by = this.#by;
    // Includes the attribute's name: units named by another attribute are drawn again.
    return by?.kind === "attribute" && by.index === index ? `${by.name} ${this.#unit}` : undefined;
  }

  get clientAddress(): Address | undefined {
    if (this.#by?.kind !== "clientAddress") return undefined;
    const unit = this.#unit;
    return parseAddress(`10.${(unit >>> 16) & 0xff}.${(unit >>> 8) & 0xff}.${unit & 0xff}`);
  }

  header(): undefined {
    return undefined;
  }

  cookie(): undefined {
    return undefined;
  }

  query(): undefined {
    return undefined;
  }

  readonly patterns = new PatternMeter();

  patternSkipped(): void {}
}

function numbered(name: string): RandomSource {
  let count = 0;
  return { int32: () => hashText(`${name} ${count++}`, 0).h1 };
}

class Counts {
  readonly #counts = new Map<string, number>();

  add(key: string): void {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  /** Shares of `units`, sorted by key. */
  shares(units: number): Record<string, number> {
    const entries = [...this.#counts].map(([key, count]): [string, number] => [key, count / units]);
    return Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1)));
  }
}

/** Version names contain no blanks. */
const moveKey = (from: string, to: string): string => `${from} ${to}`;

function movementOf(counts: Counts, units: number): Movement {
  const moves = Object.entries(counts.shares(units)).map(([key, share]): Move => {
    const [from = "", to = ""] = key.split(" ");
    return { from, to, share };
  });
  moves.sort((one, other) => other.share - one.share);
  return { moved: moves.reduce((sum, move) => sum + move.share, 0), moves };
}
