import { Resolver } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import type { AddressFamily, DnsAnswer, DnsQuestion, DnsRecord } from "./service-spec.ts";

/** For each name server and try; there are two tries. */
const tryTimeoutMs = 1_000;

/** SRV records lead to names that are asked for in turn, so many at once. */
const targetsAtOnce = 16;

/** The name servers said no: there is no such name, or nothing of that kind. */
const empty: ReadonlySet<unknown> = new Set(["ENOTFOUND", "ENODATA"]);

/** Node tells no time to live of SRV records; that of their targets' addresses counts instead. */
const unboundedTtl = Number.POSITIVE_INFINITY;

interface Found {
  readonly records: readonly DnsRecord[];
  readonly ttlSeconds: number;
  /** Where one of the questions failed: why, and which. */
  readonly failure: { readonly why: string; readonly family: AddressFamily | undefined } | undefined;
}

/** Asks the name servers what a name stands for. Never rejects. */
export type DnsLookup = (question: DnsQuestion, servers: readonly string[], signal: AbortSignal) => Promise<DnsAnswer>;

/**
 * Asks by node:dns (c-ares), which knows each answer's time to live; the system's resolver, which `http://name` uses, does
 * not tell. c-ares takes names as they stand, so the search list of `resolvConf` is followed here; where there is no such
 * file, c-ares finds the system's name servers.
 */
export function createDnsLookup(resolvConf = "/etc/resolv.conf"): DnsLookup {
  return async (question, servers, signal) => {
    // A new one each time: name servers that were changed meanwhile are seen, and one that failed is asked again.
    const resolver = new Resolver({ timeout: tryTimeoutMs, tries: 2 });
    const cancel = () => resolver.cancel();
    signal.addEventListener("abort", cancel, { once: true });
    try {
      // Name servers of one's own have nothing to do with the system's search list.
      const text = servers.length > 0 ? "" : await readFile(resolvConf, "utf8").catch(() => "");
      const system = parseResolvConf(text);
      const asked = servers.length > 0 ? servers : system.servers;
      if (asked.length > 0) resolver.setServers(asked);
      return await firstAnswer(resolver, question, searchOrder(question.name, system));
    } catch (error) {
      return { kind: "failed", why: codeOf(error) };
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  };
}

/** The answer for the first of the names that means anything. A name server that fails ends the search: it may mean this. */
async function firstAnswer(resolver: Resolver, { wanted }: DnsQuestion, names: readonly string[]): Promise<DnsAnswer> {
  for (const name of names) {
    const { records, ttlSeconds, failure } =
      wanted === "addresses" ? await addressesOf(resolver, name) : await servicesOf(resolver, name);
    if (records.length > 0) return { kind: "found", records, ttlMs: ttlSeconds * 1000, unknown: failure?.family };
    if (failure !== undefined) return { kind: "failed", why: failure.why };
  }
  return { kind: "empty" };
}

/** Of both families; one of them is enough, for there are name servers that fail for the other whatever is asked. */
async function addressesOf(resolver: Resolver, name: string): Promise<Found> {
  return joined(
    await Promise.all([
      familyOf(4, () => resolver.resolve4(name, { ttl: true })),
      familyOf(6, () => resolver.resolve6(name, { ttl: true })),
    ]),
  );
}

async function familyOf(
  family: AddressFamily,
  ask: () => Promise<readonly { readonly address: string; readonly ttl: number }[]>,
): Promise<Found> {
  try {
    const answers = await ask();
    const records = answers.map(({ address }) => ({ address, port: undefined }));
    return { records, ttlSeconds: Math.min(unboundedTtl, ...answers.map(({ ttl }) => ttl)), failure: undefined };
  } catch (error) {
    return noneFor(error, family);
  }
}

/** Of the best priority: the others are for when none of these answers, which nothing here knows (RFC 2782). */
async function servicesOf(resolver: Resolver, name: string): Promise<Found> {
  try {
    const services = await resolver.resolveSrv(name);
    const best = Math.min(...services.map(({ priority }) => priority));
    // A target of "." says that there is decidedly no such service.
    const preferred = services.filter(({ priority, name: target }) => priority === best && target !== "");
    const found: Found[] = [];
    for (let at = 0; at < preferred.length; at += targetsAtOnce) {
      const batch = preferred.slice(at, at + targetsAtOnce);
      found.push(...(await Promise.all(batch.map(({ name: target, port }) => serviceAt(resolver, target, port)))));
    }
    return joined(found);
  } catch (error) {
    return noneFor(error, undefined);
  }
}

/** Throws where it can not be known: a set without it would end its connections. */
async function serviceAt(resolver: Resolver, target: string, port: number): Promise<Found> {
  const { records, failure, ttlSeconds } = await addressesOf(resolver, target);
  if (records.length === 0 && failure !== undefined) throw new LookupError(failure.why);
  return { records: records.map(({ address }) => ({ address, port })), ttlSeconds, failure };
}

class LookupError extends Error {
  override readonly name = "LookupError";
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

function noneFor(error: unknown, family: AddressFamily | undefined): Found {
  const why = codeOf(error);
  return { records: [], ttlSeconds: unboundedTtl, failure: empty.has(why) ? undefined : { why, family } };
}

function joined(parts: readonly Found[]): Found {
  return {
    records: parts.flatMap(({ records }) => records),
    ttlSeconds: Math.min(unboundedTtl, ...parts.map(({ ttlSeconds }) => ttlSeconds)),
    failure: parts.find(({ failure }) => failure !== undefined)?.failure,
  };
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}

/** What a resolv.conf says: whom to ask, and what names that are not whole may mean. */
export interface ResolvConf {
  readonly servers: readonly string[];
  /** The list of `search`. */
  readonly domains: readonly string[];
  /** `options ndots`: a name with so many is first asked for as it stands. */
  readonly dots: number;
}

export function parseResolvConf(text: string): ResolvConf {
  const servers: string[] = [];
  let domains: readonly string[] = [];
  let dots = 1;
  for (const line of text.split("\n")) {
    const [word, ...rest] = line.trim().split(/\s+/);
    if (word === "nameserver" && rest[0] !== undefined) servers.push(rest[0]);
    // Of several such lines the last counts (resolv.conf(5)).
    if (word === "search" || word === "domain") domains = rest.map((domain) => domain.replace(/\.$/, ""));
    if (word !== "options") continue;
    for (const option of rest) if (/^ndots:\d{1,2}$/.test(option)) dots = Number(option.slice("ndots:".length));
  }
  return { servers, domains: domains.filter((domain) => domain !== ""), dots };
}

/**
 * The names that a name may mean, in the order in which they are to be asked for, as the system's own resolver would:
 * Kubernetes relies on it, where `shop` means `shop.<namespace>.svc.cluster.local`.
 */
export function searchOrder(name: string, { domains, dots }: ResolvConf): readonly string[] {
  if (name.endsWith(".")) return [name.slice(0, -1)];
  const extended = domains.map((domain) => `${name}.${domain}`);
  return name.split(".").length - 1 >= dots ? [name, ...extended] : [...extended, name];
}
