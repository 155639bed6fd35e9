import type { Caller } from "../../http/request-head.ts";
import { Exchange } from "../exchange.ts";
import type { BodyParser } from "../http1/body-parser.ts";
import type { Snapshot } from "../snapshot.ts";
import type { ClientSide, FastContext, RecordInUse } from "./fast-context.ts";
import { FastHead } from "./fast-head.ts";
import { Forward } from "./forward.ts";
import type { ConnectionLines } from "./forwarded-lines.ts";

/**
 * The objects that one request needs. They serve one request after the other, so that requests leave nothing to the
 * garbage collector, and nothing that lives for as long as a request waits is promoted by it.
 */
export class RequestRecord implements RecordInUse {
  readonly head: FastHead;
  readonly #context: FastContext;
  readonly #free: RequestRecord[];
  #exchange: Exchange | undefined;
  #forward: Forward | undefined;

  /** `free`: where it goes when no request uses it. */
  constructor(context: FastContext, free: RequestRecord[]) {
    this.#context = context;
    this.#free = free;
    this.head = new FastHead(context.requests);
  }

  /** The exchange of the request whose head was read. */
  begin(caller: Caller): Exchange {
    if (this.#exchange === undefined) this.#exchange = new Exchange(this.#context.context, caller, this.head);
    else this.#exchange.restart(caller, this.head);
    return this.#exchange;
  }

  /** For the exchange that began last, if it is to be forwarded. */
  forward(client: ClientSide, body: BodyParser | undefined, lines: ConnectionLines): Forward {
    if (this.#exchange === undefined) throw new TypeError("A request that has not begun was forwarded.");
    this.#forward ??= new Forward(this.#context, this);
    this.#forward.restart(this.#exchange, client, body, lines);
    return this.#forward;
  }

  putBack(): void {
    const isCurrent = this.head.snapshot === this.#context.context.snapshot;
    if (!isCurrent || this.#free.length >= maxFree) return;
    this.head.release();
    this.#free.push(this);
  }
}

/** Records kept for further requests; more are left to the garbage collector. */
const maxFree = 8_192;

/** The records of a lane that no request uses. After a reload they are new ones: the old refer to the replaced snapshot. */
export class RequestRecords {
  readonly #context: FastContext;
  readonly #free: RequestRecord[] = [];
  #next: RequestRecord | undefined;
  /** That of the free records. */
  #snapshot: Snapshot | undefined;

  constructor(context: FastContext) {
    this.#context = context;
  }

  /** For the head that is read next: the same until it is taken. */
  get next(): RequestRecord {
    if (this.#next !== undefined) return this.#next;
    const { snapshot } = this.#context.context;
    if (snapshot !== this.#snapshot) {
      this.#snapshot = snapshot;
      this.#free.length = 0;
    }
    this.#next = this.#free.pop() ?? new RequestRecord(this.#context, this.#free);
    return this.#next;
  }

  /** A request uses `next` from now on. */
  taken(): void {
    this.#next = undefined;
  }
}
