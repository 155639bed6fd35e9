import { describe, expect, it } from "vitest";
import { stalled } from "../../kit/bell.ts";
import { rawClient, rawUpstream, upstream } from "../../kit/freed.ts";
import { perchTo, requestsTotal } from "../../kit/one-service.ts";
import type { RawClient } from "../../kit/raw-client.ts";
import { LaneWithClock } from "./lane-with-clock.ts";

const get = (path = "/", fields = "") => `GET ${path} HTTP/1.1\r\nHost: x\r\n${fields}\r\n`;
const response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const unreachable = "http://127.0.0.1:1";

function laneTo(origin: string): Promise<LaneWithClock> {
  return LaneWithClock.start(`
services:
  shop:
    versions: { stable: { endpoints: ["${origin}"] } }
    timeouts: { connect: 5s, responseHeaders: 20s, idle: 30s }
routes:
  - { name: moved, match: { path: { prefix: /old } }, redirect: { prefix: /new } }
  - { name: all, service: shop }
`);
}

function statuses(received: string): string[] {
  return received.match(/(?<=HTTP\/1\.1 )\d{3}/g) ?? [];
}

function closing(client: RawClient): { closed: boolean } {
  const seen = { closed: client.socket.destroyed };
  client.socket.once("close", () => {
    seen.closed = true;
  });
  return seen;
}

describe("pipelined requests", () => {
  it("a thousand in one write are answered in their order", async () => {
    const stable = await upstream("stable", (request, response) => response.end(`${request.url};`));
    const { port, metric } = await perchTo(stable.origin);
    const client = await rawClient(port);
    const paths = Array.from({ length: 1_000 }, (_, at) => `/${at}`);
    client.send(paths.map((path) => get(path)).join(""));
    await client.read((received) => received.endsWith("/999;\r\n0\r\n\r\n") || received.endsWith("/999;"));
    expect(client.received.match(/\/\d+(?=;)/g)).toEqual(paths);
    await expect.poll(() => metric(requestsTotal("200"))).toBe(1_000);
  });

  it("more than Perch holds wait at the client, and none is lost", async () => {
    const stable = await upstream("stable", (_request, response, body) => response.end(`${body.length};`));
    const { port } = await perchTo(stable.origin);
    const client = await rawClient(port);
    const body = "b".repeat(50_000);
    client.send(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`.repeat(20));
    const count = (received: string) => received.match(/50000;/g)?.length ?? 0;
    await client.read((received) => count(received) === 20);
    expect(statuses(client.received)).toEqual(Array.from({ length: 20 }, () => "200"));
  });

  it("a flood waits at the client, not in Perch", { tags: ["slow"], timeout: 60_000 }, async () => {
    const stable = await upstream("stable");
    const { port } = await perchTo(stable.origin);
    const client = await rawClient(port);
    const flood = Buffer.from(get().repeat(2_000));
    let sent = 0;
    let maxUnanswered = 0;
    const flow = () => {
      client.socket.write(flood, () => {
        sent += flood.length;
        maxUnanswered = Math.max(maxUnanswered, sent - stable.seen.length * get().length);
        if (!client.socket.destroyed) flow();
      });
    };
    flow();
    await expect.poll(() => stable.seen.length, { timeout: 50_000 }).toBeGreaterThan(10_000);
    client.close();
    // More than the kernel's buffers of one connection hold, less than a Perch without backpressure takes in this time.
    expect(maxUnanswered).toBeLessThan(16 * 1024 * 1024);
  });

  it("a chunked upload, a byte in each packet, between two others", async () => {
    const stable = await upstream("stable", (_request, response, body) => response.end(`[${body}]`));
    const lane = await laneTo(stable.origin);
    const client = await lane.client();
    const chunks = "3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n";
    const all = `${get()}POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}${get()}`;
    client.socket.setNoDelay(true);
    for (const byte of all) await lane.reads(() => client.send(byte));
    await client.read((received) => (received.match(/\[/g)?.length ?? 0) === 3 && received.endsWith("]"));
    expect(client.received.match(/\[.*?\]/g)).toEqual(["[]", "[abc0123456789]", "[]"]);
  });

  it("a response that the client never took is a 499, and what was pipelined behind it is not begun", async () => {
    let requests = 0;
    const answered = new Map<unknown, number>();
    const stable = await rawUpstream((socket, received) => {
      const asked = received.split("\r\n\r\n").length - 1;
      for (let done = answered.get(socket) ?? 0; done < asked; done++) {
        requests++;
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n${"v".repeat(60_000)}`);
      }
      answered.set(socket, asked);
    });
    const { port, metric } = await perchTo(stable.origin);
    const client = await rawClient(port);
    client.socket.pause();
    client.send(get().repeat(400));
    await expect.poll(() => requests).toBeGreaterThan(0);
    const begun = await stalled(() => requests);
    client.socket.resetAndDestroy();
    const counted = async (code: string) => (await metric(requestsTotal(code))) ?? 0;
    await expect.poll(() => counted("499")).toBeGreaterThan(0);
    await stalled(() => requests);
    expect({ begun: requests, delivered: await counted("200"), gone: await counted("499") }).toEqual({
      begun,
      delivered: begun - 1,
      gone: 1,
    });
  });

  it("a defect in one costs it its response, and not the one before it", async () => {
    const { origin } = await rawUpstream((socket) => void socket.write(response));
    const lane = await laneTo(origin);
    const { pools } = lane;
    const reuse = pools.reuse.bind(pools);
    let asked = 0;
    pools.reuse = (...wanted) => {
      asked++;
      // The second begins in the very call in which the first ended.
      if (asked === 2) throw new Error("a defect of a test");
      return reuse(...wanted);
    };
    const client = await lane.client();
    client.send(get("/first") + get("/second"));
    const received = await client.read((all) => all.includes("HTTP/1.1 500"));
    expect(received.startsWith("HTTP/1.1 200 OK\r\n")).toBe(true);
    expect(lane.defects.map(String)).toEqual(["Error: a defect of a test"]);
    await expect
      .poll(() => lane.ended.map(({ path, status, error }) => [path, status, error]))
      .toEqual([
        ["/first", 200, undefined],
        ["/second", 500, "internal-error"],
      ]);
  });

  it("local replies follow one another, up to the last that the client asked for", async () => {
    const lane = await laneTo(unreachable);
    const client = await lane.client();
    client.send(get("/old/1") + get("/old/2") + get("/old/3", "Connection: close\r\n") + get("/old/4"));
    await client.read();
    const locations = Array.from(client.received.matchAll(/Location: (.*)\r/gi), ([, location]) => location);
    expect(locations).toEqual(["/new/1", "/new/2", "/new/3"]);
    expect(lane.ended.map(({ path }) => path)).toEqual(["/old/1", "/old/2", "/old/3"]);
    expect(lane.handedOver).toEqual([]);
  });
});

