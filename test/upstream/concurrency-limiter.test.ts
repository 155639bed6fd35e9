import { describe, expect, it } from "vitest";
import { ConcurrencyLimiter, type Waiter } from "../../src/upstream/concurrency-limiter.ts";

const unlimited = Number.POSITIVE_INFINITY;
const limits = { maxConnections: unlimited, maxInFlight: 2, maxPending: 3, pendingTimeoutMs: 100 };

/** A gate whose clock the test moves, and what became of those who came to it. */
class Scene {
  nowMs = 0;
  room = true;
  timers = 0;
  readonly told: string[] = [];
  readonly gate: ConcurrencyLimiter;
  readonly #waiters = new Map<string, Waiter>();
  #timer: { readonly callback: () => void; readonly dueMs: number } | undefined;

  constructor(change: Partial<typeof limits> = {}) {
    const clock = {
      nowMs: () => 0,
      monotonicMs: () => this.nowMs,
      wake: (callback: () => void, ms: number) => {
        this.#timer = { callback, dueMs: this.nowMs + ms };
        this.timers++;
        return () => {
          this.#timer = undefined;
        };
      },
    };
    this.gate = new ConcurrencyLimiter(clock, { ...limits, ...change }, () => this.room);
  }

  get isArmed(): boolean {
    return this.#timer !== undefined;
  }

  enter(...names: string[]): string[] {
    return names.map((name) => {
      const waiter = { admitted: () => this.told.push(name), expired: () => this.told.push(`${name} expired`) };
      this.#waiters.set(name, waiter);
      return this.gate.acquire(waiter);
    });
  }

  cancel(name: string): void {
    const waiter = this.#waiters.get(name);
    if (waiter !== undefined) this.gate.cancel(waiter);
  }

  pass(ms: number): void {
    this.nowMs += ms;
    const timer = this.#timer;
    if (timer === undefined || timer.dueMs > this.nowMs) return;
    this.#timer = undefined;
    timer.callback();
  }
}

describe("a gate", () => {
  it("lets so many in, has so many wait, and turns the others away", () => {
    const scene = new Scene();
    expect(scene.enter("a", "b", "c", "d", "e", "f")).toEqual([
      "acquired",
      "acquired",
      "queued",
      "queued",
      "queued",
      "full",
    ]);
    expect(scene.gate.tryAcquire()).toBe(false);
  });

  it("admits in the order of coming, and nobody overtakes", () => {
    const scene = new Scene();
    scene.enter("a", "b", "c", "d");
    scene.gate.release();
    expect(scene.told).toEqual(["c"]);
    expect(scene.enter("e")).toEqual(["queued"]);
    scene.gate.release();
    scene.gate.release();
    expect(scene.told).toEqual(["c", "d", "e"]);
  });

  it("forgets whoever went away while waiting", () => {
    const scene = new Scene();
    scene.enter("a", "b", "c", "d");
    scene.cancel("c");
    scene.gate.release();
    scene.gate.release();
    expect(scene.told).toEqual(["d"]);
    scene.enter("e", "f");
    scene.cancel("f");
    expect(scene.isArmed).toBe(false);
  });

  it("turns away those who waited for too long, by one timer", () => {
    const scene = new Scene();
    scene.enter("a", "b", "c", "d");
    scene.pass(50);
    scene.enter("e");
    expect(scene.timers).toBe(1);
    scene.pass(50);
    expect(scene.told).toEqual(["c expired", "d expired"]);
    scene.pass(50);
    expect([scene.told.at(-1), scene.isArmed]).toEqual(["e expired", false]);
  });

  it("has requests wait while no endpoint has room, whatever its own number", () => {
    const scene = new Scene({ maxInFlight: unlimited });
    scene.enter("a");
    scene.room = false;
    expect(scene.enter("b")).toEqual(["queued"]);
    scene.room = true;
    scene.gate.release();
    expect(scene.told).toEqual(["b"]);
  });

  it("lets whoever waits go first where room came about unnoticed", () => {
    const scene = new Scene();
    scene.room = false;
    scene.enter("a", "b", "c");
    scene.room = true;
    expect(scene.enter("d")).toEqual(["queued"]);
    expect(scene.told).toEqual(["a", "b"]);
  });

  it("admits whoever waits when a reload makes more room", () => {
    const scene = new Scene();
    scene.enter("a", "b", "c", "d", "e");
    scene.gate.configure({ ...limits, maxInFlight: 4 }, () => true);
    expect(scene.told).toEqual(["c", "d"]);
  });

  it("stays open for the others where one that is admitted breaks down", () => {
    const scene = new Scene({ maxInFlight: 1 });
    scene.enter("first");
    const breaks = () => {
      throw new Error("a defect");
    };
    scene.gate.acquire({ admitted: breaks, expired: breaks });
    scene.enter("third");
    expect(() => scene.gate.release()).toThrow("a defect");
    scene.gate.release();
    expect(scene.told).toEqual(["third"]);
  });

  it("serves the whole line where each leaves as soon as it is admitted", () => {
    const scene = new Scene({ maxInFlight: 1, maxPending: 10_000 });
    scene.enter("a");
    let served = 0;
    for (let i = 0; i < 10_000; i++) {
      scene.gate.acquire({
        admitted: () => {
          served++;
          scene.gate.release();
        },
        expired: () => {},
      });
    }
    scene.gate.release();
    expect(served).toBe(10_000);
  });
});
