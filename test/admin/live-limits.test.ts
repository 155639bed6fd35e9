/** @module-tag slow */
import type { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { listening, numbers, ticks } from "./live-server.ts";
import { endpoint } from "./memory-live.ts";
import { bearer } from "./memory-rollouts.ts";
import { StreamClient } from "./stream-client.ts";

describe("the end of a stream of /api/live", () => {
  test("comes in the second after its token was withdrawn", async () => {
    let tokens = [bearer.authorization.slice(7), "e".repeat(32)];
    const { live, following } = await listening({ tokens: () => tokens });
    const client = await following(bearer);
    const other = await following({ authorization: `Bearer ${"e".repeat(32)}` });
    tokens = tokens.slice(1);
    live.currentEndpoints = [];
    live.pass();
    await client.until(() => client.text.endsWith("\r\n0\r\n\r\n"));
    await other.until(() => ticks(other) === 1);
    expect(client.of("tick")).toEqual([]);
    expect(client.of("change")).toEqual([]);
  });

  test("comes when the caller may do something else than it said", async () => {
    let tokens: string[] = [];
    const { live, following } = await listening({ tokens: () => tokens });
    const client = await following();
    tokens = ["f".repeat(32)];
    live.pass();
    await client.until(() => client.text.endsWith("\r\n0\r\n\r\n"));
    expect((await following()).of("state")[0]?.["access"]).toEqual({ caller: null, change: "token-needed" });
  });

  test("HEAD has the header only, and follows nothing", async () => {
    const { live, port } = await listening();
    const client = new StreamClient(port, "HEAD /api/live", { connection: "close" });
    await client.closed();
    expect(client.text).toMatch(/^HTTP\/1\.1 200 OK\r\n.*text\/event-stream.*\r\n\r\n$/s);
    expect(live.followers).toBe(0);
  });
});

describe("exhaustion by readers of /api/live (CWE-770)", () => {
  test("the 101st at once is told to come later", async () => {
    const { live, server, following } = await listening();
    const clients = await Promise.all(numbers(1, 100).map(() => following()));
    const answer = await server.inject("/api/live");
    const { statusCode, headers } = answer;
    expect([statusCode, answer.json().error, headers["retry-after"]]).toEqual([503, "too-many-streams", "5"]);
    clients[0]?.socket.destroy();
    await expect.poll(async () => (await server.inject({ method: "HEAD", url: "/api/live" })).statusCode).toBe(200);
    expect(live.followers).toBe(1);
  });

  test("one that does not read is dropped, little is held for it until then, and the others miss nothing", async () => {
    const { live, server, following } = await listening();
    const sockets: Socket[] = [];
    server.server.on("connection", (socket) => sockets.push(socket));
    const slow = await following();
    slow.socket.pause();
    const reader = await following();
    const [held] = sockets;
    let seconds = 0;
    let mostUnsent = 0;
    // As many as the buffers of the system hold, and some.
    while (held?.destroyed === false && seconds < 200) {
      live.pass("x".repeat(400_000));
      seconds++;
      mostUnsent = Math.max(mostUnsent, held.writableLength);
      await reader.until(() => ticks(reader) === seconds);
    }
    expect(seconds).toBeLessThan(200);
    expect(mostUnsent).toBeGreaterThan(1_048_576);
    expect(mostUnsent).toBeLessThan(2_000_000);
    expect(ticks(reader)).toBe(seconds);
  });

  test("one that needs more than a second for a large state gets it", { tags: ["slow"] }, async () => {
    const { live, follow } = await listening();
    // More than the buffers of the system hold, and the limit.
    live.currentEndpoints = Array.from({ length: 12_000 }, () => ({ ...endpoint, why: "y".repeat(1_000) }));
    const client = follow();
    client.socket.pause();
    await expect.poll(() => live.followers).toBe(1);
    live.pass();
    client.socket.resume();
    await client.until(() => client.text.endsWith("\n\n\r\n") && client.text.slice(-3_000).includes("event: tick"));
    expect(client.of("state")[0]?.["endpoints"]).toHaveLength(12_000);
  });
});

describe("/api/history", () => {
  test("has the points of a release", async () => {
    const { server, live } = await listening();
    const answer = await server.inject("/api/history/shop");
    expect(answer.headers["content-type"]).toBe("application/json; charset=utf-8");
    expect(answer.json()).toEqual(live.history("shop"));
  });

  test.each(["blog", "__proto__", "%00", "a%2fb"])("of %s is a problem", async (release) => {
    const { server } = await listening();
    const answer = await server.inject(`/api/history/${release}`);
    expect([answer.statusCode, answer.json().error]).toEqual([404, "no-release"]);
  });
});
