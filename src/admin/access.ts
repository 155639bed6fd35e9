import { createHash, timingSafeEqual } from "node:crypto";
import { isIPv4 } from "node:net";
import { assetsPath } from "./page/page-files.ts";

/** Access rules of the admin server. A reload may change them. */
export interface AccessPolicy {
  readonly tokens: readonly Uint8Array[];
  readonly withoutToken: "probes-and-metrics" | "anyone-may-read";
}

/** The parts of a request that access depends on. */
export interface AccessQuestion {
  readonly method: string;
  /** Of the route, with its parameters' names; of what has no route as it was sent. */
  readonly path: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly remoteAddress: string | undefined;
}

/** `caller` names the token that was sent, undefined without one: see `tokenName`. */
export type AccessDecision = { readonly kind: "granted"; readonly caller: string | undefined } | Refusal;

interface Refusal {
  readonly kind: "refused";
  readonly status: 401 | 403;
  readonly code: "forbidden-host" | "cross-site" | "token-needed" | "wrong-token" | "no-token-configured";
  readonly message: string;
}

/** What the caller is allowed to do, as told to the caller. */
export interface AccessBody {
  /** Null without a token. */
  readonly caller: string | null;
  readonly change: "allowed" | "token-needed" | "no-token-configured";
}

/** Of a caller who may read. */
export function accessBody(caller: string | undefined, { tokens }: AccessPolicy): AccessBody {
  if (caller !== undefined) return { caller, change: "allowed" };
  return { caller: null, change: tokens.length > 0 ? "token-needed" : "no-token-configured" };
}

const granted: AccessDecision = Object.freeze({ kind: "granted", caller: undefined });

/**
 * The kubelet and Prometheus request these without a token. So does a browser for a page, which holds no data: the
 * page's own requests carry the token.
 */
const openPaths: ReadonlySet<string> = new Set(["/livez", "/readyz", "/metrics", "/"]);
const isOpen = (path: string): boolean => openPaths.has(path) || path.startsWith(assetsPath);

export const planPath = "/api/plan";
export const previewPath = "/api/releases/:release/split/preview";
export const explainPath = "/api/explain";
/** What replicas send to the one that leads. */
export const replicaReportsPath = "/api/replicas/reports";
export const replicaChangesPath = "/api/replicas/changes";
/** What is worked out for the caller. */
const planPaths: ReadonlySet<string> = new Set([planPath, previewPath]);

/** `listenHost` is the address that the server listens on. */
export function decideAccess(question: AccessQuestion, policy: AccessPolicy, listenHost: string): AccessDecision {
  const { headers, path } = question;
  const isLocal = namesLoopback(single(headers["host"]));
  if (isLoopbackHost(listenHost) && !isLocal) {
    return refused(403, "forbidden-host", "The Host header must be localhost or a loopback address.");
  }
  if (isCrossSite(question)) return refused(403, "cross-site", "Requests from other sites are not allowed.");
  const reads = isReading(question);
  if (reads && isOpen(path)) return granted;
  const sent = single(headers["authorization"]);
  if (sent !== undefined) {
    const caller = tokenName(sent, policy.tokens);
    return caller === undefined
      ? refused(401, "wrong-token", "The token is not in admin.tokenFile.")
      : { kind: "granted", caller };
  }
  if (changes(question)) return refuseChange(policy);
  // With DNS rebinding a local browser connects from loopback, but sends another Host.
  const isCallerLocal = isLocal && isLoopbackAddress(question.remoteAddress ?? "");
  // Plans are not for everyone: each takes its time, and tells more of the configuration than reading does.
  const mayRead = (!planPaths.has(path) && policy.withoutToken === "anyone-may-read") || isCallerLocal;
  return mayRead ? granted : refused(401, "token-needed", "Remote access needs a token from admin.tokenFile.");
}

function refuseChange({ tokens }: AccessPolicy): Refusal {
  if (tokens.length > 0) return refused(401, "token-needed", "A change needs a token from admin.tokenFile.");
  return refused(403, "no-token-configured", "A change needs a token, and the configuration has no admin.tokenFile.");
}

export function isReading({ method }: Pick<AccessQuestion, "method">): boolean {
  return method === "GET" || method === "HEAD";
}

/** What is asked for with a body, and changes nothing. */
const questionPaths: ReadonlySet<string> = new Set([planPath, explainPath]);

/** Whether the request is to change something. */
export function changes(question: Pick<AccessQuestion, "method" | "path">): boolean {
  return !isReading(question) && !(question.method === "POST" && questionPaths.has(question.path));
}

/**
 * Whether another site made a browser send the request: by Fetch Metadata, or by Origin in browsers without it. Following
 * a link is allowed, since the other site cannot read the response.
 */
function isCrossSite(question: AccessQuestion): boolean {
  const { headers } = question;
  const site = single(headers["sec-fetch-site"]);
  const isNavigation = headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "document";
  if (site === "cross-site" || site === "same-site") return !(isNavigation && isReading(question));
  const origin = single(headers["origin"]);
  return origin !== undefined && originHost(origin) !== single(headers["host"])?.toLowerCase();
}

function originHost(origin: string): string | undefined {
  return /^https?:\/\/([^/?#@\s]+)$/i.exec(origin)?.[1]?.toLowerCase();
}

/**
 * Names a token by the start of its digest, which tells tokens apart in a log and reveals none; undefined if it is not
 * one of these. RFC 6750 §2.1. Compares digests, and all of them: timing must not reveal a token's length or prefix, or
 * which matched.
 */
function tokenName(authorization: string, tokens: readonly Uint8Array[]): string | undefined {
  const sent = /^bearer +(\S+) *$/i.exec(authorization)?.[1];
  if (sent === undefined) return undefined;
  const digest = digestOf(Buffer.from(sent, "latin1"));
  let holds = false;
  for (const token of tokens) if (timingSafeEqual(digestOf(token), digest)) holds = true;
  return holds ? `token ${digest.toString("hex").slice(0, 6)}` : undefined;
}

function digestOf(token: Uint8Array): Buffer {
  return createHash("sha256").update(token).digest();
}

function single(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" ? value : value?.[0];
}

function refused(status: Refusal["status"], code: Refusal["code"], message: string): Refusal {
  return { kind: "refused", status, code, message };
}

/** A server that listens on `::` sees IPv4 clients as IPv4-mapped IPv6 addresses. */
export const isLoopbackAddress = (address: string): boolean => {
  const host = address.replace(/^::ffff:/i, "");
  return host === "::1" || (isIPv4(host) && host.startsWith("127."));
};

/** Whether a server that listens on this host (an IP address or `localhost`) is reachable from this machine only. */
const isLoopbackHost = (host: string): boolean => host === "localhost" || isLoopbackAddress(host);

/**
 * Whether a Host header names loopback. A web page can resolve its own host name to 127.0.0.1 (DNS rebinding), and then
 * read what listens there through a browser on this machine. Its Host header gives it away.
 */
function namesLoopback(hostHeader: string | undefined): boolean {
  const parts = /^(?:\[([0-9a-f:]+)\]|([^:[\]]+))(?::\d{1,5})?$/i.exec(hostHeader ?? "");
  const host = (parts?.[1] ?? parts?.[2] ?? "").toLowerCase().replace(/\.$/, "");
  // RFC 6761 §6.3: subdomains of localhost are loopback, too.
  return isLoopbackHost(host) || host.endsWith(".localhost");
}
