import { type Address, subscriberOf } from "../decide/ip-address.ts";

/** One connection's slot among those of its listener. */
export interface ConnectionSlot {
  /** Counts the connection for this client. False if the client already has `max` connections. */
  assignTo(address: Address, max: number): boolean;
  /** Frees the slot. Further calls do nothing. */
  release(): void;
}

/** Limits the connections of one listener, in total and by client. */
export class ConnectionLimiter {
  readonly #changed: (open: number) => void;
  readonly #byClient = new Map<string, number>();
  #open = 0;

  /** `changed` is called with the number of open connections. */
  constructor(changed: (open: number) => void) {
    this.#changed = changed;
  }

  /** A slot for one more connection; undefined if `max` are taken. */
  acquire(max: number): ConnectionSlot | undefined {
    if (this.#open >= max) return undefined;
    this.#changed(++this.#open);
    return new Slot(this.#byClient, () => this.#changed(--this.#open));
  }
}

class Slot implements ConnectionSlot {
  readonly #byClient: Map<string, number>;
  readonly #released: () => void;
  #client: string | undefined;
  #isTaken = true;

  constructor(byClient: Map<string, number>, released: () => void) {
    this.#byClient = byClient;
    this.#released = released;
  }

  assignTo(address: Address, max: number): boolean {
    const client = subscriberOf(address);
    const taken = this.#byClient.get(client) ?? 0;
    if (taken >= max) return false;
    this.#byClient.set(client, taken + 1);
    this.#client = client;
    return true;
  }

  release(): void {
    if (!this.#isTaken) return;
    this.#isTaken = false;
    if (this.#client !== undefined) this.#releaseClient(this.#client);
    this.#released();
  }

  #releaseClient(client: string): void {
    const others = (this.#byClient.get(client) ?? 1) - 1;
    if (others === 0) this.#byClient.delete(client);
    else this.#byClient.set(client, others);
  }
}
