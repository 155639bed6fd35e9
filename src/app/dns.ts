import type { ResolutionOutcome } from "../observe/dns-stats.ts";
import type { Logger } from "../observe/log.ts";
import { scheduleTimeout } from "../upstream/clock.ts";
import { createDnsLookup } from "../upstream/dns-lookup.ts";
import { type DnsEvents, DnsResolver } from "../upstream/dns-resolver.ts";
import { type DnsAnswer, type DnsQuestion, questionKey } from "../upstream/service-spec.ts";

/** How long a start or a reload waits for the first DNS answers before it continues without them. */
export const firstAnswersMs = 2_000;

const timers = { nowMs: () => Date.now(), randomFraction: Math.random, schedule: scheduleTimeout };

/** Resolves the names of endpoints for this thread. */
export function createDnsResolver(events: DnsEvents): DnsResolver {
  return new DnsResolver(createDnsLookup(scheduleTimeout), timers, events);
}

export const noopDnsEvents: DnsEvents = Object.freeze({ answered: () => {}, changed: () => {} });

const outcomes: Readonly<Record<DnsAnswer["kind"], ResolutionOutcome>> = {
  found: "success",
  empty: "empty",
  failed: "failure",
};

/** Counts every answer; logs when the outcome of a name changes, and when its addresses do. */
export function loggingDnsEvents(log: Logger, count: (name: string, outcome: ResolutionOutcome) => void): DnsEvents {
  const last = new Map<string, ResolutionOutcome>();
  return {
    answered(question, answer, kept) {
      const outcome = outcomes[answer.kind];
      count(question.name, outcome);
      const key = questionKey(question);
      const before = last.get(key) ?? "success";
      last.set(key, outcome);
      if (outcome !== before) logOutcome(log, question, answer, kept);
    },
    changed({ name }, records) {
      const addresses = records.map(({ address, port }) => (port === undefined ? address : `${address} ${port}`));
      log.info({ name, addresses }, "DNS addresses changed");
    },
  };
}

function logOutcome(log: Logger, { name }: DnsQuestion, answer: DnsAnswer, kept: number): void {
  if (answer.kind === "found") log.info({ name }, "DNS resolution recovered");
  else if (answer.kind === "failed") log.warn({ name, why: answer.why, kept }, "DNS resolution failed");
  else log.warn({ name, kept }, "DNS name does not exist or has no addresses");
}
