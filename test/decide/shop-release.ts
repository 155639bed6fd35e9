import type { Condition, Test } from "../../src/decide/condition.ts";
import type { DecisionRequest } from "../../src/decide/decision.ts";
import { Draw } from "../../src/decide/draw.ts";
import type { AttributeValue, Facts } from "../../src/decide/facts.ts";
import { PatternMeter } from "../../src/decide/pattern.ts";
import type { Pin } from "../../src/decide/pin-content.ts";
import type { CookieSpec, ReleaseSpec, StickySpec, Weights } from "../../src/decide/release-spec.ts";
import { attributeUnit, type RandomSource, type Unit } from "../../src/decide/unit.ts";

export const nowMs = Date.UTC(2026, 5, 1);
export const nowSeconds = nowMs / 1000;

/** The attribute table: an attribute's index is its position here. */
const attributeNames = ["userId", "region", "plan"] as const;
export type Attributes = Partial<Record<(typeof attributeNames)[number], AttributeValue>>;

const byUserId: StickySpec["by"] = { kind: "attribute", index: 0, name: "userId" };

export const cookie: CookieSpec = {
  name: "perch-shop",
  maxAgeMs: 30 * 86_400_000,
  path: "/",
  domain: undefined,
  secure: "auto",
  sameSite: "lax",
  partitioned: false,
  secrets: [Buffer.from("a secret of thirty-two bytes ...")],
};

export const sticky: StickySpec = {
  by: byUserId,
  salt: "",
  whenWeightsChange: "follow",
  onWeightZero: "evict",
  epoch: 3,
  assets: "independent",
  fetches: "independent",
  assetPaths: [],
  cookie,
};

/** The base of the decision tests; each case spreads it with its own settings. */
export const shop: ReleaseSpec = {
  name: "shop",
  versions: ["stable", "canary", "v3"],
  sticky,
  override: undefined,
  rules: [],
  split: { stable: 50, canary: 50 },
  propagate: undefined,
  rollout: undefined,
};

/** A condition on one attribute. */
export function attribute(name: keyof Attributes, test: Test): Condition {
  return { kind: "test", subject: { kind: "attribute", index: attributeNames.indexOf(name), name }, test };
}

export function equals(value: AttributeValue): Test {
  return { op: "equals", value };
}

export interface FactsOf {
  readonly attributes?: Attributes;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cookies?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly path?: string;
  readonly clientAddress?: Facts["clientAddress"];
}

export function factsOf(given: FactsOf = {}): Facts {
  const values = attributeNames.map((name) => given.attributes?.[name]);
  return {
    attribute: (index) => values[index],
    patterns: new PatternMeter(),
    patternSkipped: () => {},
    header: (name) => given.headers?.[name],
    cookie: (name) => given.cookies?.[name],
    query: (name) => given.query?.[name],
    method: given.method ?? "GET",
    host: "shop.example.com",
    path: given.path ?? "/",
    clientAddress: given.clientAddress,
  };
}

/** A reproducible pseudorandom generator. */
export function seededRandom(seed: number): RandomSource {
  let state = seed | 0;
  return {
    // splitmix32
    int32() {
      state = (state + 0x9e3779b9) | 0;
      const high = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
      const low = Math.imul(high ^ (high >>> 15), 0x735a2d97);
      return low ^ (low >>> 15);
    },
  };
}

export function requestOf(given: FactsOf & Partial<Omit<DecisionRequest, "facts">> = {}): DecisionRequest {
  return {
    facts: factsOf(given),
    pin: given.pin,
    override: given.override,
    propagated: given.propagated,
    defaultVersion: given.defaultVersion ?? "stable",
    nowMs: given.nowMs ?? nowMs,
    random: given.random ?? seededRandom(1),
  };
}

/** The first user id whose unit the shop draws to `version` with these weights. */
export function userDrawnTo(version: string, weights: Weights, salt = ""): string {
  return firstDrawnTo(version, weights, salt, (at) => `user-${at}`, attributeUnit);
}

/** A random unit that the shop draws to `version` with these weights. */
export function randomUnitDrawnTo(version: string, weights: Weights): Unit {
  const unitAt = (at: number): Unit => ({ source: "random", hi: at, lo: -at });
  return firstDrawnTo(version, weights, "", unitAt, (unit) => unit);
}

function firstDrawnTo<T>(
  version: string,
  weights: Weights,
  salt: string,
  at: (n: number) => T,
  unitOf: (named: T) => Unit,
): T {
  const draw = new Draw("shop", salt, weights);
  for (let n = 1; n < 100_000; n++) {
    const named = at(n);
    if (draw.pick(unitOf(named)) === version) return named;
  }
  throw new Error(`no unit is drawn to ${version}`);
}

/** By default a pin of the shop's epoch, a day old, set by the split, with a random unit. */
export function pinOf(given: Partial<Pin> = {}): Pin {
  return {
    epoch: sticky.epoch,
    issuedAtSeconds: nowSeconds - 86_400,
    version: "stable",
    how: "split",
    rule: undefined,
    unit: { source: "random", hi: 1, lo: 2 },
    ...given,
  };
}
