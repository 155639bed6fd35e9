import { type ErrorCode, errorTable } from "../../errors.ts";
import { judgedStatus } from "../../http/grpc-status.ts";
import type { Outcome } from "../outcome.ts";
import type { BadAnswerQuestions } from "./rollout-report.ts";

/** What of a request's outcome says whether its answer was bad: an outcome, or a line of the access log. */
export type EndedAnswer = Pick<
  Outcome,
  "status" | "grpcStatus" | "error" | "fault" | "failedAttempt" | "durationMs"
> & {
  /** `cause` in the access log. Without it, no `overloaded` counts. */
  readonly errorCause?: string | undefined;
};

/** Questions beyond this many limits are not answered: `bad` has one bit for each. */
const maxSlowLimits = 30;

/** Bit 0 of `badAnswer`. */
export const failureBit = 1;

/**
 * Which of the questions an answer was bad for: bit 0 for a failure, bit n for slower than the n-th of the limits; 0 for
 * a good answer. Undefined if it tells nothing of the version: the client left or erred, a fault was injected, or Perch
 * answered without asking an upstream.
 */
export function badAnswer(answer: EndedAnswer, questions: BadAnswerQuestions): number | undefined {
  const { status, error, fault, durationMs } = answer;
  if (fault !== undefined || status === clientClosed) return undefined;
  if (error !== undefined && !isOfVersion(error, answer.errorCause)) return undefined;
  const failed = error !== undefined || answer.failedAttempt || isFailure(status, answer.grpcStatus, questions);
  let bad = failed ? failureBit : 0;
  // How long a WebSocket was open says nothing of its speed.
  if (status === switchingProtocols) return bad;
  const { slowLimitsMs } = questions;
  for (let limit = 0; limit < slowLimitsMs.length && limit < maxSlowLimits; limit++) {
    if (durationMs > (slowLimitsMs[limit] ?? Number.POSITIVE_INFINITY)) bad |= 2 << limit;
  }
  return bad;
}

const clientClosed = errorTable["client-closed"].status;
export const switchingProtocols = 101;

/** A version that is too slow for its load fills its queue. Other overload is that of Perch. */
const queueCauses: ReadonlySet<string | undefined> = new Set(["queue-full", "queue-timeout"]);

/** Whether the error is the fault of the version that was asked. */
function isOfVersion(error: ErrorCode, cause: string | undefined): boolean {
  if (error === "overloaded") return queueCauses.has(cause);
  // The service's protocol has no WebSockets, whatever the version.
  return errorTable[error].source === "upstream" && error !== "no-websocket";
}

function isFailure(status: number, grpcStatus: number | undefined, { failures }: BadAnswerQuestions): boolean {
  return failures.has(status) || (grpcStatus !== undefined && judgedStatus(200, grpcStatus) !== 200);
}
