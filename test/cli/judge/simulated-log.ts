import { hashText } from "../../../src/decide/hash.ts";

/** A share of answers, by version. */
export interface Rates {
  readonly stable: number;
  readonly canary: number;
}

/** What the simulated users meet. Every field has a default: two equal versions, in a canary of 10 %. */
export interface Simulation {
  readonly seed: number;
  readonly requests?: number;
  readonly users?: number;
  /** The canary's share, 0 to 1. */
  readonly canary?: number;
  /** Answers with 500. Default 1 % of both. */
  readonly errors?: Rates;
  /** Answers slower than 800 ms. Default 1 % of both. */
  readonly slow?: Rates;
  /** Every request of a third of the heavy clients (2 %, half of the traffic) fails, on either version. */
  readonly broken?: boolean;
  /** So many users of a hundred are placed on the canary by a rule, and fail there. */
  readonly placed?: number;
  /** Lines without the fields that older logs have not. */
  readonly without?: readonly ("odds" | "unit")[];
  readonly release?: string;
}

export const startMs = Date.UTC(2026, 2, 1);
/** Between two requests. */
export const gapMs = 50;
const equal: Rates = { stable: 0.01, canary: 0.01 };

/** Uniform numbers of [0, 1), the same for the same seed (Mulberry32, public domain). */
function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Lines as Perch writes them, without the fields that a judgement does not read. */
export function simulatedLog(simulation: Simulation): string[] {
  const { seed, requests = 10_000, users = 3_000, canary = 0.1, release = "shop" } = simulation;
  const random = seededRandom(seed);
  const population = Array.from({ length: users }, (_, user) => userOf(user, random, { ...simulation, canary }));
  const heavy = Math.max(1, Math.floor(users * 0.02));
  const without = new Set<string>(simulation.without);
  return Array.from({ length: requests }, (_, at) => {
    // Every second request is of a heavy client.
    const index = random() < 0.5 ? Math.floor(random() * heavy) : Math.floor(random() * users);
    const { unit, version, isPlaced, isBroken } = population[index] as User;
    const fails = isPlaced || isBroken || random() < (simulation.errors ?? equal)[version];
    const isSlow = random() < (simulation.slow ?? equal)[version];
    const line = {
      level: "info",
      time: new Date(startMs + at * gapMs).toISOString(),
      msg: "request",
      route: "all",
      service: "shop",
      release,
      version,
      reason: isPlaced ? "rule" : "split",
      rule: isPlaced ? "testers" : undefined,
      unit,
      odds: isPlaced ? undefined : canary,
      method: "GET",
      status: fails ? 500 : 200,
      durationMs: Math.round((isSlow ? 900 + 600 * random() : 20 + 200 * random()) * 1_000) / 1_000,
    };
    return JSON.stringify(line, (key, value) => (without.has(key) ? undefined : value));
  });
}

interface User {
  readonly unit: string;
  readonly version: "stable" | "canary";
  readonly isPlaced: boolean;
  readonly isBroken: boolean;
}

function userOf(
  user: number,
  random: () => number,
  { seed, users = 3_000, canary = 0, ...simulation }: Simulation,
): User {
  const digest = hashText(`user ${user} of ${seed}`, 0);
  const hex = (word: number) => (word >>> 0).toString(16).padStart(8, "0");
  const isPlaced = random() * 100 < (simulation.placed ?? 0);
  return {
    unit: `${hex(digest.h1)}${hex(digest.h2)}`,
    version: isPlaced || random() < canary ? "canary" : "stable",
    isPlaced,
    isBroken: simulation.broken === true && user < users * 0.02 && user % 3 === 0,
  };
}

/** A configuration whose rollout has these checks and steps. */
export function judgedConfig(
  rollout = "steps: [{ weight: 10, hold: 7d }], checks: [{ name: errors, metric: errors }, { name: slow, metric: slow, over: 800ms }]",
): string {
  return `services:
  shop:
    default: stable
    versions:
      stable: { endpoints: ["http://127.0.0.1:9001"] }
      canary: { endpoints: ["http://127.0.0.1:9002"] }
releases:
  shop:
    split: { stable: 100, canary: 0 }
    rollout: { id: "2.4.0", candidate: canary, ${rollout} }
  plain:
    split: { stable: 90, canary: 10 }
routes:
  - { name: all, match: { path: { prefix: / } }, service: shop, release: shop }
  - { name: plain, match: { path: { prefix: /plain } }, service: shop, release: plain }
`;
}
