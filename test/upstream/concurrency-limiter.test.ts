import { describe, expect, it } from "vitest";
import { ConcurrencyLimiter, type Waiter } from "../../src/upstream/concurrency-limiter.ts";

const unlimited = Number.POSITIVE_INFINITY;
const limits = { maxConnections: unlimited, maxInFlight: 2, maxPending: 3, pendingTimeoutMs: 100 };

/** A limiter with a clock that the test moves, and the calls of its waiters. */
class Scene {
  nowMs = 0;
  room = true;
  timers = 0;
  readonly calls: string[] = [];
  readonly limiter: ConcurrencyLimiter;
  readonly #waiters = new Map<string, Waiter>();
  #timer: { readonly callback: () => void; readonly dueMs: number } | undefined;

  constructor(change: Partial<typeof limits> = {}) {
    const timers = {
      nowMs: () => 0,
      monotonicMs: () => this.nowMs,
      schedule: (ms: number, callback: () => void) => {
        this.#timer = { callback, dueMs: this.nowMs + ms };
        this.timers++;
        return () => {
          this.#timer = undefined;
        };
      },
    };
    this.limiter = new ConcurrencyLimiter(timers, { ...limits, ...change }, () => this.room);
  }

  get isArmed(): boolean {
    return this.#timer !== undefined;
  }

  acquire(...names: string[]): string[] {
    return names.map((name) => {
      const waiter = { admitted: () => this.calls.push(name), expired: () => this.calls.push(`${name} expired`) };
      this.#waiters.set(name, waiter);
      return this.limiter.acquire(waiter);
    });
  }

  cancel(name: string): void {
    const waiter = this.#waiters.get(name);
    if (waiter !== undefined) this.limiter.cancel(waiter);
  }

  advance(ms: number): void {
    this.nowMs += ms;
    const timer = this.#timer;
    if (timer === undefined || timer.dueMs > this.nowMs) return;
    this.#timer = undefined;
    timer.callback();
  }
}

describe("ConcurrencyLimiter", () => {
  it("admits up to maxInFlight, queues up to maxPending, and rejects the others", () => {
    const scene = new Scene();
    expect(scene.acquire("a", "b", "c", "d", "e", "f")).toEqual([
      "acquired",
      "acquired",
      "queued",
      "queued",
      "queued",
      "full",
    ]);
    expect(scene.limiter.tryAcquire()).toBe(false);
  });

  it("admits queued requests in order of arrival", () => {
    const scene = new Scene();
    scene.acquire("a", "b", "c", "d");
    scene.limiter.release();
    expect(scene.calls).toEqual(["c"]);
    expect(scene.acquire("e")).toEqual(["queued"]);
    scene.limiter.release();
    scene.limiter.release();
    expect(scene.calls).toEqual(["c", "d", "e"]);
  });

  it("skips cancelled requests", () => {
    const scene = new Scene();
    scene.acquire("a", "b", "c", "d");
    scene.cancel("c");
    scene.limiter.release();
    scene.limiter.release();
    expect(scene.calls).toEqual(["d"]);
    scene.acquire("e", "f");
    scene.cancel("f");
    expect(scene.isArmed).toBe(false);
  });

  it("expires requests after the pending timeout, with one timer", () => {
    const scene = new Scene();
    scene.acquire("a", "b", "c", "d");
    scene.advance(50);
    scene.acquire("e");
    expect(scene.timers).toBe(1);
    scene.advance(50);
    expect(scene.calls).toEqual(["c expired", "d expired"]);
    scene.advance(50);
    expect([scene.calls.at(-1), scene.isArmed]).toEqual(["e expired", false]);
  });

  it("queues requests while no endpoint has room, even below maxInFlight", () => {
    const scene = new Scene({ maxInFlight: unlimited });
    scene.acquire("a");
    scene.room = false;
    expect(scene.acquire("b")).toEqual(["queued"]);
    scene.room = true;
    scene.limiter.release();
    expect(scene.calls).toEqual(["b"]);
  });

  it("admits queued requests first if room became available without a notification", () => {
    const scene = new Scene();
    scene.room = false;
    scene.acquire("a", "b", "c");
    scene.room = true;
    expect(scene.acquire("d")).toEqual(["queued"]);
    expect(scene.calls).toEqual(["a", "b"]);
  });

  it("admits queued requests when a reload raises the limit", () => {
    const scene = new Scene();
    scene.acquire("a", "b", "c", "d", "e");
    scene.limiter.configure({ ...limits, maxInFlight: 4 }, () => true);
    expect(scene.calls).toEqual(["c", "d"]);
  });

  it("continues after a waiter has thrown", () => {
    const scene = new Scene({ maxInFlight: 1 });
    scene.acquire("first");
    const throws = () => {
      throw new Error("a bug");
    };
    scene.limiter.acquire({ admitted: throws, expired: throws });
    scene.acquire("third");
    expect(() => scene.limiter.release()).toThrow("a bug");
    scene.limiter.release();
    expect(scene.calls).toEqual(["third"]);
  });

  it("admits the whole queue if each waiter releases at once, without recursion", () => {
    const scene = new Scene({ maxInFlight: 1, maxPending: 10_000 });
    scene.acquire("a");
    let served = 0;
    for (let i = 0; i < 10_000; i++) {
      scene.limiter.acquire({
        admitted: () => {
          served++;
          scene.limiter.release();
        },
        expired: () => {},
      });
    }
    scene.limiter.release();
    expect(served).toBe(10_000);
  });
});
