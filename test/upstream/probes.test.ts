import { once } from "node:events";
import { createServer as createHttp, type Server } from "node:http";
import {
  createServer as createHttp2,
  createSecureServer as createSecureHttp2,
  type ServerHttp2Stream,
} from "node:http2";
import { createServer as createHttps } from "node:https";
import type { AddressInfo, Server as NetServer } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { networkProbe, readHealthResponse } from "../../src/upstream/probes.ts";
import {
  addressOf,
  type HealthSpec,
  type ProbeSpec,
  type UpstreamTls,
  unixAddress,
} from "../../src/upstream/service-spec.ts";
import { testCertificate, testKey } from "../kit/certificate.ts";
import { freeAfterTest, rawUpstream, upstream } from "../kit/freed.ts";
import { temporaryFolder } from "../kit/served.ts";
import { refusedOrigin } from "../kit/upstream.ts";

const path: ProbeSpec = { kind: "http", path: "/healthz?full=1", headers: [], statuses: [{ from: 200, to: 399 }] };

function ask(origin: string, probe: ProbeSpec, more: Partial<HealthSpec> = {}, signal = new AbortController().signal) {
  const spec = { probe, protocol: "http1", intervalMs: 1_000, timeoutMs: 1_000, healthyAfter: 1, unhealthyAfter: 1 };
  const address = origin.startsWith("unix:") ? unixAddress(origin.slice(5)) : addressOf(origin);
  return networkProbe(address, { ...spec, ...more } as HealthSpec, signal);
}

