import type { ResolutionOutcome } from "../observe/dns-stats.ts";
import type { Logger } from "../observe/log.ts";
import { createDnsLookup } from "../upstream/dns-lookup.ts";
import { type DnsClock, type DnsEvents, DnsResolver } from "../upstream/dns-resolver.ts";
import { type DnsAnswer, type DnsQuestion, questionKey } from "../upstream/service-spec.ts";

/** How long a start or a reload waits for what names stand for, before it goes on without. */
export const firstAnswersMs = 2_000;

const clock: DnsClock = {
  nowMs: () => Date.now(),
  randomFraction: Math.random,
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/** The names of endpoints, resolved for this thread. */
export function createDnsResolver(events: DnsEvents): DnsResolver {
  return new DnsResolver(createDnsLookup(), clock, events);
}

export const noopDnsEvents: DnsEvents = Object.freeze({ answered: () => {}, changed: () => {} });

const outcomes: Readonly<Record<DnsAnswer["kind"], ResolutionOutcome>> = {
  found: "success",
  empty: "empty",
  failed: "failure",
};

/** Counts every answer, and tells in the log where a name begins or ends to have good ones, and what it stands for. */
export function loggingDnsEvents(log: Logger, count: (name: string, outcome: ResolutionOutcome) => void): DnsEvents {
  const last = new Map<string, ResolutionOutcome>();
  return {
    answered(question, answer, kept) {
      const outcome = outcomes[answer.kind];
      count(question.name, outcome);
      const key = questionKey(question);
      const before = last.get(key) ?? "success";
      last.set(key, outcome);
      if (outcome !== before) tellOutcome(log, question, answer, kept);
    },
    changed({ name }, records) {
      const addresses = records.map(({ address, port }) => (port === undefined ? address : `${address} ${port}`));
      log.info({ name, addresses }, "the endpoints of a name changed");
    },
  };
}

function tellOutcome(log: Logger, { name }: DnsQuestion, answer: DnsAnswer, kept: number): void {
  if (answer.kind === "found") log.info({ name }, "a name is resolved again");
  else if (answer.kind === "failed") log.warn({ name, why: answer.why, kept }, "a name can not be resolved");
  else log.warn({ name, kept }, "a name stands for nothing, say the name servers");
}
