import type { Outcome } from "../../src/observe/outcome.ts";

/** A request that went well; a test breaks one field of it. */
export const fineOutcome: Outcome = {
  routeName: "shop-api",
  serviceName: "shop",
  releaseName: "shop",
  servedVersion: "stable",
  assignedVersion: "stable",
  reason: "split",
  ruleName: undefined,
  fallback: false,
  rescued: false,
  method: "GET",
  host: "shop.example.com",
  path: "/api/cart",
  status: 200,
  grpcStatus: undefined,
  error: undefined,
  requestId: "0b7c9f1e",
  traceId: undefined,
  clientAddressText: "10.1.2.3",
  bytesReceived: 0,
  bytesSent: 1024,
  durationMs: 12.34567,
  ttfbMs: 10.00049,
  upstream: "http://10.0.0.1:80",
  attemptCount: 1,
};
