import { type Dispatcher, request } from "undici";
import type { RolloutBody, splitBody } from "../../admin/rollout-body.ts";
import { printable } from "../text-block.ts";
import { parseEvents, type ServerEvent } from "./server-events.ts";

export interface AllRollouts {
  readonly revision: number;
  readonly rollouts: readonly RolloutBody[];
  readonly splits: readonly ReturnType<typeof splitBody>[];
}

export interface ChangedRollout {
  readonly changed: boolean;
  readonly rollout: RolloutBody;
}

/** The admin server refused, or could not be asked. The message is for people. */
export class AdminError extends Error {
  override readonly name = "AdminError";
  /** Undefined: there was no response. */
  readonly status: number | undefined;

  constructor(message: string, status: number | undefined) {
    super(message);
    this.status = status;
  }

  /** Whether the same question may be answered later. */
  get isPassing(): boolean {
    return this.status === undefined || this.status === 429 || this.status >= 500;
  }
}

const answerMs = 30_000;
/** Three heartbeats of the server. */
const silenceMs = 45_000;

/** Asks the admin server of a running Perch. */
export class AdminClient {
  readonly #admin: string;
  readonly #headers: Readonly<Record<string, string>>;

  /** `admin`: the server's URL; `token`: undefined sends none. */
  constructor(admin: string, token: string | undefined) {
    this.#admin = admin;
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  get origin(): string {
    return new URL(this.#admin).origin;
  }

  async rollouts(signal?: AbortSignal): Promise<AllRollouts> {
    return (await this.#ask("/api/rollouts", {}, signal)) as AllRollouts;
  }

  async rollout(release: string, signal?: AbortSignal): Promise<RolloutBody> {
    return (await this.#ask(`/api/rollouts/${encodeURIComponent(release)}`, {}, signal)) as RolloutBody;
  }

  /** `ifRevision`: nothing changes if the revision is another by now. */
  async change(release: string, verb: string, body: object, ifRevision: string | undefined): Promise<ChangedRollout> {
    const ifMatch: Record<string, string> = ifRevision === undefined ? {} : { "if-match": `"${ifRevision}"` };
    const headers = { ...ifMatch, "content-type": "application/json" };
    const path = `/api/rollouts/${encodeURIComponent(release)}/${verb}`;
    return (await this.#ask(path, { method: "POST", body: JSON.stringify(body), headers })) as ChangedRollout;
  }

  /** Events after this one, until the connection ends. `after` undefined: from now on. */
  async *events(after: string | undefined, signal: AbortSignal): AsyncGenerator<ServerEvent, undefined> {
    const headers: Record<string, string> = after === undefined ? {} : { "last-event-id": after };
    const answer = await this.#send("/api/events", { headers, bodyTimeout: silenceMs }, signal);
    try {
      yield* parseEvents(answer.body);
    } catch (error) {
      throw this.#unreached(error);
    }
    return undefined;
  }

  async #ask(path: string, options: Options, signal?: AbortSignal): Promise<unknown> {
    const answer = await this.#send(path, options, signal);
    const text = await answer.body.text().catch((error: unknown) => Promise.reject(this.#unreached(error)));
    try {
      return JSON.parse(text);
    } catch {
      throw new AdminError(`the server at ${this.origin} is not Perch's admin server`, answer.statusCode);
    }
  }

  async #send(path: string, { headers, ...options }: Options, signal?: AbortSignal): Promise<Dispatcher.ResponseData> {
    const sent = { ...this.#headers, ...headers };
    const all = { headersTimeout: answerMs, bodyTimeout: answerMs, ...options, headers: sent, signal: signal ?? null };
    const answer = await request(new URL(path, this.#admin), all).catch((error: unknown) =>
      Promise.reject(this.#unreached(error)),
    );
    if (answer.statusCode === 200) return answer;
    const text = await answer.body.text().catch(() => "");
    throw new AdminError(refusal(answer.statusCode, text), answer.statusCode);
  }

  #unreached(error: unknown): AdminError {
    const cause = error instanceof AggregateError ? error.errors[0] : error;
    const why = cause instanceof Error ? cause.message : String(cause);
    const where = `no admin server answers at ${this.origin}: ${printable(why)}`;
    return new AdminError(`${where}. Is Perch running, with this admin.address? Else pass --admin URL`, undefined);
  }
}

type Options = Omit<Partial<Dispatcher.RequestOptions>, "headers"> & {
  readonly headers?: Readonly<Record<string, string>>;
};

/** What to do, by the problem's code or else by its status. */
const hints: Readonly<Record<string, string>> = {
  "no-token-configured":
    "Set it to a file with tokens, one per line, at least 32 bytes each, and pass the same file with --token-file.",
  "no-rollout": "perch rollout status lists the releases with a rollout.",
  401: "Pass a file with a token of admin.tokenFile: --token-file, or PERCH_ADMIN_TOKEN_FILE.",
  412: "Look at the status, then try again with the new revision.",
};

function refusal(status: number, text: string): string {
  const { detail, error, problems } = problemOf(text);
  const hint = hints[error ?? ""] ?? hints[status] ?? "";
  const said = [detail ?? `the server answered ${status}`, ...(problems ?? []), hint];
  const sentences = said.filter((part) => part !== "").map((part) => (/[.!?]$/.test(part) ? part : `${part}.`));
  return printable(sentences.join(" "));
}

function problemOf(text: string): {
  readonly detail?: string;
  readonly error?: string;
  readonly problems?: readonly string[];
} {
  try {
    const problem: unknown = JSON.parse(text);
    return typeof problem === "object" && problem !== null ? problem : {};
  } catch {
    return {};
  }
}
