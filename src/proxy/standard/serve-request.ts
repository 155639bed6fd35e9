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
  const { client, caller, head, expectsContinue } = received;
  const isRejected = "rejected" in head;
  const exchange = new Exchange(context, caller, isRejected ? unreadableRequestHead(head.known) : head);
  try {
    const reply = refusalOf(context, received, exchange) ?? exchange.begin();
    if (reply === undefined && !isRejected && exchange.attempts !== undefined) {
      const parts = { exchange, attempts: exchange.attempts, head, client, expectsContinue };
      return new Forward(forwardContext, parts).start();
    }
    return replyLocally(exchange, reply ?? defect, client);
  } catch (error) {
    // A defect must not end the process, which serves all other requests.
    context.defect(error);
    return replyLocally(exchange, defect, client);
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
