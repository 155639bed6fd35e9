import { Resolver } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import type { Schedule } from "./clock.ts";
import type { AddressFamily, DnsAnswer, DnsQuestion, DnsRecord } from "./service-spec.ts";

/** One resolution of a name. */
export interface DnsLookupInput {
  readonly question: DnsQuestion;
  readonly servers: readonly string[];
  readonly signal: AbortSignal;
  /** A family that an earlier lookup still waits for: it is not queried, and is reported as unknown. */
  readonly pending: AddressFamily | undefined;
}

/** What a lookup found. */
export interface DnsFinding {
  readonly answer: DnsAnswer;
  /** The answer with the address family that was late; undefined if `answer` is complete. Never rejects. */
  readonly complete: Promise<DnsAnswer> | undefined;
}

/** Resolves a name. Never rejects. */
export type DnsLookup = (input: DnsLookupInput) => Promise<DnsFinding>;

/** Per name server and try; there are two tries. */
const tryTimeoutMs = 1_000;

/**
 * How long an address family with records waits for the other: the Resolution Delay of RFC 8305 §3. Some name servers
 * never answer for one family, which would cost the other every try.
 */
const resolutionDelayMs = 50;

/**
 * Resolves by node:dns (c-ares), which reports the TTL of each answer, unlike the system resolver. c-ares does not
 * apply the search list of `resolvConf`, so that is done here. Without such a file c-ares finds the system's name
 * servers.
 */
export function createDnsLookup(schedule: Schedule, resolvConf = "/etc/resolv.conf"): DnsLookup {
  return async ({ question, servers, signal, pending }) => {
    // A new resolver per lookup picks up changed name servers, and retries failed ones.
    const resolver = new Resolver({ timeout: tryTimeoutMs, tries: 2 });
    const cancel = () => resolver.cancel();
    const queries = new Queries(resolver, schedule, pending);
    signal.addEventListener("abort", cancel, { once: true });
    // The system's search list does not apply to configured name servers.
    const text = servers.length > 0 ? "" : await readFile(resolvConf, "utf8").catch(() => "");
    const system = parseResolvConf(text);
    const used = servers.length > 0 ? servers : system.servers;
    try {
      if (used.length > 0) resolver.setServers(used);
      return await firstAnswer(queries, question, searchOrder(question.name, system));
    } catch (error) {
      return { answer: { kind: "failed", why: codeOf(error) }, complete: undefined };
    } finally {
      // Until then an abort has queries to cancel, which would keep the process alive.
      void queries.settled().then(() => signal.removeEventListener("abort", cancel));
    }
  };
}

/**
 * The answer for the first name that has records. A failure ends the search, since that name may be the right one. If none
 * has records, those of a late family are waited for: some name servers deny a name that has AAAA records only.
 */
async function firstAnswer(queries: Queries, { wanted }: DnsQuestion, names: readonly string[]): Promise<DnsFinding> {
  const late: Promise<DnsAnswer>[] = [];
  for (const name of names) {
    const { found, complete } =
      wanted === "addresses" ? await queries.addressesOf(name) : await servicesOf(queries, name);
    const answer = answerOf(found);
    const last = complete?.then(answerOf, (error: unknown) => ({ kind: "failed" as const, why: codeOf(error) }));
    if (answer.kind !== "empty") return { answer, complete: last };
    if (last !== undefined) late.push(last);
  }
  const found = (await Promise.all(late)).find(({ kind }) => kind === "found");
  return { answer: found ?? { kind: "empty" }, complete: undefined };
}

function answerOf({ records, ttlSeconds, failures }: Found): DnsAnswer {
  const unknown = Array.from(new Set(failures.flatMap(({ family }) => family ?? [])));
  if (records.length > 0) return { kind: "found", records, ttlMs: ttlSeconds * 1000, unknown };
  const [failure] = failures;
  return failure === undefined ? { kind: "empty" } : { kind: "failed", why: failure.why };
}

interface Found {
  readonly records: readonly DnsRecord[];
  /** False if the name server has denied the name (NXDOMAIN). */
  readonly nameExists: boolean;
  readonly ttlSeconds: number;
  /** Of queries that failed, or have no answer yet. */
  readonly failures: readonly Failure[];
}

interface Failure {
  readonly why: string;
  /** Undefined for SRV records. */
  readonly family: AddressFamily | undefined;
}

/** What is known when it is needed, and everything once a late family has answered. */
interface Staged {
  readonly found: Found;
  readonly complete: Promise<Found> | undefined;
}

/** The queries of one lookup. */
class Queries {
  readonly resolver: Resolver;
  readonly #schedule: Schedule;
  readonly #pending: AddressFamily | undefined;
  readonly #started: Promise<Found>[] = [];

  constructor(resolver: Resolver, schedule: Schedule, pending: AddressFamily | undefined) {
    this.resolver = resolver;
    this.#schedule = schedule;
    this.#pending = pending;
  }

