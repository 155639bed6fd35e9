import type { Release } from "../decide/decide.ts";
import type { Decision } from "../decide/decision.ts";
import type { Facts } from "../decide/facts.ts";
import type { PinRejection } from "../decide/pin.ts";
import type { Trail } from "../decide/trail.ts";
import type { RandomSource } from "../decide/unit.ts";
import { cookieValues, findCookie } from "../identify/cookies.ts";
import type { RequestHead } from "../identify/request-head.ts";

/** What deciding needs beside the request itself. */
export interface DecisionContext {
  /** The default version of the route's service. */
  readonly defaultVersion: string;
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
      propagated: undefined,
      defaultVersion: context.defaultVersion,
      nowMs,
      random: context.random,
    },
    trail,
  );
}

/** The version that a tester asks for by header, else by cookie, where this client may. */
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
  const asked = typeof sent === "string" ? sent : overrideCookie(override.cookie, head.cookies);
  return asked === undefined ? undefined : release.overrides.resolve(asked, facts.clientAddress, nowMs, trail);
}

function overrideCookie(name: string | undefined, cookies: string | undefined): string | undefined {
  return name === undefined || cookies === undefined ? undefined : findCookie(cookies, name);
}
