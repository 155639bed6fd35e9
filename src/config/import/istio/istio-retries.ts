import type { Draft, YamlMap } from "../draft.ts";
import { maxRetryAttempts } from "../perch-limits.ts";
import type { SourceObject } from "../source-object.ts";

/** What Envoy's names for causes of retries are in Perch. Others are noted. */
const causes: ReadonlyMap<string, readonly (string | number)[]> = new Map([
  ["5xx", ["reset-before-response", 500, 502, 503, 504]],
  ["gateway-error", ["reset-before-response", 502, 503, 504]],
  ["reset", ["reset-before-response"]],
  ["reset-before-request", ["reset-before-response"]],
  ["refused-stream", ["reset-before-response"]],
  ["connect-failure", []],
  ["500", [500]],
  ["502", [502]],
  ["503", [503]],
  ["504", [504]],
]);

/** Istio's default, without the statuses of gRPC, which are in trailers. */
const defaultCauses = ["connect-failure", "reset-before-request"];

/**
 * Without a policy nothing is needed: like Istio, Perch by default retries requests that never reached the upstream.
 */
export function retries(route: SourceObject, where: string, draft: Draft): YamlMap {
  if (!route.has("retries")) return {};
  const policy = route.object("retries");
  const attempts = policy.number("attempts") ?? 0;
  if (attempts <= 0) {
    policy.dismiss();
    return { retries: { attempts: 0 } };
  }
  if (attempts > maxRetryAttempts) draft.note(where, `${policy.path}.attempts: the maximum is ${maxRetryAttempts}`);
  if (policy.has("perTryTimeout")) {
    draft.note(
      where,
      `${policy.path}.perTryTimeout limits the time to the response headers; what takes longer gets 504`,
    );
  }
  const words = policy
    .text("retryOn")
    .split(/[\s,]+/)
    .filter((word) => word !== "");
  const unknown = words.filter((word) => !causes.has(word));
  if (unknown.length > 0) draft.note(where, `${policy.path}.retryOn: ${unknown.join(", ")}: no equivalent`);
  if (words.length > 0 && unknown.length === words.length) return { retries: { attempts: 0 } };
  draft.note(where, `${policy.path}: statuses are retried for idempotent methods only`);
  const wanted = new Set((words.length === 0 ? defaultCauses : words).flatMap((word) => causes.get(word) ?? []));
  const on = ["reset-before-response", 500, 502, 503, 504].filter((cause) => wanted.has(cause));
  return { retries: { attempts: Math.min(attempts, maxRetryAttempts), on: ["connect-failure", ...on] } };
}
