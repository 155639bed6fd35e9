import type { Caller } from "../../http/request-head.ts";
import { Exchange } from "../exchange.ts";
import type { BodyParser } from "../http1/body-parser.ts";
import type { ClientSide, FastContext } from "./fast-context.ts";
import { FastHead } from "./fast-head.ts";
import { Forward } from "./forward.ts";
import type { ForwardedHeaderCache } from "./upstream-request.ts";

/**
 * The objects that one request needs. They serve one request after the other, so that requests leave nothing to the
 * garbage collector, and nothing that lives for as long as a request waits is promoted by it.
 */
export class RequestRecord {
  readonly head: FastHead;
  readonly #context: FastContext;
  #exchange: Exchange | undefined;
  #forward: Forward | undefined;

  constructor(context: FastContext) {
    this.#context = context;
    this.head = new FastHead(context.requests);
  }

  /** The exchange of the request whose head was read. */
  begin(caller: Caller): Exchange {
    if (this.#exchange === undefined) this.#exchange = new Exchange(this.#context.context, caller, this.head);
    else this.#exchange.restart(caller, this.head);
    return this.#exchange;
  }

  /** For the exchange that began last, if it is to be forwarded. */
  forward(client: ClientSide, body: BodyParser | undefined, cache: ForwardedHeaderCache): Forward {
    if (this.#exchange === undefined) throw new TypeError("A request that has not begun was forwarded.");
    this.#forward ??= new Forward(this.#context, this);
    this.#forward.restart(this.#exchange, client, body, cache);
    return this.#forward;
  }
}

/** Records kept for further requests; more are left to the garbage collector. */
const maxFree = 8_192;

/** The records of a lane that no request uses. */
export class RequestRecords {
  readonly #contextOf: () => FastContext;
  readonly #free: RequestRecord[] = [];
  #next: RequestRecord | undefined;

  /** `contextOf`: the lane's, which holds these records. */
  constructor(contextOf: () => FastContext) {
    this.#contextOf = contextOf;
  }

  /** For the head that is read next: the same until it is taken. */
  get next(): RequestRecord {
    this.#next ??= this.#free.pop() ?? new RequestRecord(this.#contextOf());
    return this.#next;
  }

  /** A request uses `next` from now on. */
  taken(): void {
    this.#next = undefined;
  }

  /** The request has ended, and nothing refers to its record. A record that something may refer to is not put back. */
  putBack(record: RequestRecord): void {
    if (this.#free.length < maxFree) this.#free.push(record);
  }
}
