import { healthRequest, readHealthResponse } from "./grpc-health.ts";
import { type Http2Target, http2Exchange } from "./http2-exchange.ts";
import type { ProbeResult } from "./probe.ts";

const headers = {
  ":method": "POST",
  ":path": "/grpc.health.v1.Health/Check",
  "content-type": "application/grpc",
  te: "trailers",
  "user-agent": "perch",
};

/** grpc.health.v1 (grpc/doc/health-checking.md); an empty service asks for the whole server. */
export async function grpcProbe(to: Http2Target, service: string, signal: AbortSignal): Promise<ProbeResult> {
  const { status, fields, body } = await http2Exchange(to, headers, healthRequest(service), signal);
  if (status !== 200) return { passed: false, why: `status ${status}` };
  const grpcStatus = fields["grpc-status"];
  if (grpcStatus !== "0") return { passed: false, why: `grpc-status ${String(grpcStatus).slice(0, 20)}` };
  const serving = readHealthResponse(body);
  return { passed: serving === "SERVING", why: serving };
}
