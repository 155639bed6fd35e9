/**
 * The two versions behind every proxy: raw sockets that answer each request head with the same prepared octets, so that
 * as little as possible of the shared core is spent here. They read GET only, which is all that the load sends.
 */
import { createServer, type Socket } from "node:net";
import { endWithParent, tellParent } from "./parent.ts";

export interface UpstreamsListening {
  readonly stablePort: number;
  readonly canaryPort: number;
}

/** What the upstreams saw since the last report. */
export interface UpstreamReport {
  readonly stable: number;
  readonly canary: number;
  /** Requests looked at closely: a sample, since searching every head would cost the load its core. */
  readonly inspected: number;
  /** Of the inspected ones, those without X-Forwarded-For or X-Forwarded-Proto. */
  readonly unforwarded: number;
}

const bodyBytes = Number(process.env["BENCH_BODY_BYTES"] ?? 1024);
const inspectEvery = 64;
const headEnd = Buffer.from("\r\n\r\n");

const seen = { stable: 0, canary: 0, inspected: 0, unforwarded: 0 };

function serveVersion(version: "stable" | "canary"): Promise<number> {
  const response = Buffer.from(
    "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncache-control: no-store\r\n" +
      `x-version: ${version}\r\ncontent-length: ${bodyBytes}\r\n\r\n${"x".repeat(bodyBytes)}`,
  );

  const handle = (socket: Socket) => {
    let rest: Buffer | undefined;
    socket.setNoDelay(true);
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      const data = rest === undefined ? chunk : Buffer.concat([rest, chunk]);
      let start = 0;
      for (let end = data.indexOf(headEnd); end !== -1; end = data.indexOf(headEnd, start)) {
        seen[version] += 1;
        if (seen[version] % inspectEvery === 0) inspect(data.toString("latin1", start, end));
        start = end + headEnd.length;
        socket.write(response);
      }
      rest = start < data.length ? data.subarray(start) : undefined;
    });
  };

  return new Promise((resolve, reject) => {
    const server = createServer(handle).on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (address === null || typeof address === "string") reject(new Error("no port"));
      else resolve(address.port);
    });
  });
}

function inspect(head: string): void {
  const lowerCased = head.toLowerCase();
  seen.inspected += 1;
  if (!lowerCased.includes("\r\nx-forwarded-for:") || !lowerCased.includes("\r\nx-forwarded-proto:")) {
    seen.unforwarded += 1;
  }
}

endWithParent();
process.on("message", () => {
  tellParent({ ...seen } satisfies UpstreamReport);
  seen.stable = seen.canary = seen.inspected = seen.unforwarded = 0;
});
const [stablePort, canaryPort] = await Promise.all([serveVersion("stable"), serveVersion("canary")]);
tellParent({ stablePort, canaryPort } satisfies UpstreamsListening);
