import type { ErrorCode } from "../../errors.ts";
import type { Caller } from "../../http/request-head.ts";
import { Exchange } from "../exchange.ts";
import { errorOf, type LocalReply, unreadableRequestHead } from "../local-reply.ts";
import type { ProxyContext } from "../proxy-context.ts";
import { type ClientSide, sendLocalReply } from "./client.ts";
import type { Answering } from "./connection.ts";
import { Forward, type ForwardContext } from "./forward.ts";
import { headRefusal, type ReceivedHead } from "./request-head.ts";

/** A request that a server of this lane read. */
export interface ReceivedRequest {
  readonly client: ClientSide;
  readonly caller: Caller;
  /** Undefined where it is none that Perch forwards. */
  readonly head: ReceivedHead | undefined;
  readonly method: string | undefined;
  /** Whether the body comes only behind a 100 (RFC 9110 §10.1.1). */
  readonly expectsContinue: boolean;
  /** What its server found wrong with it. */
  readonly refusal: ErrorCode | undefined;
}

/** Takes a request through the chain, from its head to whoever answers it. */
export function serveRequest(
  context: ProxyContext,
  forwardContext: ForwardContext,
  received: ReceivedRequest,
): Answering {
  const { client, caller, head, expectsContinue } = received;
  const exchange = new Exchange(context, caller, head ?? unreadableRequestHead(received.method));
  try {
    const ending = refusalOf(context, received, exchange) ?? exchange.begin();
    if (ending === undefined && head !== undefined && exchange.attempts !== undefined) {
      const parts = { exchange, attempts: exchange.attempts, head, client, expectsContinue };
      return new Forward(forwardContext, parts).start();
    }
    return endItself(exchange, ending ?? "internal-error", client);
  } catch (error) {
    // One request's defect must not end the process that serves all the others.
    context.defect(error);
    return endItself(exchange, "internal-error", client);
  }
}

function refusalOf(
  context: ProxyContext,
  { head, refusal }: ReceivedRequest,
  exchange: Exchange,
): ErrorCode | undefined {
  if (refusal !== undefined) return refusal;
  if (head === undefined) return "bad-request";
  const refused = headRefusal(head, context.snapshot.config.limits);
  if (refused !== undefined) return refused;
  const { bodyBytes } = exchange;
  return bodyBytes > 0 && (head.contentLength ?? 0) > bodyBytes ? "body-too-large" : undefined;
}

function endItself(exchange: Exchange, ending: LocalReply, client: ClientSide): Answering {
  const status = sendLocalReply(exchange, ending, client);
  return {
    closed: () => exchange.end(status, errorOf(ending)),
    clientFailed: () => client.closeNow(),
  };
}
