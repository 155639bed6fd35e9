import { type Address, subscriberOf } from "../decide/ip-address.ts";

/** One connection's place among those of its listener. */
export interface ConnectionSlot {
  /** Counts it as this client's; false where that has `most` already. */
  assignTo(address: Address, most: number): boolean;
  /** Gives the place back; asked again, it does nothing. */
  release(): void;
}

/** The connections of one listener, as many as there are and by whose they are. */
export class ConnectionLimiter {
  readonly #changed: (open: number) => void;
  readonly #byClient = new Map<string, number>();
  #open = 0;

  /** `changed` hears how many are open. */
  constructor(changed: (open: number) => void) {
    this.#changed = changed;
  }

  /** A place for one more connection; undefined where `most` are taken. */
  acquire(most: number): ConnectionSlot | undefined {
    if (this.#open >= most) return undefined;
    this.#changed(++this.#open);
    return new Slot(this.#byClient, () => this.#changed(--this.#open));
  }
}

class Slot implements ConnectionSlot {
  readonly #byClient: Map<string, number>;
  readonly #left: () => void;
  #client: string | undefined;
  #isTaken = true;

  constructor(byClient: Map<string, number>, left: () => void) {
    this.#byClient = byClient;
    this.#left = left;
  }

  assignTo(address: Address, most: number): boolean {
    const client = subscriberOf(address);
    const taken = this.#byClient.get(client) ?? 0;
    if (taken >= most) return false;
    this.#byClient.set(client, taken + 1);
    this.#client = client;
    return true;
  }

  release(): void {
    if (!this.#isTaken) return;
    this.#isTaken = false;
    if (this.#client !== undefined) this.#giveBack(this.#client);
    this.#left();
  }

  #giveBack(client: string): void {
    const others = (this.#byClient.get(client) ?? 1) - 1;
    if (others === 0) this.#byClient.delete(client);
    else this.#byClient.set(client, others);
  }
}
