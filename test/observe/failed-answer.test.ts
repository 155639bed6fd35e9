import { describe, expect, it, test } from "vitest";
import { badAnswer, type EndedAnswer } from "../../src/observe/rollout/failed-answer.ts";
import type { BadAnswerQuestions } from "../../src/observe/rollout/rollout-report.ts";

const good: EndedAnswer = {
  status: 200,
  grpcStatus: undefined,
  error: undefined,
  fault: undefined,
  failedAttempt: false,
  durationMs: 10,
};

const questions: BadAnswerQuestions = {
  failures: new Set([500, 502, 503, 504]),
  slowLimitsMs: [100, Number.POSITIVE_INFINITY, 400],
  wantsBaselineDurations: false,
};

const failure = 0b0001;
const overFirst = 0b0010;
const overThird = 0b1000;

describe("an answer", () => {
  test.each<[string, Partial<EndedAnswer>, number | undefined]>([
    ["that is fine is good", {}, 0],
    ["with the client's fault is good", { status: 404 }, 0],
    ["with a status that is not a failure is good", { status: 501 }, 0],
    ["with a status that is a failure failed", { status: 503 }, failure],
    ["slower than a limit is slow", { durationMs: 100.1 }, overFirst],
    ["as slow as a limit is not slower", { durationMs: 100 }, 0],
    ["slower than two limits is slow for both", { durationMs: 401 }, overFirst | overThird],
    ["that was slow and failed is both", { status: 500, durationMs: 401 }, failure | overFirst | overThird],
    ["of a WebSocket that was open for long is good", { status: 101, durationMs: 3_600_000 }, 0],
    ["of a WebSocket that the upstream cut failed", { status: 101, error: "upstream-reset" }, failure],
    ["cut after its head failed", { status: 200, error: "upstream-reset" }, failure],
    ["that stalled after its head failed", { status: 200, error: "upstream-timeout" }, failure],
    ["that could not be parsed failed", { status: 502, error: "upstream-malformed" }, failure],
    ["for which no connection could be made failed", { status: 502, error: "connect-failed" }, failure],
    ["for which no endpoint is healthy failed", { status: 503, error: "no-healthy-endpoint" }, failure],
    [
      "of an upstream that was too slow for its queue failed",
      { status: 503, error: "overloaded", errorCause: "queue-full" },
      failure,
    ],
    ["after a failed attempt failed", { failedAttempt: true }, failure],
    ["of a gRPC call that went well is good", { grpcStatus: 0 }, 0],
    ["of a gRPC call that the caller got wrong is good", { grpcStatus: 5 }, 0],
    ["of a gRPC call that the server failed is a failure", { grpcStatus: 14 }, failure],
    ["to a client that left says nothing", { status: 499, error: "client-closed" }, undefined],
    ["to a client that left after an attempt failed says nothing", { status: 499, failedAttempt: true }, undefined],
    ["to a gRPC client that left says nothing", { status: 499, error: "client-closed", grpcStatus: 1 }, undefined],
    ["that was delayed on purpose says nothing", { fault: "delay", durationMs: 5_000 }, undefined],
    ["that was made on purpose says nothing", { fault: "abort", status: 503, error: "fault" }, undefined],
    ["to a malformed request says nothing", { status: 400, error: "bad-request" }, undefined],
    ["to a body that did not arrive says nothing", { status: 408, error: "request-timeout" }, undefined],
    ["to a body that was too large says nothing", { status: 413, error: "body-too-large" }, undefined],
    ["cut for a client that stalls its body says nothing", { status: 200, error: "request-timeout" }, undefined],
    ["to too many requests says nothing", { status: 429, error: "rate-limited" }, undefined],
    ["of an overloaded Perch says nothing", { status: 503, error: "overloaded", errorCause: "in-flight" }, undefined],
    [
      "without descriptors says nothing",
      { status: 503, error: "overloaded", errorCause: "out-of-resources" },
      undefined,
    ],
    ["overloaded, nobody knows how, says nothing", { status: 503, error: "overloaded" }, undefined],
    ["that a bug of Perch prevented says nothing", { status: 500, error: "internal-error" }, undefined],
    ["to a WebSocket that the service cannot have says nothing", { status: 502, error: "no-websocket" }, undefined],
  ])("%s", (_sentence, change, wanted) => {
    expect(badAnswer({ ...good, ...change }, questions)).toBe(wanted);
  });
});

it("the configured failures may be any statuses", () => {
  const only = { ...questions, failures: new Set([429]) };
  expect(badAnswer({ ...good, status: 429 }, only)).toBe(failure);
  expect(badAnswer({ ...good, status: 503 }, only)).toBe(0);
  expect(badAnswer({ ...good, status: 503, error: "upstream-refused" }, only)).toBe(failure);
});

it("there are bits for thirty limits", () => {
  const many = { ...questions, slowLimitsMs: new Array<number>(40).fill(1) };
  expect(badAnswer(good, many)).toBe(2 ** 31 - 2);
});
