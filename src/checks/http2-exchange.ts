import { connect as connectHttp2, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { connect as connectTcp } from "node:net";
import { clientOrigin } from "../proxy/standard/endpoint-connector.ts";
import { upstreamTlsOptions } from "../proxy/standard/upstream-tls-options.ts";
import type { EndpointAddress } from "../upstream/endpoint-address.ts";
import type { UpstreamTls } from "../upstream/upstream-tls.ts";

/** More than any answer to a check has to say. */
const mostBodyBytes = 4_096;

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
export async function http2Exchange(
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
        if (bytes > mostBodyBytes) reject(new Error("too long an answer"));
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
