import { formatDuration } from "../../schema-kit/scalars.ts";
import { rolloutSchema } from "../../sections/rollout.ts";
import { problemWith } from "../accepts.ts";
import { type Draft, resourceNameOf, type YamlMap } from "../draft.ts";
import type { PlanChecks } from "./plan.ts";
import type { Limits } from "./result-condition.ts";

/** A query of another program, with the values that it accepts. */
export interface PrometheusMetric {
  readonly name: string;
  readonly url: string;
  readonly query: string;
  readonly limits: Limits;
  readonly everyMs: number;
  /** Consecutive bad values that fail. */
  readonly failures: number;
}

/** Series of the gateways and meshes that Perch stands for: without them there is no value. */
const ofGateway =
  /\b(?:istio_request\w*|nginx_ingress_controller_\w+|traefik_\w+|envoy_\w+|apisix_\w+|skipper_\w+|contour_\w+|response_total|response_latency_ms_bucket|haproxy_\w+|kong_\w+)\b/;

/** What judges instead of a metric; undefined: nothing. */
export type Judge = "perch" | "prometheus" | undefined;

/**
 * Adds a check for the metric. A success rate or a duration in the series of a gateway becomes a check of Perch's own
 * answers, other queries one that asks Prometheus. A metric without an equivalent is noted.
 */
export function addPrometheusMetric(metric: PrometheusMetric, checks: PlanChecks, where: string, draft: Draft): Judge {
  const { name, query } = metric;
  const series = ofGateway.exec(query)?.[0];
  const own = series === undefined ? undefined : ownCheck(metric);
  if (series !== undefined && own !== undefined) {
    own(checks);
    draft.note(
      where,
      `the metric ${name} asked for ${series}, a series of the gateway that Perch stands for: Perch judges its own answers by the same limit. It counts each user once, at the first bad answer, so set atMost higher if a user's many requests meet more`,
    );
    return "perch";
  }
  const check = written(metric);
  const problem = problemWith(rolloutSchema, { id: "a", candidate: "a", steps: ["pause"], checks: [check] });
  if (problem !== undefined) {
    draft.noteLostProtection(where, `the metric ${name} is not checked: ${problem}`);
    return undefined;
  }
  const { name: _, ...rest } = check;
  checks.add(resourceNameOf(name), rest);
  if (series === undefined) return "prometheus";
  const lacks = "if that is no longer there, the query has no value, and nothing fails";
  draft.noteLostProtection(where, `the metric ${name} asks for ${series}, a series of another gateway: ${lacks}`);
  return "prometheus";
}

function written({ name, url, query, limits, everyMs, failures }: PrometheusMetric): YamlMap {
  return {
    name: resourceNameOf(name),
    prometheus: { url, query: onOneLine(query), ...limits },
    every: formatDuration(Math.min(Math.max(everyMs, 1_000), 86_400_000)),
    failures: Math.min(failures, 100),
  };
}

/** A string of PromQL as it is, a comment, or space. */
const promqlParts = /("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)|(?:#[^\n]*|\s+)+/g;

/** A configuration has queries on one line. */
function onOneLine(query: string): string {
  return query.replace(promqlParts, (_, text?: string) => text ?? " ").trim();
}

type OwnCheck = (checks: PlanChecks) => void;

/** A check of Perch's own answers; undefined if the query is neither a success rate nor a duration. */
function ownCheck({ name, query, limits }: PrometheusMetric): OwnCheck | undefined {
  const wanted = resourceNameOf(name);
  const share = errorShare(query, limits);
  if (share !== undefined) return (checks) => checks.addErrors(wanted, share);
  const slow = slowShare(query, limits);
  return slow && ((checks) => checks.addSlow(wanted, slow.overMs, slow.share));
}

/** A label of a status, how it is compared, and with what. */
const statusTest =
  /\b(?:response_code|status_code|status|code|envoy_response_code|envoy_response_code_class|response_code_class)\s*(=~|!~|!=|=)\s*"([^"]*)"/;
