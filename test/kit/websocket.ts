import { expect } from "vitest";
import { rawClient } from "./freed.ts";
import { shopYaml } from "./one-service.ts";
import type { TestPerch } from "./perch.ts";
import type { RawClient } from "./raw-client.ts";
import { loggedPerch } from "./served.ts";

/** The head of an upgrade as a browser sends it; `lines` are further header lines. */
export function upgradeHead(lines: readonly string[] = [], requestLine = "GET /chat HTTP/1.1"): string {
  const fields = [
    "Host: shop.example",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ...lines,
  ];
  return `${requestLine}\r\n${fields.join("\r\n")}\r\n\r\n`;
}

/** The head of a 101; `lines` are further header lines. */
export function switchedHead(lines: readonly string[] = []): string {
  const fields = [
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    ...lines,
  ];
  return `HTTP/1.1 101 Switching Protocols\r\n${fields.join("\r\n")}\r\n\r\n`;
}

/** A new connection on which these bytes were sent. */
export async function sent(port: number, bytes: string): Promise<RawClient> {
  const client = await rawClient(port);
  client.send(bytes);
  return client;
}

export interface WebSocketPerch extends TestPerch {
  /** Stops Perch once this many requests have ended; their access log lines, in order. */
  outcomes(count: number): Promise<Readonly<Record<string, unknown>>[]>;
}

export interface PerchOptions {
  /** Further configuration; the route takes a release `shop` in it. */
  readonly more?: string;
  readonly canary?: readonly string[] | undefined;
  /** The route's match. Default: every request. */
  readonly match?: string;
  /** Default: 1 s, and 500 ms idle. */
  readonly timeouts?: Readonly<Record<"connect" | "responseHeaders" | "idle", string>>;
  readonly drainTimeoutMs?: number;
}

export const longTimeouts = { connect: "1m", responseHeaders: "1m", idle: "1m" };

/** Perch in front of these endpoints of the service `shop`. */
export async function perchTo(stable: readonly string[], options: PerchOptions = {}): Promise<WebSocketPerch> {
  const { more = "", canary, match = "{}", drainTimeoutMs = 5_000 } = options;
  const { timeouts = { connect: "1s", responseHeaders: "1s", idle: "500ms" } } = options;
  const service = `timeouts: ${JSON.stringify(timeouts)}`;
  const yaml = shopYaml({ stable, canary, service, route: `match: ${match}`, more });
  const started = await loggedPerch(yaml, { drainTimeoutMs });
  const ended = async () => {
    const lines = (await (await started.admin("/metrics")).text()).split("\n");
    const counts = lines.filter((line) => line.startsWith("perch_requests_total{"));
    return counts.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  };
  return {
    ...started,
    async outcomes(count) {
      await expect.poll(ended, { timeout: 5_000, interval: 5 }).toBe(count);
      return started.log();
    },
  };
}
