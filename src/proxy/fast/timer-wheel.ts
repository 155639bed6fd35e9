/** How much later than asked a deadline may fire. Timeouts are for what went wrong, so nobody waits for them. */
const tickMs = 100;
/** How far ahead a deadline is filed, in ticks; what is due later is looked at on the way. */
const slots = 128;

const never: number = Number.MAX_SAFE_INTEGER;

/** Something that must have happened by a time that moves with every request. */
export class Deadline {
  /** Undefined once nobody waits for it any more: a wheel full of what has ended must not keep it alive. */
  owner: { onDeadline(): void } | undefined;
  dueTick: number = never;
  /** The tick under which it is filed; `never` where it is not. */
  filedTick: number = never;

  constructor(owner: { onDeadline(): void }) {
    this.owner = owner;
  }

  /** No time limit until it is armed again. */
  disarm(): void {
    this.dueTick = never;
  }

  /** For good. */
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

  /** The timer holds no process up. */
  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
    this.#startedMs = monotonicMs();
  }

  start(): void {
    this.#timer ??= setInterval(() => this.advance(), tickMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** From now on it has so many milliseconds, and up to two ticks more; 0: no time limit. */
  arm(deadline: Deadline, ms: number): void {
    if (ms <= 0) {
      deadline.dueTick = never;
      return;
    }
    // By the clock, for the wheel stands still while the process is busy.
    deadline.dueTick = Math.floor((this.#monotonicMs() - this.#startedMs + ms) / tickMs) + 1;
    if (deadline.filedTick > deadline.dueTick) this.#file(deadline);
  }

  /** Calls back once, after so many milliseconds and up to two ticks more; returns what cancels it. */
  readonly schedule = (ms: number, callback: () => void): (() => void) => {
    const deadline = new Deadline({ onDeadline: callback });
    this.arm(deadline, ms);
    return () => deadline.cancel();
  };

  /** Catches up by the clock, since a busy process skips turns of the interval. */
  advance(): void {
    const now = Math.floor((this.#monotonicMs() - this.#startedMs) / tickMs);
    while (this.#tick < now) {
      this.#tick++;
      const index = this.#tick % slots;
      const due = this.#slots[index];
      if (due === undefined || due.length === 0) continue;
      this.#slots[index] = [];
      for (const deadline of due) this.#look(deadline);
    }
  }

  #file(deadline: Deadline): void {
    deadline.filedTick = Math.min(deadline.dueTick, this.#tick + slots - 1);
    this.#slots[deadline.filedTick % slots]?.push(deadline);
  }

  #look(deadline: Deadline): void {
    // Filed again meanwhile, under another tick that has its own entry.
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

/** Half of what libuv takes from the kernel at once. */
const maxEvents = 512;

/**
 * Tells whether two things happened in one turn of the event loop. What is read in the turn in which a request was
 * written had arrived before: the kernel's list of what is ready was made before the write.
 */
export class LoopTicks {
  #turn = 0;
  #events = 0;
  #ending = false;
  readonly #ended: () => void;

  /** `ended` is called after each turn in which anything was asked or happened. */
  constructor(ended: () => void) {
    this.#ended = ended;
  }

  /**
   * The present turn; -1 where it can not be told: past so many events in one turn, libuv asks the kernel again before
   * the turn is over.
   */
  get current(): number {
    this.#watchEnd();
    return this.#events > maxEvents ? -1 : this.#turn;
  }

  /** To be told of each read. */
  eventHandled(): void {
    this.#events++;
    this.#watchEnd();
  }

  #watchEnd(): void {
    if (this.#ending) return;
    this.#ending = true;
    setImmediate(this.#next);
  }

  readonly #next = (): void => {
    this.#turn++;
    this.#events = 0;
    this.#ending = false;
    this.#ended();
  };
}
