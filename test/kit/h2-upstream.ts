import {
  createSecureServer,
  createServer,
  type IncomingHttpHeaders,
  type SecureServerOptions,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { freeAfterTest } from "./freed.ts";

export interface H2Seen {
  /** Pseudo-fields and fields as received. */
  readonly raw: readonly string[];
  readonly headers: IncomingHttpHeaders;
  readonly stream: ServerHttp2Stream;
}

export interface H2Upstream {
  readonly origin: string;
  readonly port: number;
  readonly seen: readonly H2Seen[];
  readonly sessions: readonly ServerHttp2Session[];
}

/**
 * A server of node:http2, with TLS where `options` have a key, freed after the test. Default answer: 200 with the
 * request's body.
 */
export async function h2Upstream(
  answer: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void = echo,
  options: ServerOptions | SecureServerOptions = {},
): Promise<H2Upstream> {
  const seen: H2Seen[] = [];
  const sessions: ServerHttp2Session[] = [];
  const secure = "key" in options;
  const server = secure ? createSecureServer(options) : createServer(options);
  server.on("session", (session) => {
    sessions.push(session);
    session.on("error", () => {});
  });
  server.on("sessionError", () => {});
  server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, raw: unknown) => {
    stream.on("error", () => {});
    seen.push({ raw: raw as string[], headers, stream });
    answer(stream, headers);
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", () => resolve());
  await promise;
  freeAfterTest(async () => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { origin: `${secure ? "https" : "http"}://127.0.0.1:${port}`, port, seen, sessions };
}

function echo(stream: ServerHttp2Stream): void {
  stream.respond({ ":status": 200 });
  stream.pipe(stream);
}
