import type { Release } from "../decide/decide.ts";
import type { Decision } from "../decide/decision.ts";
import type { Facts } from "../decide/facts.ts";
import type { PinRejection } from "../decide/pin.ts";
import type { Trail } from "../decide/trail.ts";
import type { RandomSource } from "../decide/unit.ts";
import type { Caller } from "../identify/caller.ts";
import { cookieValues } from "../identify/cookies.ts";
import type { RequestHead } from "../identify/request-head.ts";
import { receivedVersion } from "./received-version.ts";
import { toldOf } from "./told-of.ts";

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
      trail && toldOf(`header ${override.header}`, trail),
    );
  }
  if (override.cookie === undefined || head.cookies === undefined) return undefined;
  for (const value of cookieValues(head.cookies, override.cookie)) {
    const told = trail && toldOf(`cookie ${override.cookie}`, trail);
    const version = release.overrides.resolve(value, facts.clientAddress, nowMs, told);
    if (version !== undefined) return version;
  }
  return undefined;
}
