import { createHash, timingSafeEqual } from "node:crypto";
import { isIPv4 } from "node:net";

/** Who may do what; follows a reload. */
export interface AccessPolicy {
  readonly tokens: readonly Uint8Array[];
  readonly withoutToken: "probes-and-metrics" | "anyone-may-read";
}

/** What is asked of a request before anything else. */
export interface AccessQuestion {
  readonly method: string;
  readonly path: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly remoteAddress: string | undefined;
}

export interface Refusal {
  readonly status: 401 | 403;
  readonly code: "forbidden-host" | "cross-site" | "token-needed" | "wrong-token" | "no-token-configured";
  readonly message: string;
}

/** What the kubelet and Prometheus ask, who have no token. */
const openPaths: ReadonlySet<string> = new Set(["/livez", "/readyz", "/metrics"]);

/** Undefined: granted. `listenHost` is where the server listens. */
export function refusalOf(question: AccessQuestion, policy: AccessPolicy, listenHost: string): Refusal | undefined {
  const { headers, path } = question;
  const isLocal = namesLoopback(single(headers["host"]));
  if (isLoopbackHost(listenHost) && !isLocal) {
    return refusal(403, "forbidden-host", "The Host header must be localhost or a loopback address.");
  }
  if (isCrossSite(question)) return refusal(403, "cross-site", "This server answers no other site's requests.");
  const reads = isReading(question);
  if (reads && openPaths.has(path)) return undefined;
  const sent = single(headers["authorization"]);
  if (sent !== undefined) {
    return holdsToken(sent, policy.tokens) ? undefined : refusal(401, "wrong-token", "The token is not one of ours.");
  }
  if (!reads) return refusalOfChange(policy);
  // A page elsewhere can lead a browser of this machine here by a name of its own; it does not pass for a local caller.
  const mayRead =
    policy.withoutToken === "anyone-may-read" || (isLocal && isLoopbackAddress(question.remoteAddress ?? ""));
  return mayRead
    ? undefined
    : refusal(401, "token-needed", "Beyond this machine this needs a token of admin.tokenFile.");
}

function refusalOfChange({ tokens }: AccessPolicy): Refusal {
  if (tokens.length > 0) return refusal(401, "token-needed", "A change needs a token of admin.tokenFile.");
  return refusal(403, "no-token-configured", "A change needs a token, and admin.tokenFile is not configured.");
}

export function isReading({ method }: Pick<AccessQuestion, "method">): boolean {
  return method === "GET" || method === "HEAD";
}

/**
 * Whether a browser says that another site is behind the request (Fetch Metadata; Origin where it has none). A link that
 * is followed to a page is let through: whoever follows it sees the answer, the other site does not.
 */
function isCrossSite(question: AccessQuestion): boolean {
  const { headers } = question;
  const site = single(headers["sec-fetch-site"]);
  const isVisit = headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "document";
  if (site === "cross-site" || site === "same-site") return !(isVisit && isReading(question));
  const origin = single(headers["origin"]);
  return origin !== undefined && originHost(origin) !== single(headers["host"])?.toLowerCase();
}

function originHost(origin: string): string | undefined {
  return /^https?:\/\/([^/?#@\s]+)$/i.exec(origin)?.[1]?.toLowerCase();
}

/** RFC 6750 §2.1. Compared by digests, each with each token, so that the time tells neither how much is right nor which. */
function holdsToken(authorization: string, tokens: readonly Uint8Array[]): boolean {
  const sent = /^bearer +(\S+) *$/i.exec(authorization)?.[1];
  if (sent === undefined) return false;
  const digest = digestOf(Buffer.from(sent, "latin1"));
  let holds = false;
  for (const token of tokens) if (timingSafeEqual(digestOf(token), digest)) holds = true;
  return holds;
}

function digestOf(token: Uint8Array): Uint8Array {
  return createHash("sha256").update(token).digest();
}

function single(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" ? value : value?.[0];
}

function refusal(status: Refusal["status"], code: Refusal["code"], message: string): Refusal {
  return { status, code, message };
}

/** IPv4 callers of a server that listens on `::` come as IPv6 addresses that hold theirs. */
export const isLoopbackAddress = (address: string): boolean => {
  const host = address.replace(/^::ffff:/i, "");
  return host === "::1" || (isIPv4(host) && host.startsWith("127."));
};

/** Whether a server that listens on this host, an IP address or `localhost`, can be reached from this machine only. */
const isLoopbackHost = (host: string): boolean => host === "localhost" || isLoopbackAddress(host);

/**
 * Whether a Host header names this machine as itself. A page on the web can point its own host name at 127.0.0.1 (DNS
 * rebinding) and then read, in a browser on this machine, whatever listens there; its Host header still tells.
 */
function namesLoopback(hostHeader: string | undefined): boolean {
  const parts = /^(?:\[([0-9a-f:]+)\]|([^:[\]]+))(?::\d{1,5})?$/i.exec(hostHeader ?? "");
  const host = (parts?.[1] ?? parts?.[2] ?? "").toLowerCase().replace(/\.$/, "");
  // RFC 6761 §6.3: everything below localhost is loopback as well.
  return isLoopbackHost(host) || host.endsWith(".localhost");
}
