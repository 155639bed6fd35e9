/** What one read takes at most: a head and 64 KiB of body come in one, which costs a fifth less than in two. */
const bufferBytes = 128 * 1024;
/** Buffers kept for the next stream. */
const mostFree = 32;

/** What is no buffer leaves node with the one it has; its types know of buffers only. */
const theSame = undefined as unknown as Buffer;

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

/**
 * The buffer that one socket reads into. Node goes on reading into the one that it was given last until it asks for the
 * next, right after a read: only then is the old one nobody's.
 */
export class ReadTarget {
  readonly #buffers: ReadBuffers;
  #current: Buffer;
  #wanted: "shared" | "own" = "shared";
  /** Whether the own buffer may serve another socket once it is left. */
  #reusable = false;
  #reading = false;
  /** What node was told last. */
  #named: Buffer | undefined;

  constructor(buffers: ReadBuffers) {
    this.#buffers = buffers;
    this.#current = buffers.shared;
  }

  /** A read is being understood; node asks for the next buffer when that is done. */
  readBegun(): void {
    this.#reading = true;
  }

  /** From the next read on, octets come in a buffer that no other socket reads into. */
  useOwn(): void {
    this.#wanted = "own";
  }

  /** Back to the buffer of all. `written`: whether a write may still hold on to the own one. */
  useShared(written: "flushed" | "pending"): void {
    this.#wanted = "shared";
    this.#reusable = written === "flushed" && this.#reading;
  }

  /**
   * What node asks for: first, and after each read. Where the buffer stays the same it is not named again, which node
   * takes so, and which spares it a look into the buffer.
   */
  readonly next = (): Buffer => {
    this.#reading = false;
    const { shared } = this.#buffers;
    if (this.#wanted === "own" && this.#current === shared) this.#current = this.#buffers.take();
    else if (this.#wanted === "shared" && this.#current !== shared) {
      if (this.#reusable) this.#buffers.giveBack(this.#current);
      this.#current = shared;
    }
    if (this.#current === this.#named) return theSame;
    this.#named = this.#current;
    return this.#current;
  };
}
