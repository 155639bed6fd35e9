import { connect } from "node:net";
import { Client } from "undici";
import { clientOrigin, connectTo } from "../proxy/standard/endpoint-connector.ts";
import type { EndpointAddress } from "../upstream/endpoint-address.ts";
import type { HealthSpec, ProbeSpec } from "../upstream/service-spec.ts";
import { grpcProbe } from "./grpc-probe.ts";
import { type Http2Target, http2Exchange } from "./http2-exchange.ts";
import type { Probe, ProbeResult } from "./probe.ts";

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
