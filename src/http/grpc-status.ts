import { type ErrorCode, errorTable } from "../errors.ts";

/** How a gRPC call ended (grpc/doc/statuscodes.md); the HTTP status is 200 in any case. */
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

/** Parses a grpc-status field. An invalid one counts as unknown, as in gRPC clients. */
export function readGrpcStatus(text: string): number {
  return /^(?:\d|1[0-6])$/.test(text) ? Number(text) : grpcStatuses.unknown;
}

/** How gRPC clients map a response without grpc-status (grpc/doc/http-grpc-status-mapping.md), extended. */
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

/** For a response without grpc-status. */
export function grpcStatusOfHttp(status: number): number {
  return byHttpStatus.get(status) ?? grpcStatuses.unknown;
}

/** For a local reply. */
export function grpcStatusOfError(code: ErrorCode): number {
  // The request was not sent, so the upstream is unavailable rather than slow.
  return code === "connect-timeout" ? grpcStatuses.unavailable : grpcStatusOfHttp(errorTable[code].status);
}

/** The failures of a server, as HTTP statuses; all others are the caller's errors. */
const serverFailures: ReadonlyMap<number, number> = new Map([
  [grpcStatuses.unknown, 500],
  [grpcStatuses.deadlineExceeded, 504],
  [grpcStatuses.unimplemented, 501],
  [grpcStatuses.internal, 500],
  [grpcStatuses.unavailable, 503],
  [grpcStatuses.dataLoss, 500],
]);

/**
 * The status by which failures are counted: the HTTP status, or for a failed gRPC call, whose HTTP status is 200, the
 * equivalent one. `grpcStatus` is undefined if the call was not gRPC.
 */
export function judgedStatus(status: number, grpcStatus: number | undefined): number {
  return grpcStatus === undefined ? status : (serverFailures.get(grpcStatus) ?? status);
}
