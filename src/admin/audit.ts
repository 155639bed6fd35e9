import type { FastifyInstance, FastifyRequest } from "fastify";
import { changes, replicaReportsPath } from "./access.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** The token of the caller, as `AccessDecision` names it. */
    caller: string | undefined;
    /** Whether a change that was done changed anything. */
    changedAnything: boolean;
    /** Of a change that another replica was asked for: what that one was asked, and by whom. */
    audited: { readonly what: string; readonly release: string; readonly by: string; readonly why: string } | undefined;
  }
}

/** A request to change something, done or refused. It holds no secret, and what callers wrote is bounded. */
export interface AuditEntry {
  /** Such as `token 3f9a12 (alice)`, where only the part in parentheses is what the caller says; or `nobody`. */
  readonly who: string;
  /** The remote address. */
  readonly from: string;
  /** The verb, such as `pause`, `split` or `delete split`; method and path of what cannot be changed. */
  readonly what: string;
  readonly release: string | null;
  readonly why: string;
  readonly status: number;
  /** `done`, `unchanged`, or why it was refused. */
  readonly outcome: string;
}

export type Audit = (entry: AuditEntry) => void;

/** Bounds what a caller without a token can write to the log at once. */
const maxText = 200;
const maxWhy = 500;

/**
 * Audits every request to change something before it is answered, so that no change is visible that the log does
 * not have. Requests above the rate limit are not written, so that they cannot flood the log. Add before `guard`.
 */
export function addAudit(server: FastifyInstance, audit: Audit): void {
  server.decorateReply("problemCode", "");
  server.decorateRequest("caller", undefined);
  server.decorateRequest("changedAnything", false);
  server.decorateRequest("audited", undefined);
  server.addHook("onSend", async (request, reply, payload) => {
    if (changesSomething(request) && reply.statusCode !== 429) {
      const { statusCode: status, problemCode } = reply;
      const done = request.changedAnything ? "done" : "unchanged";
      audit({ ...attempt(request), status, outcome: problemCode === "" ? done : `refused: ${problemCode}` });
    }
    return payload;
  });
}

function changesSomething({ method, is404, routeOptions }: FastifyRequest): boolean {
  const path = is404 ? "" : (routeOptions.url ?? "");
  // What replicas have seen, each second.
  return path !== replicaReportsPath && changes({ method, path });
}

/** Who changes, as the change itself and the audit log have it. `by` is what the caller calls himself. */
export function whoOf(request: FastifyRequest): string {
  const { caller, headers } = request;
  if (caller === undefined) return headers.authorization === undefined ? "nobody" : "a wrong token";
  const by = textOf(request.body, "by");
  return by === "" ? caller : `${caller} (${by.slice(0, maxText)})`;
}

function attempt(request: FastifyRequest): Pick<AuditEntry, "who" | "from" | "what" | "release" | "why"> {
  const { release } = request.params as { readonly release?: string };
  const path = request.url.replace(/[?#].*$/s, "");
  const last = request.is404 ? undefined : request.routeOptions.url?.split("/").at(-1);
  const verb = last !== undefined && request.method === "DELETE" ? `delete ${last}` : last;
  const { audited } = request;
  if (audited !== undefined) {
    const { what, by, why } = audited;
    return {
      who: `${whoOf(request)}, for ${by}`,
      from: request.socket.remoteAddress ?? "",
      what,
      release: audited.release,
      why,
    };
  }
  return {
    who: whoOf(request),
    from: request.socket.remoteAddress ?? "",
    what: verb ?? `${request.method} ${path}`.slice(0, maxText),
    release: release === undefined ? null : legible(release),
    why: textOf(request.body, "why").slice(0, maxWhy),
  };
}

/** A text of a body that may not have been validated. */
function textOf(body: unknown, name: "why" | "by"): string {
  if (typeof body !== "object" || body === null) return "";
  const value = new Map(Object.entries(body)).get(name);
  return typeof value === "string" ? legible(value) : "";
}

/** JSON escapes some of these only, and a log is read in terminals. */
function legible(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, "\ufffd");
}
