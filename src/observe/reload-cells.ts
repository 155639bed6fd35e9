import type { Cell } from "./cell.ts";

/** How the configuration's loads went. */
export class ReloadCells {
  readonly succeeded: Cell = { value: 0 };
  readonly failed: Cell = { value: 0 };
  /** 1 where the last attempt worked, 0 where the last good configuration had to stay. */
  readonly lastSuccessful: Cell = { value: 0 };
  readonly lastSuccessSeconds: Cell = { value: 0 };

  /** The first load, at start: a success that is no reload. `nowMs` is the wall clock. */
  loaded(nowMs: number): void {
    this.lastSuccessful.value = 1;
    this.lastSuccessSeconds.value = nowMs / 1000;
  }

  /** A changed file became the active configuration. `nowMs` is the wall clock. */
  reloaded(nowMs: number): void {
    this.succeeded.value++;
    this.loaded(nowMs);
  }

  rejected(): void {
    this.failed.value++;
    this.lastSuccessful.value = 0;
  }
}