  /** Both address families. One is enough: some name servers fail every query for the other, or never answer it. */
  addressesOf(name: string): Promise<Staged> {
    const four = this.#familyOf(4, () => this.resolver.resolve4(name, { ttl: true }));
    const six = this.#familyOf(6, () => this.resolver.resolve6(name, { ttl: true }));
    const { promise: one, resolve } = Promise.withResolvers<Found>();
    const cancels: (() => void)[] = [];
    const waitForOther = (found: Found, other: AddressFamily) => {
      if (found.records.length === 0) return;
      cancels.push(this.#schedule(resolutionDelayMs, () => resolve(joined([found, unanswered(other)]))));
    };
    this.#started.push(four, six);
    void four.then((found) => {
      // A name that does not exist has no records of any type (RFC 8020). Not concluded from AAAA: some name servers
      // answer NXDOMAIN for it where there is an A record.
      if (found.nameExists) waitForOther(found, 6);
      else cancels.push(this.#schedule(resolutionDelayMs, () => resolve(found)));
    });
    void six.then((found) => waitForOther(found, 4));
    const both = Promise.all([four, six]).then((parts) => {
      for (const cancel of cancels) cancel();
      return joined(parts);
    });
    return Promise.race([
      both.then((found) => ({ found, complete: undefined })),
      one.then((found) => ({ found, complete: both })),
    ]);
  }

  /** Resolves once every query has ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#started);
  }

  async #familyOf(
    family: AddressFamily,
    query: () => Promise<readonly { readonly address: string; readonly ttl: number }[]>,
  ): Promise<Found> {
    if (family === this.#pending) return unanswered(family);
    try {
      const answers = await query();
      const records = answers.map(({ address }) => ({ address, port: undefined }));
      const ttlSeconds = Math.min(unboundedTtl, ...answers.map(({ ttl }) => ttl));
      return { records, nameExists: true, ttlSeconds, failures: [] };
    } catch (error) {
      return noneFor(error, family);
    }
  }
}

/** node:dns does not report the TTL of SRV records; that of their targets' addresses is used instead. */
const unboundedTtl = Number.POSITIVE_INFINITY;

const unanswered = (family: AddressFamily): Found => ({
  records: [],
  nameExists: true,
  ttlSeconds: unboundedTtl,
  failures: [{ why: `no answer yet for IPv${family}`, family }],
});

/** SRV targets to resolve concurrently. */
const maxConcurrentTargets = 16;

/**
 * SRV records of the best priority only: the others are for when none of these responds (RFC 2782), which is unknown
 * here.
 */
async function servicesOf(queries: Queries, name: string): Promise<Staged> {
  try {
    const services = await queries.resolver.resolveSrv(name);
    const best = Math.min(...services.map(({ priority }) => priority));
    // A target of "." means that the service is not available (RFC 2782).
    const preferred = services.filter(({ priority, name: target }) => priority === best && target !== "");
    const staged: Staged[] = [];
    for (let at = 0; at < preferred.length; at += maxConcurrentTargets) {
      const batch = preferred.slice(at, at + maxConcurrentTargets);
      staged.push(...(await Promise.all(batch.map(({ name: target, port }) => serviceAt(queries, target, port)))));
    }
    const isComplete = staged.every(({ complete }) => complete === undefined);
    return {
      found: joined(staged.map(({ found }) => found)),
      complete: isComplete
        ? undefined
        : Promise.all(staged.map(({ found, complete }) => complete ?? found)).then(joined),
    };
  } catch (error) {
    return { found: noneFor(error, undefined), complete: undefined };
  }
}

/** Throws if the target cannot be resolved: an incomplete set would close the connections of its endpoints. */
async function serviceAt(queries: Queries, target: string, port: number): Promise<Staged> {
  const { found, complete } = await queries.addressesOf(target);
  const [failure] = found.failures;
  if (found.records.length === 0 && failure !== undefined) throw new LookupError(failure.why);
  return { found: onPort(found, port), complete: complete?.then((all) => onPort(all, port)) };
}

function onPort(found: Found, port: number): Found {
  return { ...found, records: found.records.map(({ address }) => ({ address, port })) };
}

class LookupError extends Error {
  override readonly name = "LookupError";
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** No such name, or no records of this type. */
const emptyCodes: ReadonlySet<unknown> = new Set(["ENOTFOUND", "ENODATA"]);

function noneFor(error: unknown, family: AddressFamily | undefined): Found {
  const why = codeOf(error);
  const failures = emptyCodes.has(why) ? [] : [{ why, family }];
  return { records: [], nameExists: why !== "ENOTFOUND", ttlSeconds: unboundedTtl, failures };
}

function joined(parts: readonly Found[]): Found {
  return {
    records: parts.flatMap(({ records }) => records),
    nameExists: parts.some(({ nameExists }) => nameExists),
    ttlSeconds: Math.min(unboundedTtl, ...parts.map(({ ttlSeconds }) => ttlSeconds)),
    failures: parts.flatMap(({ failures }) => failures),
  };
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}

export interface ResolvConf {
  readonly servers: readonly string[];
  /** The `search` list. */
  readonly domains: readonly string[];
  /** `options ndots`: a name with at least this many dots is first tried as it is. */
  readonly dots: number;
}

export function parseResolvConf(text: string): ResolvConf {
  const servers: string[] = [];
  let domains: readonly string[] = [];
  let dots = 1;
  for (const line of text.split("\n")) {
    const [word, ...rest] = line.trim().split(/\s+/);
    if (word === "nameserver" && rest[0] !== undefined) servers.push(rest[0]);
    // The last of several lines wins (resolv.conf(5)).
    if (word === "search" || word === "domain") domains = rest.map((domain) => domain.replace(/\.$/, ""));
    if (word !== "options") continue;
    for (const option of rest) if (/^ndots:\d{1,2}$/.test(option)) dots = Number(option.slice("ndots:".length));
  }
  return { servers, domains: domains.filter((domain) => domain !== ""), dots };
}

/**
 * The names to try for a name, in the order of the system resolver. Kubernetes relies on it: `shop` resolves to
 * `shop.<namespace>.svc.cluster.local`.
 */
export function searchOrder(name: string, { domains, dots }: ResolvConf): readonly string[] {
  if (name.endsWith(".")) return [name.slice(0, -1)];
  const extended = domains.map((domain) => `${name}.${domain}`);
  return name.split(".").length - 1 >= dots ? [name, ...extended] : [...extended, name];
}
