import {
  defaultResponseHead,
  type LimitSpec,
  type OutlierSpec,
  type ResponseHeadLimits,
  type RetrySpec,
  type ReuseSpec,
  retryableStatuses,
} from "../../upstream/service-spec.ts";
import { percentage } from "../scalars.ts";
import { list } from "../schema-kit/collections.ts";
import { defaulted, object, optional } from "../schema-kit/object.ts";
import { boolean, duration, number, oneOf, ParseError, scalar, size } from "../schema-kit/scalars.ts";
import type { Infer, Schema } from "../schema-kit/schema.ts";
import { quote } from "../schema-kit/tree.ts";

const day = 86_400_000;

const count = (what: string, min: number, max: number) => number({ what, min, max, integer: true });

export const outlierSchema = object(
  {
    consecutiveFailures: defaulted(
      "The number of consecutive failures that eject an endpoint.",
      count("a number of failures", 1, 10_000),
      5,
    ),
    failures: defaulted(
      "Responses that are failures: every 5xx, or only 502, 503 and 504 (gateway). Attempts without a response always are.",
      oneOf(["5xx", "gateway"]),
      "5xx",
    ),
    ejectFor: defaulted(
      "The duration of the first ejection. It doubles with each further ejection, up to 300s.",
      duration({ minMs: 100, maxMs: day }),
      "30s",
    ),
    maxEjected: defaulted(
      "The maximum share of a version's endpoints that are ejected at a time.",
      percentage({ min: 1, max: 100 }),
      "50%",
    ),
  },
  { what: "outlier" },
);

const retryCauses = ["connect-failure", "reset-before-response", "500", "502", "503", "504"] as const;
type RetryCause = (typeof retryCauses)[number];

const retryCause: Schema<RetryCause> = scalar({
  what: "a cause to retry",
  parse: (written) =>
    retryCauses.find((cause) => cause === written) ??
    new ParseError(`expected ${retryCauses.slice(0, -1).join(", ")} or 504, found ${quote(written)}`),
  json: { enum: ["connect-failure", "reset-before-response", 500, 502, 503, 504] },
});

export const maxRetryAttempts = 10;

export const retriesSchema = object(
  {
    attempts: defaulted(
      "The maximum number of attempts after the first.",
      count("a number of attempts", 0, maxRetryAttempts),
      2,
    ),
    on: defaulted(
      "The failures that are retried; statuses for idempotent methods only.",
      list(retryCause, { of: "causes" }),
      ["connect-failure", "reset-before-response", 502, 503, 504],
    ),
    budget: defaulted(
      "The maximum share of retries among the service's requests. Three per second are always allowed.",
      percentage({ min: 1, max: 100 }),
      "20%",
    ),
    otherVersion: defaulted("Whether the last attempt goes to the default version.", boolean(), false),
    maxBody: defaulted(
      "The maximum body of a PUT or DELETE that is buffered for retries.",
      size({ min: 0, max: 16 * 2 ** 20 }),
      "64KiB",
    ),
  },
  { what: "retries" },
);

export const limitsSchema = object(
  {
    maxConnections: optional(
      "Maximum number of connections per endpoint.",
      count("a number of connections", 1, 1_000_000),
    ),
    maxInFlight: optional(
      "Maximum number of concurrent requests. Further requests are queued.",
      count("a number of requests", 1, 1_000_000),
    ),
    maxIdleConnections: optional(
      "Maximum number of idle connections kept per endpoint and lane; the oldest is closed. Default: no limit.",
      count("a number of connections", 1, 1_000_000),
    ),
    maxRequestsPerConnection: optional(
      "Maximum number of requests per connection to an endpoint; 0: no limit. Default: no limit.",
      count("a number of requests", 0, 1_000_000_000),
    ),
    maxPending: defaulted(
      "Maximum number of queued requests. Further requests get 503.",
      count("a number of requests", 0, 10_000),
      100,
    ),
    pendingTimeout: defaulted(
      "Maximum time in the queue; then the request gets 503.",
      duration({ minMs: 1, maxMs: 3_600_000 }),
      "1s",
    ),
    responseHeaders: optional(
      "Maximum size of the headers of an endpoint's response. Default: 64KiB.",
      size({ min: 1_024, max: 1_048_576 }),
    ),
    responseHeaderCount: optional(
      "Maximum number of headers of an endpoint's response. Default: 1000.",
      count("a number of headers", 1, 10_000),
    ),
  },
  {
    what: "limits",
    atLeastOneOf: [
      "maxConnections",
      "maxInFlight",
      "maxIdleConnections",
      "maxRequestsPerConnection",
      "responseHeaders",
      "responseHeaderCount",
    ],
  },
);

export type OutlierConfig = Infer<typeof outlierSchema>;
export type RetriesConfig = Infer<typeof retriesSchema>;
export type LimitsConfig = Infer<typeof limitsSchema>;

export function compileOutlier({ consecutiveFailures, failures, ejectFor, maxEjected }: OutlierConfig): OutlierSpec {
  return { consecutiveFailures, failures, ejectForMs: ejectFor, maxEjectedShare: maxEjected };
}

export function compileRetries({ attempts, on, budget, otherVersion, maxBody }: RetriesConfig): RetrySpec {
  return {
    attempts,
    onReset: on.includes("reset-before-response"),
    statuses: retryableStatuses.filter((status) => on.includes(`${status}`)),
    budgetShare: budget,
    otherVersion,
    maxBodyBytes: maxBody,
  };
}

/** Undefined if nothing limits how many requests run at a time. */
export function compileLimits({
  maxConnections,
  maxInFlight,
  maxPending,
  pendingTimeout,
}: LimitsConfig): LimitSpec | undefined {
  if (maxConnections === undefined && maxInFlight === undefined) return undefined;
  return {
    maxConnections: maxConnections ?? Number.POSITIVE_INFINITY,
    maxInFlight: maxInFlight ?? Number.POSITIVE_INFINITY,
    maxPending,
    pendingTimeoutMs: pendingTimeout,
  };
}

export function compileResponseHead(limits: LimitsConfig | undefined): ResponseHeadLimits {
  return {
    bytes: limits?.responseHeaders ?? defaultResponseHead.bytes,
    fields: limits?.responseHeaderCount ?? defaultResponseHead.fields,
  };
}

export function compileReuse(keepAliveMs: number, limits: LimitsConfig | undefined): ReuseSpec {
  return {
    keepAliveMs,
    maxRequests: limits?.maxRequestsPerConnection || Number.POSITIVE_INFINITY,
    maxIdle: limits?.maxIdleConnections ?? Number.POSITIVE_INFINITY,
  };
}
