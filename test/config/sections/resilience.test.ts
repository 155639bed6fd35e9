import { describe, expect, test } from "vitest";
import { changed, compiled, load, problemsOf } from "../valid-config.ts";

/** The case, a line of the service, and the problem that is reported. */
const cases: readonly (readonly [sentence: string, line: string, wanted: string])[] = [
  ["checks of no kind", "health: {}", "18:13: error: health needs one of the keys path, tcp, grpc"],
  [
    "checks of two kinds",
    "health: { path: /, tcp: true }",
    '18:24: error: "path" and "tcp" cannot be used together in health',
  ],
  [
    "an invalid path",
    "health: { path: healthz }",
    '18:21: error: "healthz" is not a path: it must start with /; percent-encode # and everything but visible ASCII',
  ],
  [
    "an invalid status",
    "health: { path: /, statuses: ok }",
    '18:34: error: "ok" is not a status or a range of statuses; write it as in 204 or 200-399',
  ],
  [
    "a range that ends before it starts",
    "health: { path: /, statuses: [399-200] }",
    "18:35: error: 399-200 ends before it starts",
  ],
  [
    "an invalid gRPC service",
    "health: { grpc: false }",
    '18:21: error: expected true or the name of a gRPC service, found "false"',
  ],
  ["too frequent checks", "health: { tcp: true, interval: 1ms }", "18:36: error: 1ms is not between 100ms and 1d"],
  [
    "a share without a per cent sign",
    "outlier: { maxEjected: 50 }",
    '18:28: error: "50" is not a percentage; write 50%',
  ],
  ["a share of zero", "outlier: { maxEjected: 0% }", "18:28: error: 0% is not between 1% and 100%"],
  ["a share above 100 %", "retries: { budget: 120% }", "18:24: error: 120% is not between 1% and 100%"],
  ["zero failures", "outlier: { consecutiveFailures: 0 }", "18:37: error: 0 is too small: the minimum is 1"],
  [
    "an unknown kind of failures",
    "outlier: { failures: 4xx }",
    '18:26: error: expected 5xx or gateway, found "4xx"; did you mean "5xx"?',
  ],
  [
    "a status that is not retryable",
    "retries: { on: [404] }",
    '18:21: error: expected connect-failure, reset-before-response, 500, 502, 503 or 504, found "404"',
  ],
  ["too many attempts", "retries: { attempts: 11 }", "18:26: error: 11 is too large: the maximum is 10"],
  [
    "a body that is too large to buffer",
    "retries: { maxBody: 1GiB }",
    "18:25: error: 1GiB is not between 0 and 16777216 bytes",
  ],
  [
    "limits without a limit",
    "limits: { maxPending: 3 }",
    "18:13: error: limits needs at least one of the keys maxConnections, maxInFlight, maxIdleConnections, maxRequestsPerConnection, responseHeaders, responseHeaderCount",
  ],
  [
    "a limit on HTTP/2 connections",
    "protocol: http2\n    limits: { maxConnections: 5 }",
    "19:31: error: maxConnections applies to HTTP/1.1 only, where a connection carries one request at a time; set maxInFlight instead",
  ],
  [
    "a limit on idle HTTP/2 connections",
    "protocol: http2\n    limits: { maxIdleConnections: 5 }",
    "19:35: error: maxIdleConnections applies to HTTP/1.1 only, where a connection carries one request at a time; remove it",
  ],
  ["a limit of zero", "limits: { maxInFlight: 0 }", "18:28: error: 0 is too small: the minimum is 1"],
  [
    "a misspelt key",
    "limits: { maxInflight: 5 }",
    '18:15: error: unknown key "maxInflight" in limits; did you mean "maxInFlight"?',
  ],
];

describe("health, retries and limits", () => {
  test.each(cases)("%s", (_sentence, line, wanted) => {
    expect(problemsOf(load(changed("    timeouts: { connect: 2s }", `    ${line}`)))).toEqual([wanted]);
  });

  test("enabled features have defaults", () => {
    const lines =
      "    health: { tcp: true, interval: 1s }\n    outlier: {}\n    retries: {}\n    limits: { maxInFlight: 5 }";
    const [shop] = compiled(changed("    timeouts: { connect: 2s }", lines)).services;
    expect(shop).toMatchObject({
      health: { probe: { kind: "tcp" }, intervalMs: 1_000, timeoutMs: 1_000, healthyAfter: 2, unhealthyAfter: 3 },
      outlier: { consecutiveFailures: 5, failures: "5xx", ejectForMs: 30_000, maxEjectedShare: 0.5 },
      retries: {
        attempts: 2,
        onReset: true,
        statuses: [502, 503, 504],
        budgetShare: 0.2,
        otherVersion: false,
        maxBodyBytes: 65_536,
      },
      limits: { maxInFlight: 5, maxConnections: Number.POSITIVE_INFINITY, maxPending: 100, pendingTimeoutMs: 1_000 },
    });
  });
});
