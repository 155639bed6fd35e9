import { Agent, request } from "undici";
import { readKeySet } from "../identify/jwt-keys.ts";
import type { KeyFetching, PublishedKeySet } from "../identify/published-keys.ts";
import type { Logger } from "../observe/log.ts";
import type { JwksStats } from "../observe/stats-registry.ts";

/** Runs a task once after `ms` milliseconds. */
export type Schedule = (ms: number, task: () => void) => { cancel(): void };

export interface JwksFetcherParts {
  readonly stats: JwksStats;
  /** Undefined if another thread logs the same. */
  readonly log: Logger | undefined;
  readonly monotonicMs: () => number;
  /** Default: node's timers, which do not keep the process alive. */
  readonly schedule?: Schedule;
}

/** The refresh interval without `max-age`, and the bounds on `max-age`. */
const lifetimeMs = { default: 300_000, min: 60_000, max: 3_600_000 };
/** Doubles with each failure in a row. */
const retryMs = { min: 1_000, max: 60_000 };
/** Minimum time between fetches for unknown key ids, so that clients with made-up ids cannot flood the publisher. */
const missPauseMs = 30_000;
const timeoutMs = 10_000;
const maxResponseBytes = 512 * 1024;

const nodeTimers: Schedule = (ms, task) => {
  const timer = setTimeout(task, ms).unref();
  return { cancel: () => clearTimeout(timer) };
};

/**
 * Fetches published keys (JWKS) when a configuration first names their URL, again when they expire, and when a token
 * has an unknown key id. No request waits for a fetch. After a failed fetch the previous keys stay in use.
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
    if (this.#parts.monotonicMs() - source.startedMs >= missPauseMs) void this.#fetch(keys, source);
  }

  end(keys: PublishedKeySet): void {
    this.#sources.get(keys)?.next?.cancel();
    this.#sources.delete(keys);
  }

  /** Ends every timer and connection. */
  async close(): Promise<void> {
    for (const keys of [...this.#sources.keys()]) this.end(keys);
    await this.#agent.destroy();
  }

  async #fetch(keys: PublishedKeySet, source: Source): Promise<void> {
    const { stats, log, monotonicMs, schedule = nodeTimers } = this.#parts;
    source.next?.cancel();
    source.running = true;
    source.startedMs = monotonicMs();
    const fetched = await this.#request(keys.url);
    source.running = false;
    // The source was removed during the fetch.
    if (!this.#sources.has(keys)) return;
    if ("why" in fetched) {
      stats.fetched("failure");
      log?.warn(
        { url: keys.url, why: fetched.why, keys: keys.keys.length },
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

  async #request(url: string): Promise<Fetched | { readonly why: string }> {
    try {
      // undici does not follow redirects by default.
      const { statusCode, headers, body } = await request(url, {
        dispatcher: this.#agent,
        headers: { accept: "application/jwk-set+json, application/json" },
        signal: AbortSignal.timeout(timeoutMs),
      });
      if (statusCode !== 200) {
        await body.dump().catch(ignore);
        return { why: statusCode >= 300 && statusCode < 400 ? "redirects are not followed" : `status ${statusCode}` };
      }
      const text = await readBody(body);
      if (text === undefined) return { why: "response too large" };
      const set = readKeySet(text, "refused");
      if ("problem" in set) return { why: set.problem };
      // A publisher that withdraws every key at once is more likely to be broken.
      if (set.keys.length === 0) return { why: `no usable keys (${set.unused.join("; ")})` };
      return { ...set, text, lifetimeMs: lifetimeOf(headers["cache-control"]) };
    } catch (error) {
      return { why: whyFailed(error) };
    }
  }
}

interface Source {
  /** The body of the last successful fetch. */
  text: string;
  failures: number;
  startedMs: number;
  running: boolean;
  next: { cancel(): void } | undefined;
}

interface Fetched extends Extract<ReturnType<typeof readKeySet>, { readonly keys: unknown }> {
  readonly text: string;
  readonly lifetimeMs: number;
}

/** Undefined if the body is too long; the rest is then not read. */
async function readBody(body: AsyncIterable<Buffer>): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > maxResponseBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function retryAfter(failures: number): number {
  return Math.min(retryMs.min * 2 ** failures, retryMs.max);
}

function lifetimeOf(cacheControl: string | string[] | undefined): number {
  const maxAge = /(?:^|[\s,])max-age="?(\d{1,9})/i.exec([cacheControl ?? ""].flat().join(","))?.[1];
  if (maxAge === undefined) return lifetimeMs.default;
  return Math.min(Math.max(Number(maxAge) * 1_000, lifetimeMs.min), lifetimeMs.max);
}

function whyFailed(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.name === "TimeoutError" ? "timeout" : error.message || error.name;
}

function ignore(): void {}
