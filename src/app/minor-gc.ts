import { minorCollection } from "../node-internals.ts";

/** Body bytes between two collections. More frequent collections would cost more than the memory is worth. */
const collectAfterBytes = 16 * 1024 * 1024;

/**
 * Collects the dead buffers of streamed bodies. Each chunk read from a socket is 64 KiB outside V8's heap but only a
 * few words inside, so V8 rarely collects by itself. Measured: a body of 1 GiB raised resident memory by 95 MiB, and by
 * 25 MiB with this. A smaller young generation has the same effect but costs small requests a third more CPU time; a
 * collection of 1 ms every 16 MiB costs them nothing.
 */
export class MinorGc {
  readonly #collect: () => void;
  #bytes = 0;

  /** `collect` frees what died young; default: V8's minor collection. */
  constructor(collect: () => void = minorCollection() ?? (() => {})) {
    this.#collect = collect;
  }

  /** Reports bytes of a body that were streamed. */
  streamed(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < collectAfterBytes) return;
    this.#bytes = 0;
    this.#collect();
  }
}