describe("requests of one connection", () => {
  it("each go upstream with their own Host and X-Forwarded-Host", async () => {
    const heads: string[] = [];
    const { origin } = await rawUpstream((socket, received) => {
      heads.push(received.slice(received.lastIndexOf("GET ")));
      socket.write(response);
    });
    const lane = await laneTo(origin);
    const client = await lane.client();
    const hosts = ["one.example", "two.example:81", "two.example:81", "one.example"];
    for (const [index, host] of hosts.entries()) {
      client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      await client.read((all) => all.split("ok").length > index + 1);
    }
    const sent = heads.map((head) => [/\nhost: (.*)\r/.exec(head)?.[1], /X-Forwarded-Host: (.*)\r/.exec(head)?.[1]]);
    expect(sent).toEqual(hosts.map((host) => [host, host]));
  });
});

describe("time limits", () => {
  it("a head that is not complete after 15 s is answered 408 and observed once", async () => {
    const lane = await laneTo(unreachable);
    const client = await lane.client();
    // The time runs from when the lane has read it.
    await lane.reads(() => client.send("GET / HTTP/1.1\r\nHost: x"));
    await lane.pass(14_000);
    expect(client.received).toBe("");
    await lane.pass(2_000);
    expect(statuses(await client.read())).toEqual(["408"]);
    expect(lane.ended).toMatchObject([{ status: 408, error: "request-timeout" }]);
  });

  it("lines that keep coming do not extend the time for a head (slowloris)", async () => {
    const lane = await laneTo(unreachable);
    const client = await lane.client();
    await lane.reads(() => client.send("GET / HTTP/1.1\r\nHost: x\r\n"));
    await lane.pass(10_000);
    await lane.reads(() => client.send("x-0: 1\r\n"));
    expect(client.received).toBe("");
    await lane.pass(10_000);
    expect(client.received).toMatch(/^HTTP\/1\.1 408 /);
  });

  it("a connection that was never used closes without a response", async () => {
    const lane = await laneTo(unreachable);
    const client = await lane.client();
    await lane.pass(16_000);
    expect(await client.read()).toBe("");
    expect(lane.ended).toEqual([]);
  });

  it("a connection that was used is kept for 75 s", async () => {
    const stable = await upstream("stable");
    const lane = await laneTo(stable.origin);
    const client = await lane.client();
    client.send(get());
    await client.read((received) => received.includes("hello"));
    const seen = closing(client);
    await lane.pass(74_000);
    expect(seen.closed).toBe(false);
    await lane.pass(2_000);
    await client.read();
    expect(statuses(client.received)).toEqual(["200"]);
    expect(lane.ended).toHaveLength(1);
  });

  it("an upstream that does not respond is a 504, and its connection is not kept", async () => {
    const stable = await rawUpstream(() => {});
    const lane = await laneTo(stable.origin);
    const client = await lane.client();
    client.send(get());
    await expect.poll(() => stable.sockets[0]?.bytesRead ?? 0).toBeGreaterThan(0);
    await lane.pass(19_000);
    expect(client.received).toBe("");
    await lane.pass(2_000);
    await client.read((received) => received.includes("upstream-timeout"));
    expect(lane.ended).toMatchObject([{ status: 504, error: "upstream-timeout", attemptCount: 1 }]);
    await expect.poll(() => stable.sockets[0]?.readableEnded || stable.sockets[0]?.destroyed).toBe(true);
  });

  it("an upload that stops is a 408", async () => {
    const stable = await rawUpstream(() => {});
    const lane = await laneTo(stable.origin);
    const client = await lane.client();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    await expect.poll(() => stable.sockets[0]?.bytesRead ?? 0).toBeGreaterThan(0);
    await lane.pass(31_000);
    await client.read((received) => received.includes("request-timeout"));
    expect(lane.ended).toMatchObject([{ status: 408, error: "request-timeout" }]);
  });

  it("a response that stops is aborted, never ended", async () => {
    const stable = await rawUpstream((socket) =>
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab"),
    );
    const lane = await laneTo(stable.origin);
    const client = await lane.client();
    client.send(get());
    await client.read((received) => received.endsWith("ab"));
    await lane.pass(31_000);
    expect(await client.read()).toMatch(/\r\n\r\n2\r\nab$/);
    expect(lane.ended).toMatchObject([{ status: 200, error: "upstream-timeout" }]);
  });

  it("an idle connection to an upstream is closed after 30 s, or 2 s before the end that Keep-Alive announces", async () => {
    for (const [announced, keptMs] of [
      ["", 29_000],
      ["Keep-Alive: timeout=7\r\n", 4_000],
    ] as const) {
      const stable = await rawUpstream((socket) =>
        socket.write(`HTTP/1.1 200 OK\r\n${announced}Content-Length: 2\r\n\r\nok`),
      );
      const lane = await laneTo(stable.origin);
      const client = await lane.client();
      client.send(get());
      await client.read((received) => received.endsWith("ok"));
      const [socket] = stable.sockets;
      await lane.pass(keptMs);
      expect([socket?.readableEnded, socket?.destroyed]).toEqual([false, false]);
      await lane.pass(2_000);
      await expect.poll(() => socket?.readableEnded || socket?.destroyed).toBe(true);
    }
  });

  it.each([["timeout=2"], ["timeout=1"], ["timeout=0"]])(
    "an upstream that announces %s is not used again",
    async (announced) => {
      const stable = await rawUpstream((socket) =>
        socket.write(`HTTP/1.1 200 OK\r\nKeep-Alive: ${announced}\r\nContent-Length: 2\r\n\r\nok`),
      );
      const lane = await laneTo(stable.origin);
      const client = await lane.client();
      for (let round = 1; round <= 2; round++) {
        client.send(get());
        await client.read((received) => statuses(received).length === round && received.endsWith("ok"));
      }
      expect(stable.sockets).toHaveLength(2);
    },
  );
});
