import { connect as connectHttp2, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { connect, connect as connectTcp } from "node:net";
import { Client } from "undici";
import { clientOrigin, connectTo, upstreamTlsOptions } from "./connector.ts";
import type { EndpointAddress, HealthSpec, ProbeSpec, UpstreamTls } from "./service-spec.ts";

/** The result of one check. */
export interface ProbeResult {
  readonly passed: boolean;
  /** A short reason, without an address. */
  readonly why: string;
}

/** Checks an endpoint once. Ends soon after `signal` is aborted; an exception means that the check failed. */
export type Probe = (address: EndpointAddress, spec: HealthSpec, signal: AbortSignal) => Promise<ProbeResult>;

/** A short reason: the error's code if it has one. */
export function whyOf(error: unknown): string {
  if (!(error instanceof Error)) return "failed";
  const { code, cause, name } = error as Error & { code?: unknown };
  if (typeof code === "string") return code;
  return cause === undefined ? name : whyOf(cause);
}

/** Uses a new connection for each check, to see whether connections can be made at all. */
export const networkProbe: Probe = (address, spec, signal) => {
  const { probe } = spec;
  switch (probe.kind) {
    case "tcp":
      return tcpProbe(address, signal);
    case "grpc":
      return grpcProbe({ address, tls: spec.tls }, probe.service, signal);
    case "http":
      return spec.protocol === "http2"
        ? http2Probe({ address, tls: spec.tls }, probe, signal)
        : httpProbe(address, probe, spec, signal);
  }
};

type HttpProbe = Extract<ProbeSpec, { readonly kind: "http" }>;

async function httpProbe(
  address: EndpointAddress,
  probe: HttpProbe,
  { timeoutMs, tls }: HealthSpec,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const client = new Client(clientOrigin(address), { connect: connectTo(address, timeoutMs, tls), allowH2: false });
  try {
    const { statusCode, body } = await client.request({
      method: "GET",
      path: probe.path,
      headers: headersOf(probe),
      signal,
      reset: true,
    });
    // Only the status matters; the body is not read.
    body.on("error", () => {}).destroy();
    return resultOf(statusCode, probe);
  } finally {
    await client.destroy();
  }
}

async function http2Probe(to: Http2Target, probe: HttpProbe, signal: AbortSignal): Promise<ProbeResult> {
  const { host, ...fields } = headersOf(probe);
  const authority = host === undefined ? {} : { ":authority": host };
  const headers = { ":method": "GET", ":path": probe.path, ...authority, ...fields };
  const { status } = await http2Exchange(to, headers, undefined, signal);
  return resultOf(status, probe);
}

function headersOf({ headers }: HttpProbe): Record<string, string> {
  return { "user-agent": "perch", ...Object.fromEntries(headers.map(({ name, value }) => [name, value])) };
}

function resultOf(status: number, { statuses }: HttpProbe): ProbeResult {
  return { passed: statuses.some(({ from, to }) => status >= from && status <= to), why: `status ${status}` };
}

function tcpProbe({ place }: EndpointAddress, signal: AbortSignal): Promise<ProbeResult> {
  const { promise, resolve, reject } = Promise.withResolvers<ProbeResult>();
  const socket = connect({ ...place });
  signal.addEventListener("abort", () => socket.destroy(), { once: true });
  socket
    .on("connect", () => {
      socket.destroy();
      resolve({ passed: true, why: "connected" });
    })
    .on("error", reject)
    .on("close", () => reject(new Error("closed")));
  return promise;
}

const grpcHeaders = {
  ":method": "POST",
  ":path": "/grpc.health.v1.Health/Check",
  "content-type": "application/grpc",
  te: "trailers",
  "user-agent": "perch",
};

/** grpc.health.v1 (grpc/doc/health-checking.md); an empty service means the whole server. */
async function grpcProbe(to: Http2Target, service: string, signal: AbortSignal): Promise<ProbeResult> {
  const { status, fields, body } = await http2Exchange(to, grpcHeaders, healthRequest(service), signal);
  if (status !== 200) return { passed: false, why: `status ${status}` };
  const grpcStatus = fields["grpc-status"];
  if (grpcStatus !== "0") return { passed: false, why: `grpc-status ${String(grpcStatus).slice(0, 20)}` };
  const serving = readHealthResponse(body);
  return { passed: serving === "SERVING", why: serving };
}

/**
 * Encodes HealthCheckRequest { string service = 1 } after the flag and length of gRPC framing. The two messages of
 * grpc.health.v1 are too small to need a protocol buffers library. The configuration limits names to 256 bytes, so that
 * a length takes at most two.
 */
function healthRequest(service: string): Buffer {
  const name = Buffer.from(service, "utf8");
  const length = name.length < 0x80 ? [name.length] : [(name.length & 0x7f) | 0x80, name.length >> 7];
  const message = name.length === 0 ? Buffer.alloc(0) : Buffer.from([0x0a, ...length, ...name]);
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  message.copy(frame, 5);
  return frame;
}

const servingStatuses = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"] as const;
export type ServingStatus = (typeof servingStatuses)[number] | "malformed";

/** Decodes HealthCheckResponse { ServingStatus status = 1 }. */
export function readHealthResponse(frame: Buffer): ServingStatus {
  // The request announced no grpc-accept-encoding, so the message is not compressed.
  if (frame.length < 5 || frame[0] !== 0 || frame.readUInt32BE(1) !== frame.length - 5) return "malformed";
  const message = frame.subarray(5);
  // A field with the default value, 0, is omitted.
  if (message.length === 0) return "UNKNOWN";
  const [tag, status = 0] = message;
  return (message.length === 2 && tag === 0x08 && servingStatuses[status]) || "malformed";
}

export interface Http2Answer {
  readonly status: number;
  /** Headers and trailers. */
  readonly fields: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Http2Target {
  readonly address: EndpointAddress;
  readonly tls: UpstreamTls | undefined;
}

/** More than any response to a check needs. */
const maxBodyBytes = 4_096;

/** Sends one request over a new HTTP/2 connection, and reads the whole response. */
async function http2Exchange(
  { address, tls }: Http2Target,
  headers: OutgoingHttpHeaders,
  body: Buffer | undefined,
  signal: AbortSignal,
): Promise<Http2Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Http2Answer>();
  // If `request` throws, the promise is not awaited: avoid an unhandled rejection.
  promise.catch(() => {});
  const { place } = address;
  const session = connectHttp2(clientOrigin(address), {
    settings: { enablePush: false },
    ...("path" in place ? { createConnection: () => connectTcp({ ...place }) } : upstreamTlsOptions(address, tls)),
  });
  session.on("error", reject).on("close", () => reject(new Error("closed")));
  const abort = () => session.destroy();
  signal.addEventListener("abort", abort, { once: true });
  try {
    const stream = session.request(headers, { endStream: body === undefined });
    let fields: IncomingHttpHeaders = {};
    const pieces: Buffer[] = [];
    let bytes = 0;
    stream
      .on("response", (head) => {
        fields = { ...fields, ...head };
      })
      .on("trailers", (trailers) => {
        fields = { ...fields, ...trailers };
      })
      .on("data", (piece: Buffer) => {
        bytes += piece.length;
        pieces.push(piece);
        if (bytes > maxBodyBytes) reject(new Error("response too large"));
      })
      .on("error", reject)
      .on("end", () => resolve({ status: Number(fields[":status"] ?? 0), fields, body: Buffer.concat(pieces) }));
    if (body !== undefined) stream.end(body);
    return await promise;
  } finally {
    signal.removeEventListener("abort", abort);
    session.destroy();
  }
}
