/**
 * The two versions behind every proxy: raw sockets that answer each request with the same prepared bytes, to use as
 * little as possible of the shared core. They read GET, and POST with a Content-Length, as the load sends them.
 */
import { createServer, type Socket } from "node:net";
import { type Page, pagePath, pages, wantedHeader } from "./pages.ts";
import { endWithParent, tellParent } from "./parent.ts";
import type { UpstreamPorts } from "./running-proxy.ts";

/** Counts of the upstreams since the last report. */
export interface UpstreamReport {
  readonly stable: number;
  readonly canary: number;
  readonly connections: number;
  /** Inspected requests: a sample, since inspecting every head would use up the shared core. */
  readonly inspected: number;
  /** Of the inspected ones, those without X-Forwarded-For or X-Forwarded-Proto. */
  readonly unforwarded: number;
  /** Of the inspected ones, those that expected the other version. */
  readonly misdirected: number;
}

type Version = "stable" | "canary";

const inspectEvery = 64;
const headEnd = Buffer.from("\r\n\r\n");
const methodWithBody = "P".charCodeAt(0);

const seen = { stable: 0, canary: 0, connections: 0, inspected: 0, unforwarded: 0, misdirected: 0 };

function serveVersion(version: Version): Promise<number> {
  const answers = new Map(pages.map((page) => [pagePath(page.name), prepareAnswer(page, version)]));
  const ordinary = prepareAnswer(pages[0], version);
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => handle(socket, version, (path) => answers.get(path) ?? ordinary));
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (address === null || typeof address === "string") reject(new Error("no port"));
      else resolve(address.port);
    });
  });
}

function prepareAnswer({ bodyBytes, chunkBytes }: Page, version: Version): Buffer {
  const framing = chunkBytes === undefined ? `content-length: ${bodyBytes}` : "transfer-encoding: chunked";
  const head =
    "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncache-control: no-store\r\n" +
    `x-version: ${version}\r\n${framing}\r\n\r\n`;
  if (chunkBytes === undefined) return Buffer.from(head + "x".repeat(bodyBytes));
  const chunk = `${chunkBytes.toString(16)}\r\n${"x".repeat(chunkBytes)}\r\n`;
  return Buffer.from(`${head}${chunk.repeat(bodyBytes / chunkBytes)}0\r\n\r\n`);
}

function handle(socket: Socket, version: Version, answerTo: (path: string) => Buffer): void {
  let rest: Buffer | undefined;
  let bodyBytesLeft = 0;
  let answer: Buffer | undefined;
  seen.connections += 1;
  socket.setNoDelay(true);
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk: Buffer) => {
    const data = rest === undefined ? chunk : Buffer.concat([rest, chunk]);
    let start = 0;
    for (;;) {
      const skipped = Math.min(bodyBytesLeft, data.length - start);
      start += skipped;
      bodyBytesLeft -= skipped;
      if (bodyBytesLeft > 0) break;
      // Responses wait until the request's body is read.
      if (answer !== undefined) socket.write(answer);
      answer = undefined;
      const end = data.indexOf(headEnd, start);
      if (end === -1) break;
      seen[version] += 1;
      if (seen[version] % inspectEvery === 0) inspect(data.toString("latin1", start, end), version);
      if (data[start] === methodWithBody) bodyBytesLeft = contentLength(data.toString("latin1", start, end));
      answer = answerTo(pathOf(data.toString("latin1", start, Math.min(end, start + 64))));
      start = end + headEnd.length;
    }
    rest = start < data.length ? data.subarray(start) : undefined;
  });
}

function pathOf(startLine: string): string {
  const target = startLine.indexOf(" ") + 1;
  const end = startLine.slice(target).search(/[? ]/);
  return startLine.slice(target, target + end);
}

function contentLength(head: string): number {
  return Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
}

function inspect(head: string, version: Version): void {
  const lowerCased = head.toLowerCase();
  seen.inspected += 1;
  if (!lowerCased.includes("\r\nx-forwarded-for:") || !lowerCased.includes("\r\nx-forwarded-proto:")) {
    seen.unforwarded += 1;
  }
  const other: Version = version === "stable" ? "canary" : "stable";
  if (lowerCased.includes(`\r\n${wantedHeader}: ${other}`)) seen.misdirected += 1;
}

endWithParent();
process.on("message", () => {
  tellParent({ ...seen } satisfies UpstreamReport);
  seen.stable = seen.canary = seen.connections = seen.inspected = seen.unforwarded = seen.misdirected = 0;
});
const [stablePort, canaryPort] = await Promise.all([serveVersion("stable"), serveVersion("canary")]);
tellParent({ stablePort, canaryPort } satisfies UpstreamPorts);
