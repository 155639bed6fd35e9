import type { LineDestination } from "../observe/access-log.ts";

/** A message this large is worth sending; smaller ones wait for more lines or for the timer. */
const batchChars = 8 * 1024;
const postAfterMs = 1_000;

/**
 * A worker's access log on its way to the main thread, which alone writes. Written by each worker itself, lines would
 * tear: a pipe takes at most 4096 octets as one piece, less than one long line may have.
 */
export class PostedLines implements LineDestination {
  readonly #post: (lines: string, count: number) => void;
  #pending = "";
  #count = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(post: (lines: string, count: number) => void) {
    this.#post = post;
  }

  write(line: string): void {
    this.#pending += line;
    this.#count++;
    if (this.#pending.length >= batchChars) this.#handOver();
    else this.#timer ??= setTimeout(() => this.#handOver(), postAfterMs);
  }

  /** Resolves once every line so far is on its way; whether it is written the main thread knows. */
  async flush(): Promise<void> {
    this.#handOver();
  }

  async close(): Promise<void> {
    this.#handOver();
  }

  #handOver(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#count > 0) this.#post(this.#pending, this.#count);
    this.#pending = "";
    this.#count = 0;
  }
}
