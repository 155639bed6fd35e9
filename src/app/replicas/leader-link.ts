import { type Dispatcher, request } from "undici";
import { replicaChangesPath, replicaReportsPath } from "../../admin/access.ts";
import { UnknownOutcome } from "../../rollout/replicas/change-handover.ts";
import { isHandedAnswer, isLeaderAnswer } from "../../rollout/replicas/read-answers.ts";
import type {
  HandedAnswer,
  HandedOver,
  LeaderAnswer,
  ReplicaMessage,
} from "../../rollout/replicas/replica-messages.ts";

/** Where the leader's admin server is, and what to show it. */
export interface LeaderPlace {
  /** `host:port`. */
  readonly address: string;
  readonly token: string;
}

/** The leader is near, and answers from memory. */
const reportWithinMs = 3_000;
/** A change is saved before it is answered. */
const changeWithinMs = 15_000;
const maxAnswerBytes = 16 * 1024 * 1024;
/** What refuses may be anything that has the leader's address by now. Its words go into the log and `/api/replicas`. */
const maxRefusalBytes = 64 * 1024;
const maxDetailLength = 300;

/** Rejects with an `Error` that says why there is no answer. */
export function sendReports(place: LeaderPlace, message: ReplicaMessage, signal: AbortSignal): Promise<LeaderAnswer> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(reportWithinMs)]);
  return post({ place, path: replicaReportsPath, content: message, isAnswer: isLeaderAnswer, signal: within });
}

/** The same; with an `UnknownOutcome` where the leader may have made the change all the same. */
export function sendChange(place: LeaderPlace, asked: HandedOver, signal: AbortSignal): Promise<HandedAnswer> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(changeWithinMs)]);
  return post({ place, path: replicaChangesPath, content: asked, isAnswer: isHandedAnswer, signal: within });
}

interface Post<T> {
  readonly place: LeaderPlace;
  readonly path: string;
  readonly content: unknown;
  readonly isAnswer: (value: unknown) => value is T;
  readonly signal: AbortSignal;
}

async function post<T>({ place: { address, token }, path, content, isAnswer, signal }: Post<T>): Promise<T> {
  const leader = `the leading replica at ${address}`;
  let answer: Dispatcher.ResponseData;
  let text = "";
  try {
    answer = await request(`http://${address}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify(content),
      signal,
    });
    for await (const chunk of answer.body.setEncoding("utf8")) {
      text += chunk;
      if (answer.statusCode !== 200 && text.length > maxRefusalBytes) break;
      if (text.length > maxAnswerBytes) throw new Error(`its answer is larger than ${maxAnswerBytes} bytes`);
    }
  } catch (error) {
    const why = `${leader} does not answer: ${whyOf(error)}`;
    throw isUnreached(error) ? new Error(why) : new UnknownOutcome(why);
  }
  const { statusCode } = answer;
  const value = parsed(text);
  if (statusCode === 200 && isAnswer(value)) return value;
  if (statusCode === 200) throw new UnknownOutcome(`${leader} answers in a form that this Perch does not know`);
  const why = `${leader} refused: ${statusCode}${detailIn(value)}`;
  throw statusCode < 500 ? new Error(why) : new UnknownOutcome(why);
}

const unreached: ReadonlySet<unknown> = new Set([
  ...["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ENOTFOUND", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT"],
]);

/** Whether no connection was made, so that nothing was sent. */
function isUnreached(error: unknown): boolean {
  return error instanceof Error && "code" in error && unreached.has(error.code);
}

function whyOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return "no answer in time";
  return error.message;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Of a problem (RFC 9457), after a space. */
function detailIn(value: unknown): string {
  const { detail } = (value ?? {}) as { readonly detail?: unknown };
  return typeof detail === "string" ? ` ${detail.slice(0, maxDetailLength)}` : "";
}
