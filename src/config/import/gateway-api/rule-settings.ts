import { type Draft, pinName, type YamlMap } from "../draft.ts";
import { durationIn, timeLimitIn } from "../durations.ts";
import { perRequestWeights } from "../notes.ts";
import { longestTimeout, maxRetryAttempts } from "../perch-limits.ts";
import type { SourceObject } from "../source-object.ts";

/**
 * `timeouts` of a route. `request` limits the whole request with its retries; `backendRequest` one attempt, which Perch
 * limits by `responseHeaders`. Zero means no limit.
 */
export function routeTimeouts(rule: SourceObject): YamlMap {
  const written = rule.object("timeouts");
  const total = written.take("request", timeLimitIn) ?? "";
  const responseHeaders = written.take("backendRequest", timeLimitIn) ?? "";
  const found = { ...(total === "" ? {} : { total }), ...(responseHeaders === "" ? {} : { responseHeaders }) };
  return Object.keys(found).length === 0 ? {} : { timeouts: found };
}

/**
 * `timeouts` of a service: without limits, where Perch's defaults would end requests. What ends them in the original,
 * without `timeouts` in a rule, is up to the gateway.
 */
export function serviceTimeouts(rule: SourceObject, draft: Draft): YamlMap {
  if (!rule.has("timeouts")) {
    draft.note(
      "rules without timeouts",
      `the gateway decided how long a response may take: most have no limit, some 15 or 60 s. Written as no limit (${longestTimeout}); set \`timeouts\` of the services to what it was`,
    );
  }
  return { timeouts: { connect: "10s", responseHeaders: longestTimeout, idle: longestTimeout } };
}

const retried: readonly number[] = [500, 502, 503, 504];

/** GEP-1731. Failed connections are always retried, as it recommends. */
export function retries(rule: SourceObject, where: string, draft: Draft): YamlMap {
  if (!rule.has("retry")) return {};
  const retry = rule.object("retry");
  const attempts = retry.number("attempts");
  const codes = retry.texts("codes");
  const others = codes.filter((code) => !retried.includes(Number(code)));
  if (others.length > 0) {
    draft.note(where, `${retry.path}.codes: ${others.join(", ")} cannot be retried, only ${retried.join(", ")}`);
  }
  if (attempts !== undefined && attempts > maxRetryAttempts) {
    draft.note(where, `${retry.path}.attempts: the maximum is ${maxRetryAttempts}`);
  }
  const on = codes.map(Number).filter((code) => retried.includes(code));
  if (on.length > 0) draft.note(where, `${retry.path}: statuses are retried for idempotent methods only`);
  return {
    retries: {
      ...(attempts === undefined ? {} : { attempts: Math.min(Math.max(0, Math.floor(attempts)), maxRetryAttempts) }),
      on: on.length === 0 ? ["connect-failure", "reset-before-response"] : on,
    },
  };
}

/** GEP-1619: a session stays with its backend, even if the backend's weight becomes zero. */
export function sticky(rule: SourceObject, where: string, draft: Draft): YamlMap {
  if (!rule.has("sessionPersistence")) {
    draft.note(where, perRequestWeights);
    return {};
  }
  return {
    sticky: {
      whenWeightsChange: "hold",
      onWeightZero: "drain",
      ...sessionCookie(rule.object("sessionPersistence"), where, draft),
    },
  };
}

/** `cookie` of `sticky`, if the session's cookie has settings. */
export function sessionCookie(persistence: SourceObject, where: string, draft: Draft): YamlMap {
  if (persistence.text("type") === "Header") {
    draft.note(where, `${persistence.path}.type Header: no equivalent; Perch keeps users by a cookie instead`);
    persistence.dismiss("sessionName");
  }
  const maxAge = persistence.take("absoluteTimeout", durationIn) ?? "";
  const lifetime = persistence.object("cookieConfig").text("lifetimeType") || "Session";
  // The default of GEP-1619: a session of the browser, which an absolute time-out bounds as well.
  const ofSession = lifetime === "Session" && maxAge === "" ? "session" : maxAge;
  if (lifetime === "Session" && maxAge !== "") {
    draft.note(
      where,
      `${persistence.path}: the cookie ended with the browser's session too; the pin is kept for ${maxAge}`,
    );
  }
  const name = persistence.take("sessionName", pinName);
  const cookie = { ...(name === undefined ? {} : { name }), ...(ofSession === "" ? {} : { maxAge: ofSession }) };
  return Object.keys(cookie).length === 0 ? {} : { cookie };
}
