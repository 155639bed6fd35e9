import { describe, expect, test } from "vitest";
import type { DecisionLine } from "../../src/observe/live/decision-tail.ts";
import { decision, MemoryLive } from "./memory-live.ts";
import { type AdminSetup, adminOf, bearer, MemoryRollouts } from "./memory-rollouts.ts";
import { portOf, StreamClient } from "./stream-client.ts";

async function listening(setup: AdminSetup = {}) {
  const live = new MemoryLive();
  const { server } = adminOf(new MemoryRollouts(), { view: { live }, ...setup });
  const port = await portOf(server);
  const following = async (query = "", headers = {}) => {
    const client = new StreamClient(port, `GET /api/decisions${query}`, headers);
    await client.until(() => client.text.includes("retry: 2000\n\n"));
    return client;
  };
  return { live, server, port, following };
}

const batches = (client: StreamClient) => client.of("decisions");

describe("/api/decisions", () => {
  test("has the decisions that are made while somebody reads, and samples none otherwise", async () => {
    const { live, following } = await listening();
    expect(live.watchers).toBe(0);
    const client = await following();
    expect(live.watchers).toBe(1);
    live.decides({ lines: [decision], skipped: 7 });
    await client.until(() => batches(client).length === 1);
    expect(client.text).toMatch(/\r\ncontent-type: text\/event-stream\r\n/i);
    expect(batches(client)).toEqual([{ lines: [decision], skipped: 7 }]);
    client.socket.destroy();
    await expect.poll(() => live.watchers).toBe(0);
  });

  const canary: DecisionLine = { ...decision, version: "canary", reason: "rule", rule: "east" };
  const failed: DecisionLine = { ...decision, status: 503, error: "upstream-refused" };
  const blog: DecisionLine = { ...decision, release: "blog", status: 599 };
  const unrouted: DecisionLine = { ...decision, release: null, version: null, reason: null, status: 404 };
  const all = [decision, canary, failed, blog, unrouted];
  test.each([
    { query: "", lines: all },
    { query: "?release=shop", lines: [decision, canary, failed] },
    { query: "?release=null", lines: [] },
    { query: "?version=canary", lines: [canary] },
    { query: "?reason=rule", lines: [canary] },
    { query: "?rule=east", lines: [canary] },
    { query: "?rule=east&version=stable", lines: [] },
    { query: "?status=503", lines: [failed] },
    { query: "?status=5xx", lines: [failed, blog] },
    { query: "?status=5xx&release=shop", lines: [failed] },
    { query: "?status=3xx", lines: [] },
  ])("with $query has those that match, and how many were left out before", async ({ query, lines }) => {
    const { live, following } = await listening();
    const client = await following(query);
    live.decides({ lines: all, skipped: 0 });
    live.decides({ lines: [], skipped: 3 });
    await client.until(() => batches(client).some(({ skipped }) => skipped === 3));
    const matching = lines.length === 0 ? [] : [{ lines, skipped: 0 }];
    expect(batches(client)).toEqual([...matching, { lines: [], skipped: 3 }]);
  });

  test.each([
    "?x=1",
    "?release=a&release=b",
    "?status=5",
    "?status=5XX",
    "?status=099",
    "?status=",
    "?release=",
    `?rule=${"x".repeat(257)}`,
  ])("%s is a problem", async (query) => {
    const { server, live } = await listening();
    const answer = await server.inject(`/api/decisions${query}`);
    expect([answer.statusCode, answer.json().error]).toEqual([400, "bad-request"]);
    expect(live.watchers).toBe(0);
  });

  test("ends when the token that opened it is withdrawn, before it tells more", async () => {
    let tokens = [bearer.authorization.slice(7)];
    const { live, following } = await listening({ tokens: () => tokens });
    const client = await following("", bearer);
    tokens = ["f".repeat(32)];
    live.decides({ lines: [decision], skipped: 0 });
    live.decides({ lines: [decision], skipped: 0 });
    await client.until(() => client.text.endsWith("\r\n0\r\n\r\n"));
    expect(batches(client)).toEqual([]);
  });

  test("HEAD has the header only, and samples nothing", async () => {
    const { live, port } = await listening();
    const client = new StreamClient(port, "HEAD /api/decisions", { connection: "close" });
    await client.closed();
    expect(client.text).toMatch(/^HTTP\/1\.1 200 OK\r\n.*text\/event-stream.*\r\n\r\n$/s);
    expect(live.watchers).toBe(0);
  });
});

describe("exhaustion by readers of /api/decisions (CWE-770)", () => {
  test("the 21st at once is told to come later", async () => {
    const { server, live, following } = await listening();
    const clients = await Promise.all(Array.from({ length: 20 }, () => following()));
    const answer = await server.inject("/api/decisions");
    expect([answer.statusCode, answer.json().error]).toEqual([503, "too-many-streams"]);
    clients[0]?.socket.destroy();
    await expect.poll(() => live.watchers).toBe(19);
    await following();
  });

  test("one that does not read is dropped, and little is held for it until then", async () => {
    const { server, live, following } = await listening();
    const unsent: (() => number)[] = [];
    server.server.on("connection", (socket) => unsent.push(() => socket.writableLength));
    const slow = await following();
    slow.socket.pause();
    const line = { ...decision, route: "x".repeat(400_000) };
    for (let batch = 0; batch < 200; batch++) live.decides({ lines: [line], skipped: 0 });
    expect(Math.max(...unsent.map((bytes) => bytes()))).toBeLessThan(2_000_000);
    await expect.poll(() => live.watchers).toBe(0);
  });
});
