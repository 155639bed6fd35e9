import { type Decision, type DecisionRequest, prefixTrail, type Trail } from "../decide/decision.ts";
import type { Facts } from "../decide/facts.ts";
import type { PinRejection } from "../decide/pin.ts";
import type { Pin } from "../decide/pin-content.ts";
import type { Release } from "../decide/release.ts";
import { attributeUnit, type RandomSource } from "../decide/unit.ts";
import { cookieValues } from "../http/cookies.ts";
import type { Caller, RequestHead } from "../http/request-head.ts";
import type { RequestFacts } from "../identify/request-facts.ts";
import type { Affinity } from "../upstream/balancers.ts";
import { receivedVersion } from "./propagation.ts";

/** The inputs of a decision besides the request. */
export interface DecisionContext {
  readonly caller: Caller;
  /** The route's service. */
  readonly service: { readonly name: string; readonly defaultVersion: { readonly name: string } };
  /** Milliseconds since the Unix epoch. */
  readonly nowMs: number;
  readonly random: RandomSource;
  /** Called for each pin that was rejected. */
  rejected(cause: PinRejection): void;
}

interface PinStats {
  pinRejected(cause: PinRejection): void;
}

/** A context for one decision after the other; each must be made before the next is asked for. */
class SharedDecisionContext implements DecisionContext {
  random!: RandomSource;
  caller!: Caller;
  service!: DecisionContext["service"];
  nowMs: number = Number.NaN;
  #stats: PinStats | undefined;

  about(
    caller: Caller,
    service: DecisionContext["service"],
    nowMs: number,
    random: RandomSource,
    stats: PinStats,
  ): DecisionContext {
    this.caller = caller;
    this.service = service;
    this.nowMs = nowMs;
    this.random = random;
    this.#stats = stats;
    return this;
  }

  readonly rejected = (cause: PinRejection): void => this.#stats?.pinRejected(cause);
}

/** The one context of this thread's decisions: valid until `about` is called for the next request. */
export const decisionContext: SharedDecisionContext = new SharedDecisionContext();

/**
 * Reads the pin, the override and the propagated version of a request, and decides. The proxy, explanations and the
 * library all decide here.
 */
export function decideRequest(
  release: Release,
  head: RequestHead,
  facts: Facts,
  context: DecisionContext,
  trail?: Trail,
): Decision {
  const { nowMs } = context;
  request.facts = facts;
  request.pin = readPin(release, head, context);
  request.override = overrideVersion(release, head, facts, nowMs, trail);
  request.propagated = receivedVersion(release.spec, context.service.name, head, context.caller, trail);
  request.defaultVersion = context.service.defaultVersion.name;
  request.nowMs = nowMs;
  request.random = context.random;
  return release.decide(request, trail);
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** One for all decisions: none lasts longer than the call, or begins another. */
const request: Mutable<DecisionRequest> = {
  facts: undefined as unknown as Facts,
  pin: undefined,
  override: undefined,
  propagated: undefined,
  defaultVersion: "",
  nowMs: 0,
  random: { int32: () => 0 },
};

function readPin(release: Release, head: RequestHead, { nowMs, rejected }: DecisionContext): Pin | undefined {
  const { name } = release.spec.sticky.cookie;
  const found = head.cookieBytes?.(name);
  if (found !== undefined) return found.count === 0 ? undefined : release.readPinBytes(found, nowMs, rejected);
  const values = head.cookies === undefined ? [] : cookieValues(head.cookies, name);
  return values.length === 0 ? undefined : release.readPin(values, nowMs, rejected);
}

/** The version that the override header selects, else the first override cookie that is valid for this client. */
function overrideVersion(
  release: Release,
  head: RequestHead,
  facts: Facts,
  nowMs: number,
  trail: Trail | undefined,
): string | undefined {
  const { override } = release.spec;
  if (override === undefined || release.overrides === undefined) return undefined;
  const sent = override.header === undefined ? undefined : head.header(override.header);
  if (typeof sent === "string") {
    const headerTrail = trail && prefixTrail(`header ${override.header}`, trail);
    return release.overrides.resolve(sent, facts.clientAddress, nowMs, headerTrail);
  }
  if (override.cookie === undefined || head.cookies === undefined) return undefined;
  for (const value of cookieValues(head.cookies, override.cookie)) {
    const cookieTrail = trail && prefixTrail(`cookie ${override.cookie}`, trail);
    const version = release.overrides.resolve(value, facts.clientAddress, nowMs, cookieTrail);
    if (version !== undefined) return version;
  }
  return undefined;
}

/**
 * The key of `balance: hash`: the unit that the release decided for, so that a user stays on one endpoint of a version.
 * Without a unit it is the client's address; undefined if that is unknown too.
 */
export function affinityOf(decision: Decision | undefined, { clientAddress }: RequestFacts): Affinity | undefined {
  // Requests with these reasons have a unit only in explanations, which must return the same key.
  const unit = decision?.reason === "override" || decision?.reason === "propagated" ? undefined : decision?.unit;
  return unit ?? (clientAddress && attributeUnit(clientAddress));
}
