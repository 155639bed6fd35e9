import { asciiJson, TimeText } from "./json-line.ts";
import type { Outcome } from "./outcome.ts";

/** What a client can choose the length of is cut to these many UTF-16 units, or it could fill the disk by itself. */
const methodLimit = 32;
const hostLimit = 255;
const requestIdLimit = 128;
const pathLimit = 2048;

const bounded = (text: string, limit: number): string => (text.length > limit ? `${text.slice(0, limit)}…` : text);
const rounded = (ms: number): number => Math.round(ms * 1000) / 1000;

/**
 * Writes a request's line of the access log: one JSON object, ended by a newline, in pino's layout. It is built by one
 * `JSON.stringify` of a literal whose shape never changes, at a quarter of what pino's generic serialisation takes
 * (1.2 against 4.4 µs). Fields without a value are left out. Only what `Outcome` names can get in, so no cookie, no
 * token, no query string.
 */
export class AccessLine {
  readonly #time = new TimeText();

  /** `nowMs` is the wall clock. */
  of(outcome: Outcome, nowMs: number): string {
    const { servedVersion, assignedVersion, ttfbMs } = outcome;
    const line = JSON.stringify({
      level: "info",
      time: this.#time.of(nowMs),
      msg: "request",
      requestId: bounded(outcome.requestId, requestIdLimit),
      traceId: outcome.traceId,
      route: outcome.routeName,
      service: outcome.serviceName,
      release: outcome.releaseName,
      version: servedVersion,
      assigned: assignedVersion === servedVersion ? undefined : assignedVersion,
      reason: outcome.reason,
      rule: outcome.ruleName,
      fallback: outcome.fallback ? true : undefined,
      fault: outcome.fault,
      rescued: outcome.rescued ? true : undefined,
      method: bounded(outcome.method, methodLimit),
      host: bounded(outcome.host, hostLimit),
      path: bounded(outcome.path, pathLimit),
      status: outcome.status,
      grpcStatus: outcome.grpcStatus,
      error: outcome.error,
      cause: outcome.errorCause,
      bytesReceived: outcome.bytesReceived,
      bytesSent: outcome.bytesSent,
      durationMs: rounded(outcome.durationMs),
      ttfbMs: ttfbMs === undefined ? undefined : rounded(ttfbMs),
      upstream: outcome.upstream,
      attempts: outcome.attemptCount,
      clientAddress: outcome.clientAddressText,
    });
    return `${asciiJson(line)}\n`;
  }
}
