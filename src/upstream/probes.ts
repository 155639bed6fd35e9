import { connect as connectHttp2, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { connect, connect as connectTcp } from "node:net";
import { Client } from "undici";
import { clientOrigin, connectTo, upstreamTlsOptions } from "./connector.ts";
import type { EndpointAddress, HealthSpec, ProbeSpec, UpstreamTls } from "./service-spec.ts";

/** What one check found, and why in a few words, without an address. */
export interface ProbeResult {
  readonly passed: boolean;
  readonly why: string;
}

/** Asks an endpoint once. Ends soon after `signal` does; what it throws counts as failed. */
export type Probe = (address: EndpointAddress, spec: HealthSpec, signal: AbortSignal) => Promise<ProbeResult>;

/** An error in a few words: its code where it has one. */
export function whyOf(error: unknown): string {
  if (!(error instanceof Error)) return "failed";
  const { code, cause, name } = error as Error & { code?: unknown };
  if (typeof code === "string") return code;
  return cause === undefined ? name : whyOf(cause);
}

/** Asks over a connection of its own, made for each check: one that was kept would not tell whether another can be made. */
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
    // The status says it all; whatever else the answer holds, and however long it takes, is left.
    body.on("error", () => {}).destroy();
    return judge(statusCode, probe);
  } finally {
    await client.destroy();
  }
}

async function http2Probe(to: Http2Target, probe: HttpProbe, signal: AbortSignal): Promise<ProbeResult> {
  const { host, ...fields } = headersOf(probe);
  const authority = host === undefined ? {} : { ":authority": host };
  const headers = { ":method": "GET", ":path": probe.path, ...authority, ...fields };
  const { status } = await http2Exchange(to, headers, undefined, signal);
  return judge(status, probe);
}

function headersOf({ headers }: HttpProbe): Record<string, string> {
  return { "user-agent": "perch", ...Object.fromEntries(headers.map(({ name, value }) => [name, value])) };
}

function judge(status: number, { statuses }: HttpProbe): ProbeResult {
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

const headers = {
  ":method": "POST",
  ":path": "/grpc.health.v1.Health/Check",
  "content-type": "application/grpc",
  te: "trailers",
  "user-agent": "perch",
};

/** grpc.health.v1 (grpc/doc/health-checking.md); an empty service asks for the whole server. */
async function grpcProbe(to: Http2Target, service: string, signal: AbortSignal): Promise<ProbeResult> {
  const { status, fields, body } = await http2Exchange(to, headers, healthRequest(service), signal);
  if (status !== 200) return { passed: false, why: `status ${status}` };
  const grpcStatus = fields["grpc-status"];
  if (grpcStatus !== "0") return { passed: false, why: `grpc-status ${String(grpcStatus).slice(0, 20)}` };
  const serving = readHealthResponse(body);
  return { passed: serving === "SERVING", why: serving };
}

/**
 * The two messages of grpc.health.v1 as bytes: HealthCheckRequest { string service = 1 } and HealthCheckResponse
 * { ServingStatus status = 1 }, each behind a flag and its length. Too little to be worth a library of protocol buffers.
 */

const servingStatuses = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"] as const;
export type ServingStatus = (typeof servingStatuses)[number] | "malformed";

/** Names are kept to 256 bytes, so that a length takes two bytes at most. */
function healthRequest(service: string): Buffer {
  const name = Buffer.from(service, "utf8");
  const length = name.length < 0x80 ? [name.length] : [(name.length & 0x7f) | 0x80, name.length >> 7];
  const message = name.length === 0 ? Buffer.alloc(0) : Buffer.from([0x0a, ...length, ...name]);
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  message.copy(frame, 5);
  return frame;
}

export function readHealthResponse(frame: Buffer): ServingStatus {
  // Compressed it may only be if we had said that we understand it.
  if (frame.length < 5 || frame[0] !== 0 || frame.readUInt32BE(1) !== frame.length - 5) return "malformed";
  const message = frame.subarray(5);
  // A field that holds its default, 0, is left out.
  if (message.length === 0) return "UNKNOWN";
  const [tag, status = 0] = message;
  return (message.length === 2 && tag === 0x08 && servingStatuses[status]) || "malformed";
}

/** More than any answer to a check has to say. */
const maxBodyBytes = 4_096;

export interface Http2Answer {
  readonly status: number;
  /** Of the head, and of the trailers where there were any. */
  readonly fields: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Whom to ask, and how he is known. */
export interface Http2Target {
  readonly address: EndpointAddress;
  readonly tls: UpstreamTls | undefined;
}

/** One request over an HTTP/2 connection of its own, and its whole answer. */
async function http2Exchange(
  { address, tls }: Http2Target,
  headers: OutgoingHttpHeaders,
  body: Buffer | undefined,
  signal: AbortSignal,
): Promise<Http2Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Http2Answer>();
  // Where nothing comes of the request, nobody waits for this.
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
        if (bytes > maxBodyBytes) reject(new Error("too long an answer"));
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
