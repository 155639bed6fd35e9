const capacity = 16 * 1024;
/** Larger chunks are not copied. */
const smallBytes = 1024;

/**
 * Joins the small chunks of one event loop tick. Streams limit the bytes that wait for a client, not their number, and a
 * chunk of one byte costs hundreds.
 */
export class SmallChunks {
  readonly #send: (chunk: Buffer) => void;
  /** What waits: one chunk as it came, or several, copied. */
  #first: Buffer | undefined;
  #joined: Buffer | undefined;
  #length = 0;

  constructor(send: (chunk: Buffer) => void) {
    this.#send = send;
  }

  /** Sends the chunk, or keeps it to the end of the tick. */
  add(chunk: Buffer): void {
    if (chunk.length > smallBytes || this.#length + chunk.length > capacity) this.flush();
    if (chunk.length > smallBytes) this.#send(chunk);
    else if (this.#first === undefined) {
      this.#first = chunk;
      this.#length = chunk.length;
      process.nextTick(() => this.flush());
    } else {
      this.#joined ??= startedWith(this.#first);
      this.#length += chunk.copy(this.#joined, this.#length);
    }
  }

  /** Sends what waits. */
  flush(): void {
    const first = this.#first;
    if (first === undefined) return;
    const joined = this.#joined?.subarray(0, this.#length);
    this.#first = undefined;
    this.#joined = undefined;
    this.#length = 0;
    this.#send(joined ?? first);
  }
}

function startedWith(first: Buffer): Buffer {
  const bytes = Buffer.allocUnsafeSlow(capacity);
  first.copy(bytes);
  return bytes;
}
