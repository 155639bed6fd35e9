import { grpcStatusOfError } from "../../observe/grpc-status.ts";
import type { Exchange } from "../exchange.ts";
import { type Ending, errorOf, grpcAnswer, isLastAnswer, ownAnswer } from "../own-answer.ts";
import type { ClientSide } from "./client-side.ts";

/** Answers a request that Perch ends itself, in the client's own terms; tells the status that was sent. */
export function sendOwnEnd(exchange: Exchange, ending: Ending, client: ClientSide): number {
  const error = errorOf(ending);
  const isCall = client.dialect === "grpc" && error !== undefined;
  const { requestId, attempts } = exchange;
  const answer = isCall
    ? grpcAnswer(error, requestId)
    : ownAnswer(ending, requestId, client.accept, attempts?.retryAfterSeconds);
  if (isCall) exchange.grpcStatus = grpcStatusOfError(error);
  exchange.bytesSent = answer.body.length;
  client.sendOwn(answer, isLastAnswer(ending) ? "close" : "keep");
  return answer.status;
}
