import { once } from "node:events";
import { type AddressInfo, connect, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { freeAfterTest } from "../kit/freed.ts";
import { type AdminSetup, adminOf, bearer, event, MemoryRollouts } from "./memory-rollouts.ts";

async function listening(setup: AdminSetup = {}) {
  const rollouts = new MemoryRollouts();
  const { server } = adminOf(rollouts, setup);
  await server.listen({ host: "127.0.0.1", port: 0 });
  freeAfterTest(() => server.close());
  const { port } = server.server.address() as AddressInfo;
  return { rollouts, server, port };
}

/** A client of `/api/events`, and what it has received. */
class Follower {
  readonly socket: Socket;
  readonly #chunks: string[] = [];

  constructor(port: number, headers: string, method = "GET", path = "/api/events") {
    this.socket = connect(port, "127.0.0.1").setEncoding("latin1").setMaxListeners(0);
    this.socket.on("error", () => {}).on("data", (more: string) => this.#chunks.push(more));
    this.socket.write(`${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`);
    freeAfterTest(async () => void this.socket.destroy());
  }

  get text(): string {
    return this.#chunks.join("");
  }

  get ids(): number[] {
    return Array.from(this.text.matchAll(/^id: (\d+)\nevent/gm), ([, id]) => Number(id));
  }

  /** Waits until the last 8,000 characters have this, or the connection closes. */
  async has(pattern: RegExp): Promise<void> {
    const closed = once(this.socket, "close");
    while (!pattern.test(this.#chunks.slice(-50).join("").slice(-8_000)) && !this.socket.destroyed) {
      await Promise.race([once(this.socket, "data"), closed]);
    }
  }
}

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

describe("the stream of events", () => {
  test("has what happens from now on, in the format of server-sent events", async () => {
    const { rollouts, port } = await listening();
    const follower = new Follower(port, "");
    await follower.has(/retry: 2000\nid: 3\n\n|\nevent: /);
    rollouts.happens(event(4, { why: "a\nb" }));
    await follower.has(/id: 4\n/);
    expect(follower.text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(follower.text).toMatch(/\r\ncontent-type: text\/event-stream\r\n/i);
    expect(follower.text).toMatch(/\r\ncache-control: no-store\r\n/i);
    expect(follower.text).toMatch(/\nid: 4\nevent: step\ndata: \{"id":4,.*"why":"a\\nb".*\}\n\n/);
    expect(follower.text).toContain("retry: 2000\nid: 3\n\n");
    expect(follower.ids).toEqual([4]);
  });

  test.each([
    { about: "the last known, by header", headers: "Last-Event-ID: 2\r\n", path: "/api/events", ids: [3, 4] },
    { about: "the last known, by query", headers: "", path: "/api/events?after=1", ids: [2, 3, 4] },
    { about: "0: all", headers: "", path: "/api/events?after=0", ids: [1, 2, 3, 4] },
    { about: "the newest", headers: "Last-Event-ID: 3\r\n", path: "/api/events", ids: [4] },
    { about: "the header before the query", headers: "Last-Event-ID: 3\r\n", path: "/api/events?after=1", ids: [4] },
  ])("goes on after $about", async ({ headers, path, ids }) => {
    const { rollouts, port } = await listening();
    const follower = new Follower(port, headers, "GET", path);
    await follower.has(/retry: 2000\nid: 3\n\n|\nevent: /);
    rollouts.happens(event(4));
    await follower.has(/id: 4\n/);
    expect(follower.ids).toEqual(ids);
    expect(follower.text).not.toContain("event: gap");
  });

  test("tells of events that are not kept any more", async () => {
    const { rollouts, port } = await listening();
    rollouts.events = [event(8), event(9)];
    const follower = new Follower(port, "Last-Event-ID: 3\r\n");
    await follower.has(/id: 9\n/);
    expect(follower.text).toContain('event: gap\ndata: {"after":3,"next":8}\n\n');
    expect(follower.ids).toEqual([8, 9]);
  });

  test("begins again for an id that is not known, since the events were lost", async () => {
    const { rollouts, port } = await listening();
    const follower = new Follower(port, "Last-Event-ID: 900\r\n");
    await follower.has(/id: 3\n/);
    rollouts.happens(event(4));
    await follower.has(/id: 4\n/);
    expect(follower.text).toContain('event: gap\ndata: {"after":900,"next":1}\n\n');
    expect(follower.ids).toEqual([1, 2, 3, 4]);
  });

  test.each(["abc", "-1", "1e3", "1234567890123456", "1 2"])("Last-Event-ID: %s is no id", async (id) => {
    const { server } = await listening();
    const answer = await server.inject({ url: "/api/events", headers: { "last-event-id": id } });
    expect([answer.statusCode, answer.json().error]).toEqual([400, "bad-query"]);
  });

  test("says regularly that it is still there", async () => {
    const { port } = await listening({ heartbeatMs: 5 });
    await new Follower(port, "").has(/(?:: still here\n\n[^:]*){3}/);
  });

  test("HEAD has the header only, and follows nothing", async () => {
    const { port, rollouts } = await listening();
    const follower = new Follower(port, "Connection: close\r\n", "HEAD");
    await once(follower.socket, "close");
    expect(follower.text).toMatch(/^HTTP\/1\.1 200 OK\r\n.*text\/event-stream.*\r\n\r\n$/s);
    expect(rollouts.followers).toBe(0);
  });

  test("is forgotten when its client goes", async () => {
    const { port, rollouts } = await listening();
    const follower = new Follower(port, "");
    await follower.has(/retry/);
    expect(rollouts.followers).toBe(1);
    follower.socket.destroy();
    await expect.poll(() => rollouts.followers).toBe(0);
  });

  test("ends when the token that opened it is withdrawn", async () => {
    let tokens = [bearer.authorization.slice(7)];
    const { port } = await listening({ heartbeatMs: 5, tokens: () => tokens });
    const follower = new Follower(port, `Authorization: ${bearer.authorization}\r\n`);
    await follower.has(/still here/);
    tokens = ["f".repeat(32)];
    await follower.has(/\r\n0\r\n\r\n$/);
  });
});

describe("exhaustion by streams (CWE-770)", () => {
  test("the 33rd at once is told to come later; a place that is left is given again", async () => {
    const { port, server, rollouts } = await listening();
    const followers = Array.from({ length: 32 }, () => new Follower(port, ""));
    await Promise.all(followers.map((follower) => follower.has(/retry/)));
    const answer = await server.inject("/api/events");
    expect([answer.statusCode, answer.json().error, answer.headers["retry-after"]]).toEqual([
      503,
      "too-many-streams",
      "5",
    ]);
    followers[0]?.socket.destroy();
    await expect.poll(() => rollouts.followers).toBe(31);
    await new Follower(port, "").has(/retry/);
  });

  /** More than the buffers of both sockets hold. */
  const big = (id: number) => event(id, { why: "x".repeat(100_000) });

  test("a client that does not read is dropped, and little is held for it until then", async () => {
    const { port, rollouts, server } = await listening({ heartbeatMs: 20 });
    const sockets: Socket[] = [];
    server.server.on("connection", (socket) => sockets.push(socket));
    const follower = new Follower(port, "");
    await follower.has(/retry/);
    follower.socket.pause();
    for (const id of numbers(4, 203)) rollouts.happens(big(id));
    expect(sockets[0]?.writableLength).toBeLessThan(600_000);
    await expect.poll(() => rollouts.followers, { timeout: 5_000 }).toBe(0);
  });

  test("a client that reads late misses nothing", async () => {
    const { port, rollouts } = await listening();
    const follower = new Follower(port, "");
    await follower.has(/retry/);
    follower.socket.pause();
    for (const id of numbers(4, 103)) rollouts.happens(big(id));
    rollouts.happens(event(104));
    follower.socket.resume();
    await follower.has(/\nid: 104\n/);
    expect(follower.ids).toEqual(numbers(4, 104));
  });

  test("a client that resumes far back gets all that is kept", async () => {
    const { port, rollouts } = await listening();
    rollouts.events = [...numbers(1, 29).map(big), event(30)];
    const follower = new Follower(port, "", "GET", "/api/events?after=0");
    await follower.has(/\nid: 30\n/);
    expect(follower.ids).toEqual(numbers(1, 30));
  });
});
