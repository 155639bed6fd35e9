import { describe, expect, it, test } from "vitest";
import type { ErrorCode } from "../../src/errors.ts";
import { grpcStatusOfError, grpcStatusOfHttp, judgedStatus, readGrpcStatus } from "../../src/http/grpc-status.ts";

describe("a grpc-status field", () => {
  test.each([
    ["0", 0],
    ["9", 9],
    ["16", 16],
    ["17", 2],
    ["-1", 2],
    ["014", 2],
    ["1e1", 2],
    ["", 2],
  ])("%j is %i", (text, wanted) => {
    expect(readGrpcStatus(text)).toBe(wanted);
  });
});

describe("judgedStatus", () => {
  test.each<[string, number, number | undefined, number]>([
    ["is the HTTP status without gRPC", 404, undefined, 404],
    ["ok", 200, 0, 200],
    ["cancelled", 200, 1, 200],
    ["invalid argument", 200, 3, 200],
    ["not found", 200, 5, 200],
    ["permission denied", 200, 7, 200],
    ["unknown", 200, 2, 500],
    ["deadline exceeded", 200, 4, 504],
    ["unimplemented", 200, 12, 501],
    ["internal", 200, 13, 500],
    ["unavailable", 200, 14, 503],
    ["data loss", 200, 15, 500],
    ["is the HTTP status if the client closed the connection", 499, 1, 499],
  ])("%s", (_what, status, grpcStatus, wanted) => {
    expect(judgedStatus(status, grpcStatus)).toBe(wanted);
  });
});

test.each<[ErrorCode, number]>([
  ["no-route", 12],
  ["connect-failed", 14],
  ["connect-timeout", 14],
  ["upstream-timeout", 4],
  ["upstream-reset", 14],
  ["no-healthy-endpoint", 14],
  ["overloaded", 14],
  ["body-too-large", 8],
  ["headers-too-large", 8],
  ["client-closed", 1],
  ["bad-request", 13],
  ["internal-error", 13],
])("%s is grpc-status %i", (code, wanted) => {
  expect(grpcStatusOfError(code)).toBe(wanted);
});

it("an HTTP status without a mapping is unknown", () => {
  expect([grpcStatusOfHttp(302), grpcStatusOfHttp(200)]).toEqual([2, 2]);
});
