import { type ErrorCode, errorTable } from "../errors.ts";

/** How gRPC ends a call, beside the HTTP status, which is 200 whatever happened (grpc/doc/statuscodes.md). */
const grpcStatuses = Object.freeze({
  ok: 0,
  cancelled: 1,
  unknown: 2,
  deadlineExceeded: 4,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
});

/** What a gRPC client takes an answer without a grpc-status for (grpc/doc/http-grpc-status-mapping.md), and more finely. */
const byHttpStatus: ReadonlyMap<number, number> = new Map([
  [400, grpcStatuses.internal],
  [401, grpcStatuses.unauthenticated],
  [403, grpcStatuses.permissionDenied],
  [404, grpcStatuses.unimplemented],
  [408, grpcStatuses.deadlineExceeded],
  [413, grpcStatuses.resourceExhausted],
  [417, grpcStatuses.internal],
  [429, grpcStatuses.unavailable],
  [431, grpcStatuses.resourceExhausted],
  [499, grpcStatuses.cancelled],
  [500, grpcStatuses.internal],
  [502, grpcStatuses.unavailable],
  [503, grpcStatuses.unavailable],
  [504, grpcStatuses.deadlineExceeded],
]);

/** The failures that are a server's own, and the HTTP status that says the same; all others are the caller's doing. */
const serverFailures: ReadonlyMap<number, number> = new Map([
  [grpcStatuses.unknown, 500],
  [grpcStatuses.deadlineExceeded, 504],
  [grpcStatuses.unimplemented, 501],
  [grpcStatuses.internal, 500],
  [grpcStatuses.unavailable, 503],
  [grpcStatuses.dataLoss, 500],
]);

/** Reads a grpc-status field. What is none of the sixteen counts as unknown, as it does for gRPC's clients. */
export function readGrpcStatus(text: string): number {
  return /^(?:\d|1[0-6])$/.test(text) ? Number(text) : grpcStatuses.unknown;
}

/** For an answer that says no grpc-status. */
export function grpcStatusOfHttp(status: number): number {
  return byHttpStatus.get(status) ?? grpcStatuses.unknown;
}

/** For an error that Perch answers itself. */
export function grpcStatusOfError(code: ErrorCode): number {
  // Nothing was asked of the upstream yet, so it is not there rather than slow.
  return code === "connect-timeout" ? grpcStatuses.unavailable : grpcStatusOfHttp(errorTable[code].status);
}

/**
 * The status that an answer is judged by, wherever failures are counted: HTTP's own, or, where that hides what gRPC says,
 * the one that says the same. `grpcStatus` is undefined where the call was none of gRPC.
 */
export function judgedStatus(status: number, grpcStatus: number | undefined): number {
  return grpcStatus === undefined ? status : (serverFailures.get(grpcStatus) ?? status);
}
