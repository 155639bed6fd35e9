/** The wheel's resolution. Deadlines fire up to two ticks late, which is precise enough for timeouts. */
const tickMs = 100;
/** How far ahead a deadline is filed, in ticks; one that is due later is refiled when its slot comes up. */
const slots = 128;

/** Later than any: in three years. V8 keeps a number of 31 bits in its field, where a larger one is an object of its own. */
const never = 2 ** 30;

/** A timeout that is rearmed with every request. */
export class Deadline {
  /** Undefined once cancelled, so that a deadline still in the wheel does not keep its owner alive. */
  owner: { onDeadline(): void } | undefined;
  dueTick: number = never;
  /** The tick under which it is filed; `never` if it is not. */
  filedTick: number = never;

  constructor(owner: { onDeadline(): void }) {
    this.owner = owner;
  }

  /** No time limit until it is armed again. */
  disarm(): void {
    this.dueTick = never;
  }

  /** Disarms permanently. */
  cancel(): void {
    this.dueTick = never;
    this.owner = undefined;
  }
}

/**
 * All timeouts of the lane on one interval timer (a timing wheel after Varghese and Lauck 1987, filed lazily). Moving a
 * deadline later writes one number: it is filed anew only when its old slot comes up.
 */
export class TimerWheel {
  readonly #slots: Deadline[][] = Array.from({ length: slots }, () => []);
  readonly #monotonicMs: () => number;
  readonly #startedMs: number;
  #tick = 0;
  #timer: NodeJS.Timeout | undefined;

  /** The timer does not keep the process alive. */
  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
    this.#startedMs = monotonicMs();
  }

  start(): void {
    this.#timer ??= setInterval(() => setImmediate(this.#advanceAfterEvents), tickMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Expires `ms` milliseconds from now, up to two ticks late; 0: no time limit. */
  arm(deadline: Deadline, ms: number): void {
    if (ms <= 0) {
      deadline.dueTick = never;
      return;
    }
    // From the clock, not from `#tick`: the wheel does not advance while the process is busy.
    deadline.dueTick = Math.floor((this.#monotonicMs() - this.#startedMs + ms) / tickMs) + 1;
    if (deadline.filedTick > deadline.dueTick) this.#file(deadline);
  }

  /** Calls back once after `ms` milliseconds, up to two ticks late; returns a function that cancels it. */
  readonly schedule = (ms: number, callback: () => void): (() => void) => {
    const deadline = new Deadline({ onDeadline: callback });
    this.arm(deadline, ms);
    return () => deadline.cancel();
  };

  /** After a stall of the process, what peers did in time is handled before deadlines expire: node runs timers first. */
  readonly #advanceAfterEvents = (): void => this.advance();

  /** Catches up with the clock, since a busy process misses intervals. */
  advance(): void {
    const now = Math.floor((this.#monotonicMs() - this.#startedMs) / tickMs);
    while (this.#tick < now) {
      this.#tick++;
      const index = this.#tick % slots;
      const due = this.#slots[index];
      if (due === undefined || due.length === 0) continue;
      this.#slots[index] = [];
      for (const deadline of due) this.#expireOrRefile(deadline);
    }
  }

  #file(deadline: Deadline): void {
    deadline.filedTick = Math.min(deadline.dueTick, this.#tick + slots - 1);
    this.#slots[deadline.filedTick % slots]?.push(deadline);
  }

  #expireOrRefile(deadline: Deadline): void {
    // Refiled since, under another tick that has its own entry.
    if (deadline.filedTick !== this.#tick) return;
    deadline.filedTick = never;
    if (deadline.dueTick === never) return;
    if (deadline.dueTick > this.#tick) this.#file(deadline);
    else {
      deadline.dueTick = never;
      deadline.owner?.onDeadline();
    }
  }
}

/** Half of the events that libuv fetches from the kernel per poll. */
const maxEvents = 512;

/**
 * Shows whether two events happened in the same event loop tick. Bytes read in the tick in which a request was written
 * had arrived before it: the kernel's list of ready sockets was made before the write.
 */
export class LoopTicks {
  #tickNumber = 0;
  #events = 0;
  #endScheduled = false;
  readonly #ended: () => void;

  /** `ended` is called after each tick in which `current` was read or an event was handled. */
  constructor(ended: () => void) {
    this.#ended = ended;
  }

  /**
   * The current tick; -1 if unknown: after `maxEvents` events in one tick, libuv may poll the kernel again before the
   * tick is over; and outside of events, as when a socket has closed, the kernel is polled next.
   */
  get current(): number {
    this.#scheduleEnd();
    return this.#events === 0 || this.#events > maxEvents ? -1 : this.#tickNumber;
  }

  /** Must be called for each read, end of the input and end of a pending write. */
  eventHandled(): void {
    this.#events++;
    this.#scheduleEnd();
  }

  #scheduleEnd(): void {
    if (this.#endScheduled) return;
    this.#endScheduled = true;
    setImmediate(this.#next);
  }

  readonly #next = (): void => {
    this.#tickNumber++;
    this.#events = 0;
    this.#endScheduled = false;
    this.#ended();
  };
}
