/** How often something cheap may happen before it is an attack: so many times at once, and so many a second from then on. */
export class Budget {
  readonly #burst: number;
  readonly #perMs: number;
  readonly #monotonicMs: () => number;
  #left: number;
  #atMs: number;

  constructor(burst: number, perSecond: number, monotonicMs: () => number) {
    this.#burst = burst;
    this.#perMs = perSecond / 1000;
    this.#monotonicMs = monotonicMs;
    this.#left = burst;
    this.#atMs = monotonicMs();
  }

  /** False once it is used up. */
  spend(): boolean {
    const nowMs = this.#monotonicMs();
    this.#left = Math.min(this.#burst, this.#left + (nowMs - this.#atMs) * this.#perMs);
    this.#atMs = nowMs;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
