/** What one read takes at most. A read that fills it is followed by another. */
const bufferBytes = 64 * 1024;
/** Buffers kept for the next stream. */
const mostFree = 32;

/**
 * Where sockets read into. All share one buffer, for what is read is understood before the next read begins; a message
 * whose body streams gets one of its own, which a write that the kernel can not take at once may hold on to.
 */
export class ReadBuffers {
  readonly shared: Buffer = Buffer.allocUnsafeSlow(bufferBytes);
  readonly #free: Buffer[] = [];

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(bufferBytes);
  }

  /** Only where no write holds on to it, and no socket will read into it. */
  giveBack(buffer: Buffer): void {
    if (this.#free.length < mostFree) this.#free.push(buffer);
  }
}
