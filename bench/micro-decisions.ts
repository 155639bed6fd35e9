/**
 * The cost of a decision, from a parsed head to the version and the reason: find the pin among the cookies, verify it,
 * evaluate the rules, draw. Once with attributes identified before, once including their identification, as for a new
 * request.
 */

import type { Decision } from "../src/decide/decision.ts";
import { Release } from "../src/decide/release.ts";
import type { RequestHead } from "../src/http/request-head.ts";
import { AttributeTable, noLookups } from "../src/identify/attributes.ts";
import { RequestFacts } from "../src/identify/request-facts.ts";
import { decideRequest } from "../src/proxy/decide-request.ts";
import { type LastRule, releaseConfig } from "./micro-config.ts";
import { batchedRandom, caller, requestHead, userCount } from "./micro-requests.ts";
import { type Timing, type TimingBudget, time } from "./timing.ts";

/**
 * `none`: users without a pin, each drawn. `known`: pins that this process has verified, found in its bounded cache.
 * `unknown`: new pins, each of which costs an HMAC.
 */
export const pinStates = ["none", "known", "unknown"] as const;
export type PinState = (typeof pinStates)[number];

export interface DecisionTiming {
  readonly rules: number;
  readonly lastRule: LastRule;
  readonly pin: PinState;
  readonly decide: Timing;
  readonly identifyAndDecide: Timing;
}

const ruleSets: readonly { readonly rules: number; readonly lastRule: LastRule }[] = [
  { rules: 0, lastRule: "misses" },
  { rules: 10, lastRule: "misses" },
  { rules: 10, lastRule: "matches" },
  { rules: 1_000, lastRule: "misses" },
  { rules: 1_000, lastRule: "matches" },
];

const target = { host: "shop.example.com", path: "/api/items" };
const nowMs = Date.parse("2026-06-01T12:00:00Z");

export function timeDecisions(budget: TimingBudget): readonly DecisionTiming[] {
  return ruleSets.flatMap(({ rules, lastRule }) => pinStates.map((pin) => timeOne(rules, lastRule, pin, budget)));
}

function timeOne(rules: number, lastRule: LastRule, pin: PinState, budget: TimingBudget): DecisionTiming {
  const config = releaseConfig(rules, lastRule);
  const [spec] = config.releases;
  if (spec === undefined) throw new Error("The benchmark's configuration has no release.");
  const attributes = new AttributeTable(config.attributes, { attributeError: fail, patternSkipped: fail }, noLookups);
  const context = {
    caller,
    service: { name: "shop", defaultVersion: { name: "stable" } },
    nowMs,
    random: batchedRandom(),
    rejected: fail,
  };
  const identify = (head: RequestHead) => new RequestFacts(attributes, head, caller, config.trustedProxies, nowMs);
  let release = new Release(spec);
  const decide = (head: RequestHead, facts: RequestFacts) => decideRequest(release, head, facts, context);

  const newcomers = Array.from({ length: userCount }, (_, user) => requestHead(user, target, undefined));
  const heads =
    pin === "none" ? newcomers : newcomers.map((head, user) => withPin(user, release, decide(head, identify(head))));
  const requests = heads.map((head) => ({ head, facts: identify(head) }));
  const decisions = requests.map(({ head, facts }) => decide(head, facts));
  checkDecisions(decisions, rules > 0 && lastRule === "matches", pin);

  // A new release has verified no pin yet.
  const prepare = () => {
    if (pin === "unknown") release = new Release(spec);
  };
  const countCanaries = (factsOf: (request: (typeof requests)[number]) => RequestFacts) => () => {
    let canaries = 0;
    for (const request of requests) if (decide(request.head, factsOf(request)).version === "canary") canaries++;
    return canaries;
  };
  const timed = (batch: () => number) => time({ operations: requests.length, prepare, batch }, budget);
  return {
    rules,
    lastRule,
    pin,
    decide: timed(countCanaries(({ facts }) => facts)),
    identifyAndDecide: timed(countCanaries(({ head }) => identify(head))),
  };
}

function withPin(user: number, release: Release, decision: Decision): RequestHead {
  if (decision.pin === undefined) throw new Error("A newcomer got no pin.");
  const setCookie = release.setCookie(decision.pin, true);
  return requestHead(user, target, setCookie.slice(0, setCookie.indexOf(";")));
}

/** Checks that the timed decisions are correct. */
function checkDecisions(decisions: readonly Decision[], byRule: boolean, pin: PinState): void {
  const reason = byRule ? "rule" : "split";
  const canaries = decisions.filter(({ version }) => version === "canary").length;
  const shareHolds = byRule ? canaries === userCount : canaries > userCount * 0.085 && canaries < userCount * 0.115;
  const pinHolds = decisions.every((decision) => (decision.pin === undefined) === (pin !== "none"));
  if (shareHolds && pinHolds && decisions.every((decision) => decision.reason === reason)) return;
  throw new Error(`Decisions are wrong: ${canaries} canaries, first ${JSON.stringify(decisions[0])}`);
}

function fail(): never {
  throw new Error("A pin or an attribute of the benchmark was refused.");
}
