import { abandon, readAreaBytes, slotBytes } from "./arena.ts";
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
