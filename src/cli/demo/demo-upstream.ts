import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { DemoVersion } from "./demo-config.ts";

/** What a version answers every request with, so that whoever reads it knows which one it was. */
export function greeting({ name, number }: DemoVersion): string {
  return `Hello from ${name} ${number}\n`;
}

export interface DemoUpstream {
  readonly origin: string;
  /** Frees the port; what is under way breaks off. */
  close(): Promise<void>;
}

/** One version of the shop, on a free port of loopback. */
export function startDemoUpstream(version: DemoVersion): Promise<DemoUpstream> {
  const text = greeting(version);
  const server = createServer((request, response) => {
    // A body that nobody reads would keep its connection from being used again.
    request.resume();
    response.writeHead(200, { "content-type": "text/plain", "content-length": text.length }).end(text);
  });
  const close = () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    server.closeAllConnections();
    return promise;
  };
  const { promise, resolve, reject } = Promise.withResolvers<DemoUpstream>();
  server.once("error", reject);
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo;
    resolve({ origin: `http://127.0.0.1:${port}`, close });
  });
  return promise;
}
