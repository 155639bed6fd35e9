import { type IncomingHttpHeaders, request } from "node:http";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { certPem } from "./pki.ts";

export interface TlsVisit {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A TLS connection to 127.0.0.1; resolves once the handshake is complete at the client. */
export function tlsConnect(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const socket = connect({
    host: "127.0.0.1",
    port,
    servername: "shop.example",
    ca: certPem("authority"),
    ...options,
  });
  socket.once("secureConnect", () => resolve(socket));
  socket.once("error", reject);
  return promise;
}

/** One GET over a new TLS connection. Rejects with the socket's error. */
export async function tlsGet(
  port: number,
  options: ConnectionOptions = {},
  headers: Readonly<Record<string, string>> = {},
): Promise<TlsVisit> {
  return getOver(await tlsConnect(port, options), headers);
}

/** One GET over this connection, which is then destroyed. */
function getOver(socket: TLSSocket, headers: Readonly<Record<string, string>> = {}): Promise<TlsVisit> {
  const { promise, resolve, reject } = Promise.withResolvers<TlsVisit>();
  const sent = request(
    { createConnection: () => socket, headers: { host: "shop.example", ...headers } },
    (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const { statusCode: status = 0, headers: received } = response;
        resolve({ status, headers: received, body: Buffer.concat(chunks).toString("latin1") });
        socket.destroy();
      });
    },
  );
  sent.on("error", reject).end();
  return promise;
}

/** The common name of the peer's certificate. */
export const shownName = (socket: TLSSocket): string => String(socket.getPeerCertificate().subject.CN);
