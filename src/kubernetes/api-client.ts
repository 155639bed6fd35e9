import { type Dispatcher, request } from "undici";
import type { ApiAccess } from "./api-access.ts";

/** What the API says of each object. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  /** Another one where an object of the same name is made anew. */
  readonly uid?: string;
  /** Opaque, and another one after each change (API concepts, "Resource versions"). */
  readonly resourceVersion: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface ApiObject {
  readonly metadata: ObjectMeta;
}

/** A request that the API refused, or that did not reach it. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** Undefined if there was no response. */
  readonly status: number | undefined;
  /** How long the API asks to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  /** False if there was no connection, so that the API knows nothing of the request. */
  readonly isSent: boolean;

  constructor(message: string, status?: number, retryAfterMs?: number, isSent = true) {
    super(message);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
    this.isSent = isSent;
  }
}

const withoutConnection: ReadonlySet<unknown> = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/** An answer and its parts must come within this time. A watch has its own. */
const answerMs = 10_000;
/** A whole answer must come within this time, which matters where it comes byte by byte. */
const wholeAnswerMs = 30_000;
/** A list of objects can have many megabytes; one page of it, and one event of a watch, this many. */
const maxAnswerBytes = 16 * 1024 * 1024;

/** Requests to the Kubernetes API, of which each fails with an `ApiError`. */
export class ApiClient {
  readonly #access: ApiAccess;

  constructor(access: ApiAccess) {
    this.#access = access;
  }

  /** An object, or a list of them. */
  get(path: string, query: Query, signal: AbortSignal): Promise<unknown> {
    return this.#json({ method: "GET", path, query, signal });
  }

  /** Creates an object in a collection; the API refuses with 409 if it is there. Answers it as it is now. */
  create(collection: string, object: unknown, signal: AbortSignal): Promise<unknown> {
    return this.#json({ method: "POST", path: collection, content: object, signal });
  }

  /**
   * Replaces an object. With the resourceVersion that was read, the API refuses with 409 if it has changed since. Answers
   * it as it is now.
   */
  replace(path: string, object: ApiObject, signal: AbortSignal): Promise<unknown> {
    return this.#json({ method: "PUT", path, content: object, signal });
  }

  async #json(asked: Asked): Promise<unknown> {
    const signal = AbortSignal.any([asked.signal, AbortSignal.timeout(wholeAnswerMs)]);
    const body = await this.#open({ ...asked, signal }, answerMs);
    let text = "";
    try {
      for await (const chunk of body.setEncoding("utf8")) {
        text += chunk;
        if (text.length > maxAnswerBytes) throw new ApiError(`the answer is larger than ${maxAnswerBytes} bytes`);
      }
      return JSON.parse(text);
    } catch (error) {
      throw toApiError(error);
    }
  }

  /**
   * The events of a watch, until the API ends it. `withinMs`: when it must have done so. One that hangs does not, whether
   * a firewall has forgotten the connection or something still sends a byte now and then. `opened` is called once the API
   * has accepted it.
   */
  async *events(
    path: string,
    query: Query,
    withinMs: number,
    signal: AbortSignal,
    opened: () => void = () => {},
  ): AsyncGenerator<unknown, void> {
    const limit = new AbortController();
    const hangs = new ApiError(`the watch did not end within ${withinMs / 1_000} s`);
    const timer = setTimeout(() => limit.abort(hangs), withinMs);
    const either = AbortSignal.any([signal, limit.signal]);
    let rest = "";
    try {
      const body = await this.#open({ method: "GET", path, query: { ...query, watch: "true" }, signal: either }, 0);
      timer.refresh();
      opened();
      for await (const chunk of body.setEncoding("utf8")) {
        // Only what is new is searched: an event that does not end would take the longer the more of it there is.
        const [end = "", ...lines] = (chunk as string).split("\n");
        rest += end;
        if (rest.length > maxAnswerBytes) throw new ApiError(`an event is larger than ${maxAnswerBytes} bytes`);
        for (const line of lines) {
          if (rest !== "") yield JSON.parse(rest);
          rest = line;
        }
      }
    } catch (error) {
      throw toApiError(error);
    } finally {
      clearTimeout(timer);
      limit.abort();
    }
  }

  /** `silenceMs`: how long the answer may pause; 0: for ever. */
  async #open({ method, path, query = {}, content, signal }: Asked, silenceMs: number): Promise<Body> {
    const authorization = this.#access.authorization();
    const search = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== ""));
    let answer: Dispatcher.ResponseData;
    try {
      answer = await request(`${this.#access.server}${path}?${search}`, {
        dispatcher: this.#access.dispatcher,
        method,
        headers: {
          accept: "application/json",
          ...(content === undefined ? {} : { "content-type": "application/json" }),
          ...(authorization === undefined ? {} : { authorization }),
        },
        body: content === undefined ? null : JSON.stringify(content),
        headersTimeout: answerMs,
        bodyTimeout: silenceMs,
        signal,
      });
    } catch (error) {
      throw toApiError(error);
    }
    const { statusCode, headers, body } = answer;
    if (statusCode === 200 || statusCode === 201) return body;
    if (statusCode === 401) this.#access.refused();
    const seconds = Number(headers["retry-after"]);
    const retryAfterMs = Number.isFinite(seconds) ? seconds * 1_000 : undefined;
    throw new ApiError(`${statusCode}${await reasonIn(body)}`, statusCode, retryAfterMs);
  }
}

interface Asked {
  readonly method: Dispatcher.HttpMethod;
  readonly path: string;
  readonly query?: Query;
  /** Sent as JSON. */
  readonly content?: unknown;
  readonly signal: AbortSignal;
}

/** Empty values are not sent. */
export type Query = Readonly<Record<string, string>>;
type Body = Dispatcher.ResponseData["body"];

const maxReasonBytes = 64 * 1024;
const maxReasonLength = 300;

/** The message of the `Status` object in an error's body, after a colon; nothing if it does not come in time. */
async function reasonIn(body: Body): Promise<string> {
  const timer = setTimeout(() => body.destroy(), answerMs);
  let text = "";
  try {
    for await (const chunk of body.setEncoding("utf8")) {
      text += chunk;
      if (text.length > maxReasonBytes) break;
    }
    const { message } = JSON.parse(text) as { readonly message?: unknown };
    return typeof message === "string" ? `: ${message.slice(0, maxReasonLength)}` : "";
  } catch {
    return "";
  } finally {
    clearTimeout(timer);
    body.destroy();
  }
}

function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (!(error instanceof Error)) return new ApiError(String(error));
  const isSent = !("code" in error && withoutConnection.has(error.code));
  return new ApiError(error.message, undefined, undefined, isSent);
}
