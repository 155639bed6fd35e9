import { abandon, readArea, readAreaBytes, slotBytes } from "./arena.ts";
import type { Lease } from "./outbox.ts";

/** A read, behind what a slot holds, fits. */
const bufferBytes = readAreaBytes + slotBytes;
/** Maximum unused buffers kept. */
const maxFree = 32;

/** A buffer of its own for one purpose: a message whose body streams reads into it, or a large write refers to it. */
export class LargeBuffer implements Lease {
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(bufferBytes);

  /** Only if no pending write refers to it and no socket will read into it. */
  release(): void {
    abandon(this.bytes, 0, bufferBytes);
    if (free.length < maxFree) free.push(this);
  }
}

const free: LargeBuffer[] = [];

export function takeLargeBuffer(): LargeBuffer {
  return free.pop() ?? new LargeBuffer();
}

/**
 * The buffer that one socket reads into. Node keeps reading into the last buffer it was given until it asks for the
 * next one, right after a read: only then may the old buffer be reused.
 */
export class ReadTarget {
  /** Undefined: the reading area. */
  #own: LargeBuffer | undefined;
  #wanted: "shared" | "own" = "shared";
  /** Whether the own buffer may be reused by another socket after the switch to the reading area. */
  #reusable = false;
  #reading = false;
  /** The buffer given to Node last. */
  #given: Buffer | undefined;

  /** A read is being parsed; Node asks for the next buffer afterwards. */
  readBegun(): void {
    this.#reading = true;
  }

  /** From the next read on, reads into a buffer that no other socket uses. */
  useOwn(): void {
    this.#wanted = "own";
  }

  /** Back to the reading area. `written`: whether a pending write may still refer to the own buffer. */
  useShared(written: "flushed" | "pending"): void {
    this.#wanted = "shared";
    this.#reusable = written === "flushed" && this.#reading;
  }

  /**
   * Called first and after each read. An unchanged buffer is not returned again, which saves Node an inspection of the
   * buffer.
   */
  readonly next = (): Buffer | undefined => {
    this.#reading = false;
    if (this.#wanted === "own") this.#own ??= takeLargeBuffer();
    else if (this.#own !== undefined) {
      if (this.#reusable) this.#own.release();
      this.#own = undefined;
    }
    const buffer = this.#own?.bytes ?? readArea;
    if (buffer === this.#given) return undefined;
    this.#given = buffer;
    return buffer;
  };
}
