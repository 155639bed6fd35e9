/** More than this is not read from the client. */
const maxBytes = 64 * 1024;

/** Bytes of pipelined requests that wait while the request before them is in progress. */
export class PipelinedBytes {
  #waiting: Buffer | undefined;
  /** What was taken and is parsed now. */
  #taken: Buffer | undefined;

  /** Whether reading must pause. */
  get isFull(): boolean {
    return this.#waiting !== undefined && this.#waiting.length >= maxBytes;
  }

  add(bytes: Buffer, from: number, to: number): void {
    const piece = bytes.subarray(from, to);
    // Bytes that waited before are not copied again for each request parsed from them.
    if (bytes === this.#taken) this.#waiting = piece;
    else this.#waiting = this.#waiting === undefined ? Buffer.from(piece) : Buffer.concat([this.#waiting, piece]);
  }

  /**
   * Takes everything that waits and has it parsed, which may add what is left of it again. `parse` must not throw. Returns
   * false if nothing waits.
   */
  take(parse: (bytes: Buffer) => void): boolean {
    const waiting = this.#waiting;
    if (waiting === undefined) return false;
    this.#waiting = undefined;
    this.#taken = waiting;
    parse(waiting);
    this.#taken = undefined;
    return true;
  }

  clear(): void {
    this.#waiting = undefined;
  }
}
