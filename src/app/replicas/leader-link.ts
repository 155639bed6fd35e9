import { type Dispatcher, request } from "undici";
import { replicaChangesPath, replicaReportsPath } from "../../admin/access.ts";
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

export function sendReports(place: LeaderPlace, message: ReplicaMessage, signal: AbortSignal): Promise<LeaderAnswer> {
  return post<LeaderAnswer>(
    place,
    replicaReportsPath,
    message,
    AbortSignal.any([signal, AbortSignal.timeout(reportWithinMs)]),
  );
}

export function sendChange(place: LeaderPlace, asked: HandedOver): Promise<HandedAnswer> {
  return post<HandedAnswer>(place, replicaChangesPath, asked, AbortSignal.timeout(changeWithinMs)).catch((error) => {
    const outcome =
      error instanceof NoAnswer
        ? "it is not known whether the change was made, so look at the status before you ask again"
        : "nothing changed";
    throw new Error(`${outcome}: ${whyOf(error)}`);
  });
}

/** The request may have been carried out. */
class NoAnswer extends Error {
  override readonly name = "NoAnswer";
}

async function post<T>(
  { address, token }: LeaderPlace,
  path: string,
  content: unknown,
  signal: AbortSignal,
): Promise<T> {
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
      if (text.length > maxAnswerBytes) throw new Error(`its answer is larger than ${maxAnswerBytes} bytes`);
    }
  } catch (error) {
    throw new NoAnswer(`the leading replica at ${address} does not answer: ${whyOf(error)}`);
  }
  if (answer.statusCode === 200) return JSON.parse(text) as T;
  throw new Error(`the leading replica at ${address} refused: ${answer.statusCode} ${detailIn(text)}`);
}

function whyOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return "no answer in time";
  return error.message;
}

/** Of a problem (RFC 9457). */
function detailIn(text: string): string {
  try {
    return String((JSON.parse(text) as { readonly detail?: unknown }).detail ?? "");
  } catch {
    return "";
  }
}
