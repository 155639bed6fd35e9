import { errorTable } from "../../errors.ts";
import type { Caller } from "../../http/request-head.ts";
import { Exchange } from "../exchange.ts";
import { errorOf, type LocalReply, type Refusal, refusal, unreadableRequestHead } from "../local-reply.ts";
import type { ProxyContext } from "../proxy-context.ts";
import { type ClientSide, sendLocalReply } from "./client.ts";
import type { ActiveRequest } from "./connection.ts";
import { Forward, type ForwardContext } from "./forward.ts";
import { headRefusal, type ReceivedHead, type RejectedHead } from "./request-head.ts";

/** A request received by one of this lane's servers. */
export interface ReceivedRequest {
  readonly client: ClientSide;
  readonly caller: Caller;
  /** `rejected`: Perch cannot forward the request. */
  readonly head: ReceivedHead | RejectedHead;
  /** Whether the client sends the body only after a 100 (RFC 9110 §10.1.1). */
  readonly expectsContinue: boolean;
  /** Why the server already rejects it. */
  readonly refusal: Refusal | undefined;
}

/** Takes a request through the chain: forwards it or sends a local reply. */
export function serveRequest(
  context: ProxyContext,
  forwardContext: ForwardContext,
  received: ReceivedRequest,
): ActiveRequest {
  const { client, caller, head } = received;
  const exchange = new Exchange(context, caller, "rejected" in head ? unreadableRequestHead(head.known) : head);
  try {
    const refused = refusalOf(context, received, exchange);
    if (refused !== undefined) return replyLocally(exchange, refused, client);
    const begin = () => proceed(context, forwardContext, received, exchange);
    if (exchange.findRoute()?.rateLimit?.isShared !== true) return begin();
    const held = new HeldRequest(exchange, begin);
    return exchange.awaitsVerdict(held.proceed) ? held : begin();
  } catch (error) {
    // A defect must not end the process, which serves all other requests.
    context.defect(error);
    return replyLocally(exchange, defect, client);
  }
}

function proceed(
  context: ProxyContext,
  forwardContext: ForwardContext,
  { client, head, expectsContinue }: ReceivedRequest,
  exchange: Exchange,
): ActiveRequest {
  try {
    const reply = exchange.begin();
    if (reply === undefined && !("rejected" in head) && exchange.attempts !== undefined) {
      const parts = { exchange, attempts: exchange.attempts, head, client, expectsContinue };
      return new Forward(forwardContext, parts).start();
    }
    return replyLocally(exchange, reply ?? defect, client);
  } catch (error) {
    context.defect(error);
    return replyLocally(exchange, defect, client);
  }
}

/** A request that waits for the verdict of a shared rate limit. Its body is not read yet. */
class HeldRequest implements ActiveRequest {
  readonly #exchange: Exchange;
  readonly #begin: () => ActiveRequest;
  #begun: ActiveRequest | undefined;
  #isClosed = false;
  #failure: Refusal | undefined;

  constructor(exchange: Exchange, begin: () => ActiveRequest) {
    this.#exchange = exchange;
    this.#begin = begin;
  }

  readonly proceed = (): void => {
    if (this.#isClosed) return;
    this.#begun = this.#begin();
    if (this.#failure !== undefined) this.#begun.clientFailed(this.#failure);
  };

  closed(): void {
    this.#isClosed = true;
    if (this.#begun !== undefined) this.#begun.closed();
    else this.#exchange.end(errorTable["client-closed"].status, "client-closed");
  }

  clientFailed(refusal: Refusal): void {
    if (this.#begun === undefined) this.#failure = refusal;
    else this.#begun.clientFailed(refusal);
  }
}

const defect = refusal("internal-error", "defect");

function refusalOf(context: ProxyContext, received: ReceivedRequest, exchange: Exchange): Refusal | undefined {
  const { head } = received;
  if (received.refusal !== undefined) return received.refusal;
  if ("rejected" in head) return refusal("bad-request", head.rejected);
  const refused = headRefusal(head, context.snapshot.config.limits);
  if (refused !== undefined) return refused;
  const { bodyBytes } = exchange;
  return bodyBytes > 0 && (head.contentLength ?? 0) > bodyBytes ? tooLarge : undefined;
}

const tooLarge = refusal("body-too-large", "content-length");

function replyLocally(exchange: Exchange, reply: LocalReply, client: ClientSide): ActiveRequest {
  const status = sendLocalReply(exchange, reply, client);
  return {
    closed: () => exchange.end(status, errorOf(reply)),
    clientFailed: () => client.closeNow(),
  };
}
