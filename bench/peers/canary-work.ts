/**
 * The canary work of both Node peers, so that only their forwarding differs. A careful user's own implementation:
 *
 *  - finds its cookie among the others and verifies its HMAC-SHA256 in constant time,
 *  - one rule: users of two regions registered after a date go to canary,
 *  - everyone else is split 90/10 by a hash of the id in the cookie,
 *  - makes an id and signs a cookie for users without one,
 *  - adds the serving version as a response header, as Perch with `exposeVersion`,
 *  - counts requests and observes durations per version with prom-client, its label lookups done beforehand.
 *
 * Perch also does, and this does not: rules in the pin, epochs, expiry and reissue, several secrets, several releases,
 * removal of the pin upstream, Cache-Control beside Set-Cookie, Via, request ids, Forwarded, trusted proxies, typed
 * attributes, reloads, health, retries, an access log. Unlike Perch, it has no cache of verified cookies.
 */
import { createHmac, createSecretKey, randomUUID, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { Counter, Histogram, Registry } from "prom-client";
import { endWithParent, tellParent } from "../parent.ts";

export type Version = "stable" | "canary";

export interface Assignment {
  readonly version: Version;
  readonly setCookie: string | undefined;
}

/** The message of a proxy process once it accepts requests. */
export interface ProxyListening {
  readonly port: number;
  readonly metricsPort: number;
}

interface Headers {
  readonly cookie?: string | undefined;
  readonly [name: string]: string | readonly string[] | undefined;
}

const cookiePrefix = "canary=";
const canaryRegions = new Set(["cn-east", "cn-south"]);
const registeredAfterMs = Date.parse("2026-01-01");
const canaryPercent = 10;
const key = createSecretKey(Buffer.from(required("BENCH_SECRET")));

/** The origins of the two versions. */
export const origins: Readonly<Record<Version, URL>> = {
  stable: new URL(`http://127.0.0.1:${required("BENCH_STABLE_PORT")}`),
  canary: new URL(`http://127.0.0.1:${required("BENCH_CANARY_PORT")}`),
};

export function assign(headers: Headers): Assignment {
  const known = verifiedId(headers.cookie);
  const id = known ?? randomUUID();
  const version: Version = ruleMatches(headers) || bucket(id) < canaryPercent ? "canary" : "stable";
  const setCookie =
    known === undefined
      ? `${cookiePrefix}${id}.${sign(id)}; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax`
      : undefined;
  return { version, setCookie };
}

function verifiedId(cookies: string | undefined): string | undefined {
  if (cookies === undefined) return undefined;
  for (const cookie of cookies.split("; ")) {
    if (!cookie.startsWith(cookiePrefix)) continue;
    const dot = cookie.lastIndexOf(".");
    if (dot < cookiePrefix.length) continue;
    const id = cookie.slice(cookiePrefix.length, dot);
    const given = Buffer.from(cookie.slice(dot + 1));
    const wanted = Buffer.from(sign(id));
    if (given.length === wanted.length && timingSafeEqual(given, wanted)) return id;
  }
  return undefined;
}

function sign(id: string): string {
  return createHmac("sha256", key).update(id).digest("base64url");
}

function ruleMatches(headers: Headers): boolean {
  const region = headers["x-user-region"];
  if (typeof region !== "string" || !canaryRegions.has(region)) return false;
  const registeredAt = headers["x-user-registered-at"];
  return typeof registeredAt === "string" && Date.parse(registeredAt) > registeredAfterMs;
}

/** FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv), reduced to a percentage. */
function bucket(id: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % 100;
}

const registry = new Registry();
const requests = new Counter({
  name: "proxy_requests_total",
  help: "Requests answered, by version.",
  labelNames: ["version"],
  registers: [registry],
});
const durations = new Histogram({
  name: "proxy_request_duration_seconds",
  help: "Time from the request to the end of its answer, by version.",
  labelNames: ["version"],
  buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  registers: [registry],
});
const cells = {
  stable: { requests: requests.labels("stable"), durations: durations.labels("stable") },
  canary: { requests: requests.labels("canary"), durations: durations.labels("canary") },
};

export function count(version: Version, seconds: number): void {
  cells[version].requests.inc();
  cells[version].durations.observe(seconds);
}

/** Opens the metrics port and sends the benchmark the address of this proxy. */
export function announce(port: number): void {
  endWithParent();
  const metrics = createServer((_request, response) => {
    registry.metrics().then((text) => response.end(text));
  });
  metrics.listen(0, "127.0.0.1", () =>
    tellParent({ port, metricsPort: portOf(metrics.address()) } satisfies ProxyListening),
  );
}

export function portOf(address: string | { readonly port: number } | null): number {
  if (address === null || typeof address === "string") throw new Error("This server has no port.");
  return address.port;
}

function required(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set; this program is started by the benchmark.`);
  return value;
}
