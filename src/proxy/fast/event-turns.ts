/** Half of what libuv takes from the kernel at once. */
const mostEvents = 512;

/**
 * Tells whether two things happened in one turn of the event loop. What is read in the turn in which a request was
 * written had arrived before: the kernel's list of what is ready was made before the write.
 */
export class EventTurns {
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
    return this.#events > mostEvents ? -1 : this.#turn;
  }

  /** To be told of each read. */
  happened(): void {
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
