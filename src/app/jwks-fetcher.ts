import { Agent, request } from "undici";
import { readKeySet } from "../identify/jwt-keys.ts";
import type { KeyFetching, PublishedKeySet } from "../identify/published-keys.ts";
import type { Logger } from "../observe/log.ts";
import type { JwksStats } from "../observe/stats-registry.ts";

/** Calls back once, after so many milliseconds, unless it is cancelled. */
export type Schedule = (ms: number, task: () => void) => { cancel(): void };

export interface JwksFetcherParts {
  readonly stats: JwksStats;
  /** Undefined where another thread tells the same. */
  readonly log: Logger | undefined;
  readonly monotonicMs: () => number;
  /** Default: node's timers, which do not keep the process alive. */
  readonly schedule?: Schedule;
}

/** How long keys are kept where their publisher does not say, and the bounds on what it says. */
const lifetimeMs = { usual: 300_000, least: 60_000, most: 3_600_000 };
/** After a failure, doubling to the second. */
const retryMs = { first: 1_000, most: 60_000 };
/** Between two fetches that unknown keys ask for: whoever makes names up costs the publisher no more than this. */
const missPauseMs = 30_000;
const answerWithinMs = 10_000;
const maxAnswerBytes = 512 * 1024;

const nodeTimers: Schedule = (ms, task) => {
  const timer = setTimeout(task, ms).unref();
  return { cancel: () => clearTimeout(timer) };
};

/**
 * Fetches published keys when a configuration first names their address, again when they may be out of date, and when a
 * token names a key that is not among them. No request waits for it. A fetch that fails changes nothing: the keys of the
 * last good one stay.
 */
export class JwksFetcher implements KeyFetching {
  readonly #parts: JwksFetcherParts;
  readonly #agent = new Agent({ connect: { timeout: answerWithinMs }, maxHeaderSize: 32_768 });
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
    const fetched = await this.#ask(keys.url);
    source.running = false;
    // Ended meanwhile: neither the keys nor the news are anybody's.
    if (!this.#sources.has(keys)) return;
    if ("why" in fetched) {
      stats.fetched("failure");
      log?.warn(
        { url: keys.url, why: fetched.why, keys: keys.keys.length },
        "keys can not be fetched; the last ones stay",
      );
      source.next = schedule(retryAfter(source.failures++), () => void this.#fetch(keys, source));
      return;
    }
    stats.fetched("success");
    source.failures = 0;
    if (fetched.text !== source.text) {
      source.text = fetched.text;
      keys.replace(fetched.keys);
      log?.info({ url: keys.url, keys: fetched.keys.length, unused: fetched.unused }, "keys fetched");
    }
    source.next = schedule(fetched.lifetimeMs, () => void this.#fetch(keys, source));
  }

  async #ask(url: string): Promise<Fetched | { readonly why: string }> {
    try {
      // undici follows no redirect unless it is told to.
      const { statusCode, headers, body } = await request(url, {
        dispatcher: this.#agent,
        headers: { accept: "application/jwk-set+json, application/json" },
        signal: AbortSignal.timeout(answerWithinMs),
      });
      if (statusCode !== 200) {
        await body.dump().catch(ignore);
        return { why: statusCode >= 300 && statusCode < 400 ? "it redirects" : `it answers ${statusCode}` };
      }
      const text = await readBody(body);
      if (text === undefined) return { why: "it is too large" };
      const set = readKeySet(text, "refused");
      if ("problem" in set) return { why: set.problem };
      // A publisher that withdraws every key at once is more likely to be broken than to mean it.
      if (set.keys.length === 0) return { why: `it holds no key that counts (${set.unused.join("; ")})` };
      return { ...set, text, lifetimeMs: lifetimeOf(headers["cache-control"]) };
    } catch (error) {
      return { why: whyFailed(error) };
    }
  }
}

interface Source {
  /** Of the last good answer. */
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

/** Undefined where it is too long; then the rest is not read. */
async function readBody(body: AsyncIterable<Buffer>): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > maxAnswerBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function retryAfter(failures: number): number {
  return Math.min(retryMs.first * 2 ** failures, retryMs.most);
}

function lifetimeOf(cacheControl: string | string[] | undefined): number {
  const maxAge = /(?:^|[\s,])max-age="?(\d{1,9})/i.exec([cacheControl ?? ""].flat().join(","))?.[1];
  if (maxAge === undefined) return lifetimeMs.usual;
  return Math.min(Math.max(Number(maxAge) * 1_000, lifetimeMs.least), lifetimeMs.most);
}

function whyFailed(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.name === "TimeoutError" ? "it does not answer in time" : error.message || error.name;
}

function ignore(): void {}
