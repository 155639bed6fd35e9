import { type LimitSpec, type OutlierSpec, type RetrySpec, retryableStatuses } from "../../upstream/service-spec.ts";
import { list } from "../schema-kit/collections.ts";
import { defaulted, object, optional } from "../schema-kit/object.ts";
import { boolean, duration, number, oneOf, ParseError, scalar, size } from "../schema-kit/scalars.ts";
import type { Infer, Schema } from "../schema-kit/schema.ts";
import { quote } from "../schema-kit/tree.ts";

const day = 86_400_000;

const count = (what: string, min: number, max: number) => number({ what, min, max, integer: true });

/** `20%`, read as 0.2. */
function percentage(min: number): Schema<number> {
  const parse = (written: string): number | ParseError => {
    const percent = /^\d+(?:\.\d+)?%$/.test(written) ? Number(written.slice(0, -1)) : Number.NaN;
    if (Number.isNaN(percent)) {
      const suggestion = /^\d+(?:\.\d+)?$/.test(written) ? `write ${written}%` : "write it as in 20%";
      return new ParseError(`${quote(written)} is not a percentage`, suggestion);
    }
    return percent >= min && percent <= 100
      ? percent / 100
      : new ParseError(`${written} is not between ${min}% and 100%`);
  };
  return scalar({
    what: "a percentage such as 20%",
    parse,
    json: { type: "string", pattern: "^\\d+(?:\\.\\d+)?%$" },
  });
}

export const outlierSchema = object(
  {
    consecutiveFailures: defaulted("Failures in a row that eject.", count("a number of failures", 1, 10_000), 5),
    failures: defaulted(
      "Which answers are failures beside attempts that got none: every 5xx, or 502, 503 and 504 only.",
      oneOf(["5xx", "gateway"]),
      "5xx",
    ),
    ejectFor: defaulted(
      "For how long, the first time; twice as long the second time, and so on up to 300s.",
      duration({ minMs: 100, maxMs: day }),
      "30s",
    ),
    maxEjected: defaulted("The most of a version's endpoints that are out at a time.", percentage(1), "50%"),
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

export const retriesSchema = object(
  {
    attempts: defaulted("Further attempts after the first.", count("a number of attempts", 0, 10), 2),
    on: defaulted("What is retried; statuses for idempotent methods only.", list(retryCause, { of: "causes" }), [
      "connect-failure",
      "reset-before-response",
      502,
      503,
      504,
    ]),
    budget: defaulted(
      "Retries as a share of the service's requests; three a second are always allowed.",
      percentage(1),
      "20%",
    ),
    otherVersion: defaulted("Whether the last attempt goes to the default version.", boolean(), false),
    maxBody: defaulted(
      "The largest body of a PUT or DELETE that is kept for another attempt.",
      size({ min: 0, max: 16 * 2 ** 20 }),
      "64KiB",
    ),
  },
  { what: "retries" },
);

export const limitsSchema = object(
  {
    maxConnections: optional("To each endpoint.", count("a number of connections", 1, 1_000_000)),
    maxInFlight: optional(
      "Requests under way at a time; those beyond wait.",
      count("a number of requests", 1, 1_000_000),
    ),
    maxPending: defaulted(
      "Requests that may wait; those beyond get 503.",
      count("a number of requests", 0, 10_000),
      100,
    ),
    pendingTimeout: defaulted(
      "How long one may wait; then it gets 503.",
      duration({ minMs: 1, maxMs: 3_600_000 }),
      "1s",
    ),
  },
  { what: "limits", atLeastOneOf: ["maxConnections", "maxInFlight"] },
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

export function compileLimits({ maxConnections, maxInFlight, maxPending, pendingTimeout }: LimitsConfig): LimitSpec {
  return {
    maxConnections: maxConnections ?? Number.POSITIVE_INFINITY,
    maxInFlight: maxInFlight ?? Number.POSITIVE_INFINITY,
    maxPending,
    pendingTimeoutMs: pendingTimeout,
  };
}