/** All statuses from 500 on, which are the errors of a plan. */
const serverErrors = /^\^?\(?\[?5\]?(?:\.[*+]|\.\.|xx|(?:\[0-9\]|\\{1,2}d|\.)(?:\[0-9\]|\\{1,2}d|\{2\}|\.))?\)?\$?$/;
/** Linkerd's own. */
const classification = /\bclassification\s*(=~?|!=|!~)\s*"(success|failure)"/;

/** Whether the query selects the answers that failed; undefined if it selects others. */
function selectsErrors(query: string): boolean | undefined {
  const [, linkerd, outcome] = classification.exec(query) ?? [];
  if (linkerd !== undefined) return linkerd.startsWith("=") === (outcome === "failure");
  const [, operator, statuses = ""] = statusTest.exec(query) ?? [];
  return operator === undefined || !serverErrors.test(statuses) ? undefined : operator.startsWith("=");
}

/** The share of answers with 5xx that the limits allow, from 0 to 1. */
function errorShare(query: string, { atLeast, atMost }: Limits): number | undefined {
  const isErrors = selectsErrors(query);
  if (isErrors === undefined || !isOneShare(query)) return undefined;
  const inPercent = /\b100\b/.test(query) ? 100 : 1;
  // One minus a share of errors is a share of successes.
  const isTurned = /\b(?:1|100)\s*-/.test(query);
  const countsErrors = isErrors !== isTurned;
  const limit = countsErrors ? atMost : atLeast;
  if (limit === undefined || (countsErrors ? atLeast : atMost) !== undefined) return undefined;
  const share = countsErrors ? limit / inPercent : 1 - limit / inPercent;
  // A success rate of at most one per cent is a share after all.
  const isOdd = !countsErrors && inPercent === 100 && limit <= 1;
  return share >= 0 && share < 1 && !isOdd ? share : undefined;
}

/** Texts and selectors of PromQL, whose slashes and signs are no operators. */
const notOperators = /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|\{[^{}]*\}|\[[^\]]*\]/g;

/** Whether a query is a part divided by the whole, and not a comparison of two shares, or a count per time. */
function isOneShare(query: string): boolean {
  const bare = operatorsOf(query);
  const divisors = bare.split("/").slice(1);
  return divisors.length === 1 && !bare.includes("histogram_quantile") && /[A-Za-z_:]/.test(divisors[0] ?? "");
}

/** The query without comments, texts and selectors. */
const operatorsOf = (query: string): string =>
  query.replace(promqlParts, (_, text?: string) => text ?? " ").replace(notOperators, "");

/** The duration that a quantile must not exceed, and the share of answers above it. */
function slowShare(query: string, limits: Limits): { readonly overMs: number; readonly share: number } | undefined {
  const [, quantile] = /histogram_quantile\(\s*(0?\.\d+)/.exec(query) ?? [];
  const { atLeast, atMost } = limits;
  const [, ...quantiles] = query.split("histogram_quantile");
  // Of two the query is a comparison, whose value is no duration.
  if (quantile === undefined || quantiles.length > 1 || atMost === undefined || atLeast !== undefined) return undefined;
  const bare = operatorsOf(query);
  const isInMilliseconds = /_(?:milliseconds|ms)(?:_bucket)?\b/.test(query);
  if (!isInMilliseconds && !/_seconds(?:_bucket)?\b/.test(query)) return undefined;
  const [, operator, factor] = /([*/])\s*(\d[\d.]*)/.exec(bare) ?? [];
  // Another factor than that between the two units, or several, give no duration.
  const isConverted = factor === "1000" && operator === (isInMilliseconds ? "/" : "*");
  if (bare.replaceAll(/[^*/]/g, "").length > (isConverted ? 1 : 0)) return undefined;
  const overMs = isInMilliseconds === isConverted ? atMost * 1_000 : atMost;
  return overMs >= 1 && overMs <= 3_600_000 ? { overMs, share: 1 - Number(quantile) } : undefined;
}
