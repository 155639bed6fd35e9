import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionOptions,
  connect,
  type SecureClientSessionOptions,
} from "node:http2";
import { freeAfterTest, perch } from "./freed.ts";

/** The response on one stream, once it closed. */
export interface H2Answer {
  /** 0 without a head. */
  readonly status: number;
  /** Name, value, name, value; without `:status`. */
  readonly fields: readonly string[];
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
  /** Whether the head ended the stream. */
  readonly headOnly: boolean;
  readonly trailers: readonly string[];
  /** Interim responses: status and fields. */
  readonly interim: readonly (readonly string[])[];
  /** The code with which the stream was closed. */
  readonly reset: number;
}

export interface H2Request {
  readonly method?: string;
  readonly path?: string;
  readonly authority?: string | undefined;
  readonly scheme?: string;
  /** Name, value, name, value. */
  readonly fields?: readonly string[];
  readonly body?: string;
  /** Does not end the stream. */
  readonly open?: boolean;
}

/** A client connection of node:http2, closed after the test. */
export class H2Client {
  readonly session: ClientHttp2Session;
  readonly goneAway: number[] = [];
  readonly closed: Promise<void>;

  constructor(origin: string, options: ClientSessionOptions | SecureClientSessionOptions = {}) {
    this.session = connect(origin, options);
    this.session.on("error", () => {});
    this.session.on("goaway", (code) => this.goneAway.push(code));
    const { promise, resolve } = Promise.withResolvers<void>();
    this.session.once("close", () => resolve());
    this.closed = promise;
    freeAfterTest(async () => this.session.destroy());
  }

  stream(request: H2Request = {}): ClientHttp2Stream {
    const { method = "GET", path = "/", scheme = "http", fields = [], body, open = false } = request;
    const authority = "authority" in request ? request.authority : "shop.example";
    const pseudo = [":method", method, ":scheme", scheme, ":path", path];
    if (authority !== undefined) pseudo.push(":authority", authority);
    const stream = this.session.request([...pseudo, ...fields], { endStream: body === undefined && !open });
    stream.on("error", () => {});
    if (body !== undefined) open ? stream.write(body) : stream.end(body);
    return stream;
  }

  get(request: H2Request = {}): Promise<H2Answer> {
    return answerOn(this.stream(request));
  }
}

/** Everything received on a stream until it closes. */
export function answerOn(stream: ClientHttp2Stream): Promise<H2Answer> {
  let fields: readonly string[] = [];
  let status = 0;
  let headOnly = false;
  let trailers: readonly string[] = [];
  const interim: (readonly string[])[] = [];
  const chunks: Buffer[] = [];
  stream.on("headers", (_headers, _flags, raw: unknown) => interim.push(raw as string[]));
  stream.on("response", (headers, flags, raw: unknown) => {
    status = headers[":status"] ?? 0;
    fields = (raw as string[]).slice(2);
    headOnly = (flags & 1) !== 0;
  });
  stream.on("trailers", (_trailers, _flags, raw: unknown) => {
    trailers = raw as string[];
  });
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  const { promise, resolve } = Promise.withResolvers<H2Answer>();
  stream.once("close", () => {
    const headers = Object.fromEntries(fields.flatMap((name, i) => (i % 2 === 0 ? [[name, fields[i + 1]]] : [])));
    const body = Buffer.concat(chunks).toString("latin1");
    resolve({ status, fields, headers, body, headOnly, trailers, interim, reset: stream.rstCode ?? 0 });
  });
  return promise;
}

export const h2cListener = `{ name: web, address: "127.0.0.1:0", h2c: true }`;

/** Perch with a listener that takes h2c, and an HTTP/2 connection to it. */
export async function h2cPerch(yaml: string) {
  const started = await perch(yaml, { listeners: h2cListener });
  return { perch: started, client: new H2Client(started.origin) };
}
