import { type Decision, prefixTrail, type Trail } from "../decide/decision.ts";
import type { Facts } from "../decide/facts.ts";
import type { PinRejection } from "../decide/pin.ts";
import type { Release } from "../decide/release.ts";
import { attributeUnit, type RandomSource } from "../decide/unit.ts";
import { cookieValues } from "../http/cookies.ts";
import type { Caller, RequestHead } from "../http/request-head.ts";
import type { RequestFacts } from "../identify/request-facts.ts";
import type { Affinity } from "../upstream/balancers.ts";
import { receivedVersion } from "./propagation.ts";

/** What deciding needs beside the request itself. */
export interface DecisionContext {
  readonly caller: Caller;
  /** The route's service. */
  readonly service: { readonly name: string; readonly defaultVersion: { readonly name: string } };
  /** Milliseconds since the Unix epoch. */
  readonly nowMs: number;
  readonly random: RandomSource;
  /** Hears of each pin that did not count. */
  rejected(cause: PinRejection): void;
}

/**
 * Reads what a request says to a release (its pin, a tester's wish) and decides. Requests, explanations and the library
 * all decide here.
 */
export function decideRequest(
  release: Release,
  head: RequestHead,
  facts: Facts,
  context: DecisionContext,
  trail?: Trail,
): Decision {
  const { nowMs } = context;
  const pins = head.cookies === undefined ? [] : cookieValues(head.cookies, release.spec.sticky.cookie.name);
  return release.decide(
    {
      facts,
      pin: pins.length === 0 ? undefined : release.readPin(pins, nowMs, context.rejected),
      override: askedFor(release, head, facts, nowMs, trail),
      propagated: receivedVersion(release.spec, context.service.name, head, context.caller, trail),
      defaultVersion: context.service.defaultVersion.name,
      nowMs,
      random: context.random,
    },
    trail,
  );
}

/** The version that a tester asks for by header, else by the first cookie that counts, where this client may. */
function askedFor(
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
    return release.overrides.resolve(
      sent,
      facts.clientAddress,
      nowMs,
      trail && prefixTrail(`header ${override.header}`, trail),
    );
  }
  if (override.cookie === undefined || head.cookies === undefined) return undefined;
  for (const value of cookieValues(head.cookies, override.cookie)) {
    const told = trail && prefixTrail(`cookie ${override.cookie}`, trail);
    const version = release.overrides.resolve(value, facts.clientAddress, nowMs, told);
    if (version !== undefined) return version;
  }
  return undefined;
}

/**
 * Who asks, for `balance: hash`: the unit that the release decided for, so that one who is kept on a version is kept on an
 * endpoint of it; where there is none, the client's address. Undefined where that is not known either.
 */
export function affinityOf(decision: Decision | undefined, { clientAddress }: RequestFacts): Affinity | undefined {
  // Only an explanation looks for the unit of these.
  const unit = decision?.reason === "override" || decision?.reason === "propagated" ? undefined : decision?.unit;
  return unit ?? (clientAddress && attributeUnit(clientAddress));
}
