import { Resolver } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import type { AddressFamily, DnsAnswer, DnsQuestion, DnsRecord } from "./service-spec.ts";

/** Resolves a name. Never rejects. */
export type DnsLookup = (question: DnsQuestion, servers: readonly string[], signal: AbortSignal) => Promise<DnsAnswer>;

/** Per name server and try; there are two tries. */
const tryTimeoutMs = 1_000;

/**
 * Resolves by node:dns (c-ares), which reports the TTL of each answer, unlike the system resolver. c-ares does not
 * apply the search list of `resolvConf`, so that is done here. Without such a file c-ares finds the system's name
 * servers.
 */
export function createDnsLookup(resolvConf = "/etc/resolv.conf"): DnsLookup {
  return async (question, servers, signal) => {
    // A new resolver per lookup picks up changed name servers, and retries failed ones.
    const resolver = new Resolver({ timeout: tryTimeoutMs, tries: 2 });
    const cancel = () => resolver.cancel();
    signal.addEventListener("abort", cancel, { once: true });
    try {
      // The system's search list does not apply to configured name servers.
      const text = servers.length > 0 ? "" : await readFile(resolvConf, "utf8").catch(() => "");
      const system = parseResolvConf(text);
      const used = servers.length > 0 ? servers : system.servers;
      if (used.length > 0) resolver.setServers(used);
      return await firstAnswer(resolver, question, searchOrder(question.name, system));
    } catch (error) {
      return { kind: "failed", why: codeOf(error) };
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  };
}

/** The answer for the first name that has records. A failure ends the search, since that name may be the right one. */
async function firstAnswer(resolver: Resolver, { wanted }: DnsQuestion, names: readonly string[]): Promise<DnsAnswer> {
  for (const name of names) {
    const { records, ttlSeconds, failure } =
      wanted === "addresses" ? await addressesOf(resolver, name) : await servicesOf(resolver, name);
    if (records.length > 0) return { kind: "found", records, ttlMs: ttlSeconds * 1000, unknown: failure?.family };
    if (failure !== undefined) return { kind: "failed", why: failure.why };
  }
  return { kind: "empty" };
}

interface Found {
  readonly records: readonly DnsRecord[];
  readonly ttlSeconds: number;
  /** Set if one of the queries failed. */
  readonly failure: { readonly why: string; readonly family: AddressFamily | undefined } | undefined;
}

/** Both address families. One is enough: some name servers fail every query for the other. */
async function addressesOf(resolver: Resolver, name: string): Promise<Found> {
  return joined(
    await Promise.all([
      familyOf(4, () => resolver.resolve4(name, { ttl: true })),
      familyOf(6, () => resolver.resolve6(name, { ttl: true })),
    ]),
  );
}

/** node:dns does not report the TTL of SRV records; that of their targets' addresses is used instead. */
const unboundedTtl = Number.POSITIVE_INFINITY;

async function familyOf(
  family: AddressFamily,
  query: () => Promise<readonly { readonly address: string; readonly ttl: number }[]>,
): Promise<Found> {
  try {
    const answers = await query();
    const records = answers.map(({ address }) => ({ address, port: undefined }));
    return { records, ttlSeconds: Math.min(unboundedTtl, ...answers.map(({ ttl }) => ttl)), failure: undefined };
  } catch (error) {
    return noneFor(error, family);
  }
}

/** SRV targets to resolve concurrently. */
const maxConcurrentTargets = 16;

/**
 * SRV records of the best priority only: the others are for when none of these responds (RFC 2782), which is unknown
 * here.
 */
async function servicesOf(resolver: Resolver, name: string): Promise<Found> {
  try {
    const services = await resolver.resolveSrv(name);
    const best = Math.min(...services.map(({ priority }) => priority));
    // A target of "." means that the service is not available (RFC 2782).
    const preferred = services.filter(({ priority, name: target }) => priority === best && target !== "");
    const found: Found[] = [];
    for (let at = 0; at < preferred.length; at += maxConcurrentTargets) {
      const batch = preferred.slice(at, at + maxConcurrentTargets);
      found.push(...(await Promise.all(batch.map(({ name: target, port }) => serviceAt(resolver, target, port)))));
    }
    return joined(found);
  } catch (error) {
    return noneFor(error, undefined);
  }
}

/** Throws if the target cannot be resolved: an incomplete set would close the connections of its endpoints. */
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

/** No such name, or no records of this type. */
const emptyCodes: ReadonlySet<unknown> = new Set(["ENOTFOUND", "ENODATA"]);

function noneFor(error: unknown, family: AddressFamily | undefined): Found {
  const why = codeOf(error);
  return { records: [], ttlSeconds: unboundedTtl, failure: emptyCodes.has(why) ? undefined : { why, family } };
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