async function listening(server: NetServer | Server, at: string | number = 0): Promise<string> {
  if (typeof at === "string") server.listen(at);
  else server.listen(at, "127.0.0.1");
  await once(server, "listening");
  freeAfterTest(async () => void server.close());
  return typeof at === "string" ? `unix:${at}` : `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const frame = (...message: number[]) => Buffer.from([0, 0, 0, 0, message.length, ...message]);

/** A gRPC server that records its calls. */
async function grpcServer(answer: (stream: ServerHttp2Stream) => void) {
  const calls: { path: string | undefined; body: string }[] = [];
  const server = createHttp2();
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    const pieces: Buffer[] = [];
    stream.on("data", (piece: Buffer) => pieces.push(piece));
    stream.on("end", () => {
      calls.push({ path: headers[":path"], body: Buffer.concat(pieces).toString("latin1") });
      answer(stream);
    });
  });
  return { origin: await listening(server), calls };
}

function serving(status: number[], grpcStatus = "0") {
  return (stream: ServerHttp2Stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": grpcStatus }));
    stream.end(frame(...status));
  };
}

describe("an HTTP probe", () => {
  it.each([
    [200, undefined, true],
    [302, undefined, true],
    [404, undefined, false],
    [503, undefined, false],
    [404, [{ from: 404, to: 404 }], true],
    [200, [{ from: 204, to: 204 }], false],
  ])("status %i, expected %j: %s", async (status, statuses, passed) => {
    const server = await upstream("a", (_request, response) => response.writeHead(status, { location: "/x" }).end());
    const found = await ask(server.origin, { ...path, statuses: statuses ?? path.statuses });
    expect(found).toEqual({ passed, why: `status ${status}` });
    expect(server.seen.map(({ method, url }) => [method, url])).toEqual([["GET", "/healthz?full=1"]]);
  });

  it("sends the configured headers, on a new connection each time", async () => {
    const server = await upstream("a");
    const headers = [
      { name: "host", value: "shop.example" },
      { name: "x-key", value: "k" },
    ];
    for (let i = 0; i < 2; i++) await ask(server.origin, { ...path, headers });
    expect(server.seen[0]?.headers).toMatchObject({ host: "shop.example", "x-key": "k", connection: "close" });
    expect(server.connections).toBe(2);
  });

  it("needs only the status, and does not wait for the body", async () => {
    const server = await rawUpstream((socket, received) => {
      if (received.endsWith("\r\n\r\n")) socket.write("HTTP/1.1 200 OK\r\n\r\nand so on");
    });
    expect(await ask(server.origin, path)).toEqual({ passed: true, why: "status 200" });
    await expect.poll(() => server.sockets[0]?.destroyed).toBe(true);
  });

  it.each([
    ["the connection is refused", refusedOrigin],
    ["the response is not HTTP", async () => (await rawUpstream((socket) => socket.write("nonsense\r\n\r\n"))).origin],
    ["the connection closes", async () => (await rawUpstream((socket) => socket.destroy())).origin],
  ])("fails if %s", async (_sentence, origin) => {
    await expect(ask(await origin(), path)).rejects.toThrow();
  });

  it("ends when it is aborted", async () => {
    const server = await rawUpstream(() => {});
    const controller = new AbortController();
    const result = ask(server.origin, path, {}, controller.signal);
    await expect.poll(() => server.sockets.length).toBe(1);
    controller.abort();
    await expect(result).rejects.toThrow();
    await expect.poll(() => server.sockets[0]?.destroyed).toBe(true);
  });

  it("works over a unix socket, and over HTTP/2 if the service uses it", async () => {
    const at = join(await temporaryFolder(), "a.sock");
    const unix = await listening(
      createHttp((_request, response) => response.end()),
      at,
    );
    expect(await ask(unix, path)).toEqual({ passed: true, why: "status 200" });
    const http2 = createHttp2((_request, response) => response.writeHead(204).end());
    expect(await ask(await listening(http2), path, { protocol: "http2" })).toEqual({ passed: true, why: "status 204" });
  });
});

describe("a probe over TLS", () => {
  const trusted: UpstreamTls = {
    ca: Buffer.from(testCertificate),
    client: undefined,
    serverName: undefined,
    verify: "certificates",
    digest: "",
  };
  const secured = { key: testKey, cert: testCertificate };

  it("verifies the endpoint like requests do, over HTTP/1.1 and HTTP/2", async () => {
    const http1 = createHttps(secured, (_request, response) => response.end());
    const origin = (await listening(http1)).replace("http:", "https:");
    expect(await ask(origin, path, { tls: trusted })).toEqual({ passed: true, why: "status 200" });
    await expect(ask(origin, path, { tls: undefined })).rejects.toMatchObject({ code: "tls-failed" });
    const http2 = createSecureHttp2(secured, (_request, response) => response.writeHead(200).end());
    const other = (await listening(http2)).replace("http:", "https:");
    expect(await ask(other, path, { tls: trusted, protocol: "http2" })).toEqual({ passed: true, why: "status 200" });
    await expect(ask(other, path, { protocol: "http2" })).rejects.toThrow();
  });
});

describe("a TCP probe", () => {
  it("passes if a connection is established, and fails otherwise", async () => {
    const server = await rawUpstream(() => {});
    expect(await ask(server.origin, { kind: "tcp" })).toEqual({ passed: true, why: "connected" });
    await expect(ask(await refusedOrigin(), { kind: "tcp" })).rejects.toThrow("ECONNREFUSED");
  });
});

describe("a gRPC probe", () => {
  it.each([
    ["SERVING", serving([8, 1]), { passed: true, why: "SERVING" }],
    ["NOT_SERVING", serving([8, 2]), { passed: false, why: "NOT_SERVING" }],
    ["an empty message", serving([]), { passed: false, why: "UNKNOWN" }],
    ["an unknown service", serving([], "5"), { passed: false, why: "grpc-status 5" }],
    [
      "a response that is not gRPC",
      (stream: ServerHttp2Stream) => stream.respond({ ":status": 404 }, { endStream: true }),
      { passed: false, why: "status 404" },
    ],
  ])("%s", async (_sentence, answer, wanted) => {
    const { origin, calls } = await grpcServer(answer);
    expect(await ask(origin, { kind: "grpc", service: "" })).toEqual(wanted);
    expect(calls).toEqual([{ path: "/grpc.health.v1.Health/Check", body: "\0\0\0\0\0" }]);
  });

  it("names one service, of any length", async () => {
    const { origin, calls } = await grpcServer(serving([8, 1]));
    for (const length of [1, 127, 128, 256]) await ask(origin, { kind: "grpc", service: "x".repeat(length) });
    const lengths = calls.map(({ body }) => [
      Buffer.from(body, "latin1").readUInt32BE(1),
      body.replace(/x+$/, "").slice(5),
    ]);
    expect(lengths).toEqual([
      [3, "\n\x01"],
      [129, "\n\x7f"],
      [131, "\n\x80\x01"],
      [259, "\n\x80\x02"],
    ]);
  });

  it("fails if the server speaks only HTTP/1.1, or sends too large a response", async () => {
    await expect(ask((await upstream("a")).origin, { kind: "grpc", service: "" })).rejects.toThrow();
    const { origin } = await grpcServer((stream) => {
      stream.respond({ ":status": 200 });
      stream.on("error", () => {}).end(Buffer.alloc(100_000));
    });
    await expect(ask(origin, { kind: "grpc", service: "" })).rejects.toThrow("response too large");
  });

  it.each([
    ["", "malformed"],
    ["\x01\0\0\0\x02\x08\x01", "malformed"],
    ["\0\0\0\0\x03\x08\x01", "malformed"],
    ["\0\0\0\0\x02\x10\x01", "malformed"],
    ["\0\0\0\0\x02\x08\x09", "malformed"],
    ["\0\0\0\0\x02\x08\x03", "SERVICE_UNKNOWN"],
  ])("decodes the message %j as %s", (bytes, wanted) => {
    expect(readHealthResponse(Buffer.from(bytes, "latin1"))).toBe(wanted);
  });
});
