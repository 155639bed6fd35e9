import { Agent, request } from "undici";
import { type KeySet, readKeySet } from "../identify/jwt-keys.ts";
import type { KeyFetching, PublishedKeySet } from "../identify/published-keys.ts";
import type { Logger } from "../observe/log.ts";
import type { JwksStats } from "../observe/stats-registry.ts";
import { type Schedule, scheduleUnref } from "../upstream/clock.ts";

export interface JwksFetcherParts {
  readonly stats: JwksStats;
  /** Undefined in the main thread when workers serve: they log the same fetches. */
  readonly log: Logger | undefined;
  readonly monotonicMs: () => number;
  /** Default: setTimeout, unreferenced so that it does not keep the process alive. */
  readonly schedule?: Schedule;
}

/** Time between fetches: the response's max-age within min and max, or the default. */
const lifetimeMs = { default: 300_000, min: 60_000, max: 3_600_000 };
/** Exponential backoff after failures. */
const retryMs = { initial: 1_000, max: 60_000 };
/** Minimum time between fetches that tokens with an unknown `kid` cause: clients must not be able to flood the publisher. */
const missIntervalMs = 30_000;
const timeoutMs = 10_000;
const maxBodyBytes = 512 * 1024;

/**
 * Fetches published keys when a configuration first uses their address, when they expire, and when no key fits a token.
 * No request waits for a fetch. After a failure the keys of the last successful fetch stay in use.
 */
export class JwksFetcher implements KeyFetching {
  readonly #parts: JwksFetcherParts;
  readonly #agent = new Agent({ connect: { timeout: timeoutMs }, maxHeaderSize: 32_768 });
  readonly #sources = new Map<PublishedKeySet, Source>();

  constructor(parts: JwksFetcherParts) {
    this.#parts = parts;
  }

  begin(keys: PublishedKeySet): void {
    const source: Source = { text: "", failures: 0, startedMs: 0, running: false, next: undefined };
    this.#sources.set(keys, source);
    void this.#fetch(keys, source);
  }

  missed(keys: PublishedKeySet): void {
    const source = this.#sources.get(keys);
    if (source === undefined || source.running) return;
    if (this.#parts.monotonicMs() - source.startedMs >= missIntervalMs) void this.#fetch(keys, source);
  }

  end(keys: PublishedKeySet): void {
    this.#sources.get(keys)?.next?.();
    this.#sources.delete(keys);
  }

  /** Cancels all timers and closes all connections. */
  async close(): Promise<void> {
    for (const keys of [...this.#sources.keys()]) this.end(keys);
    await this.#agent.destroy();
  }

  async #fetch(keys: PublishedKeySet, source: Source): Promise<void> {
    const { stats, log, monotonicMs, schedule = scheduleUnref } = this.#parts;
    source.next?.();
    source.running = true;
    source.startedMs = monotonicMs();
    const fetched = await this.#request(keys.url);
    source.running = false;
    // `end` was called during the fetch.
    if (!this.#sources.has(keys)) return;
    if ("problem" in fetched) {
      stats.fetched("failure");
      log?.warn(
        { url: keys.url, why: fetched.problem, keys: keys.keys.length },
        "JWKS fetch failed; the previous keys stay in use",
      );
      source.next = schedule(retryAfter(source.failures++), () => void this.#fetch(keys, source));
      return;
    }
    stats.fetched("success");
    source.failures = 0;
    if (fetched.text !== source.text) {
      source.text = fetched.text;
      keys.replace(fetched.keys);
      log?.info({ url: keys.url, keys: fetched.keys.length, unused: fetched.unused }, "JWKS fetched");
    }
    source.next = schedule(fetched.lifetimeMs, () => void this.#fetch(keys, source));
  }

  async #request(url: string): Promise<Fetched | Problem> {
    try {
      // undici does not follow redirects by default. Following one could lead from https to http.
      const { statusCode, headers, body } = await request(url, {
        dispatcher: this.#agent,
        headers: { accept: "application/jwk-set+json, application/json" },
        signal: AbortSignal.timeout(timeoutMs),
      });
      if (statusCode !== 200) {
        await body.dump().catch(ignore);
        const redirects = statusCode >= 300 && statusCode < 400;
        return {
          problem: redirects ? `it redirects (status ${statusCode}); use the final URL` : `status ${statusCode}`,
        };
      }
      const text = await readBody(body);
      if (typeof text === "object") return text;
      const set = readKeySet(text, "refused");
      if ("problem" in set) return set;
      // An empty set is more likely a publisher's fault than a withdrawal of all keys.
      if (set.keys.length === 0) return { problem: `it has no usable key (${set.unused.join("; ")})` };
      return { ...set, text, lifetimeMs: lifetimeOf(headers["cache-control"]) };
    } catch (error) {
      return { problem: problemOf(error) };
    }
  }
}

interface Problem {
  readonly problem: string;
}

interface Source {
  /** The body of the last successful response. */
  text: string;
  failures: number;
  startedMs: number;
  running: boolean;
  next: (() => void) | undefined;
}

interface Fetched extends KeySet {
  readonly text: string;
  readonly lifetimeMs: number;
}

/** Stops reading when the limit is exceeded. */
async function readBody(body: AsyncIterable<Buffer>): Promise<string | Problem> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > maxBodyBytes) return { problem: `its body is larger than ${maxBodyBytes} bytes` };
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function retryAfter(failures: number): number {
  return Math.min(retryMs.initial * 2 ** failures, retryMs.max);
}

function lifetimeOf(cacheControl: string | string[] | undefined): number {
  const maxAge = /(?:^|[\s,])max-age="?(\d{1,9})/i.exec([cacheControl ?? ""].flat().join(","))?.[1];
  if (maxAge === undefined) return lifetimeMs.default;
  return Math.min(Math.max(Number(maxAge) * 1_000, lifetimeMs.min), lifetimeMs.max);
}

function problemOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.name === "TimeoutError" ? `no response within ${timeoutMs} ms` : error.message || error.name;
}

function ignore(): void {}
