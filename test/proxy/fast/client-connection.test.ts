import { describe, expect, it, test } from "vitest";
import { freeAfterTest, rawUpstream, upstream } from "../../kit/freed.ts";
import { lanes, perchIn, perchTo } from "../../kit/one-service.ts";
import { RawClient } from "../../kit/raw-client.ts";
import { LaneWithClock } from "./lane-with-clock.ts";

const get = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";

async function connected(port: number): Promise<RawClient> {
  const client = await RawClient.connect(port);
  freeAfterTest(async () => client.close());
  return client;
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

function configuration(origin: string): string {
  return `
services:
  shop:
    versions: { stable: { endpoints: ["${origin}"] } }
    timeouts: { connect: 5s, responseHeaders: 20s, idle: 30s }
routes: [{ name: all, service: shop }]
`;
}

describe("pipelining", () => {
  it("a thousand requests in one write are answered in their order", async () => {
    const stable = await upstream("stable", (request, response) => response.end(`${request.url};`));
    const { port, metric } = await perchTo(stable.origin);
    const client = await connected(port);
    const paths = Array.from({ length: 1_000 }, (_, at) => `/${at}`);
    client.send(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(""));
    await client.read((received) => received.endsWith("/999;\r\n0\r\n\r\n") || received.endsWith("/999;"));
    expect(client.received.match(/\/\d+(?=;)/g)).toEqual(paths);
    const series = 'perch_requests_total{route="all",service="shop",version="stable",code="200",method="GET"}';
    await expect.poll(() => metric(series)).toBe(1_000);
  });

  it("more than is held waits at the client, and none of it is lost", async () => {
    const stable = await upstream("stable", (_request, response, body) => response.end(`${body.length};`));
    const { port } = await perchTo(stable.origin);
    const client = await connected(port);
    const body = "b".repeat(50_000);
    client.send(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`.repeat(20));
    const count = (received: string) => received.match(/50000;/g)?.length ?? 0;
    await client.read((received) => count(received) === 20);
    expect(statuses(client.received)).toEqual(Array.from({ length: 20 }, () => "200"));
  });

  it("a chunked upload, a byte in each packet, between two others", async () => {
    const stable = await upstream("stable", (_request, response, body) => response.end(`[${body}]`));
    const { port } = await perchTo(stable.origin);
    const client = await connected(port);
    const chunks = "3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n";
    const all = `${get}POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}${get}`;
    client.socket.setNoDelay(true);
    for (const byte of all) {
      client.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.read((received) => (received.match(/\[/g)?.length ?? 0) === 3 && received.endsWith("]"));
    expect(client.received.match(/\[.*?\]/g)).toEqual(["[]", "[abc0123456789]", "[]"]);
  });
});

describe("an upstream's bytes that nobody asked for", () => {
  const poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
  const answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

  it("never reach a client, also where they come with the next request", async () => {
    const stable = await rawUpstream((socket, received) => {
      // Else the kernel holds the second write back until the next request brings an acknowledgement.
      socket.setNoDelay(true);
      if (received.endsWith("\r\n\r\n")) socket.write(answer);
    });
    const { port } = await perchTo(stable.origin);
    const client = await connected(port);
    let asked = 0;
    const answered = () => client.read((received) => statuses(received).length === asked && received.endsWith("fine"));
    const ask = () => {
      client.send(get);
      asked++;
    };
    for (let round = 0; round < 200; round++) {
      ask();
      await answered();
      // Both are written before Perch reads either; a request that is sent last finds the connection gone.
      const kept = stable.sockets.filter((socket) => !socket.destroyed);
      if (round % 2 === 0) ask();
      for (const socket of kept) socket.write(poison);
      if (round % 2 === 1) ask();
      await answered();
    }
    expect(client.received).not.toContain("poison");
    expect(new Set(statuses(client.received))).toEqual(new Set(["200"]));
  });

  it("behind an answer end its connection", async () => {
    const stable = await rawUpstream((socket, received) => {
      if (received.endsWith("\r\n\r\n")) socket.write(answer + poison);
    });
    const { port } = await perchTo(stable.origin);
    const client = await connected(port);
    for (let round = 1; round <= 5; round++) {
      client.send(get);
      await client.read((received) => statuses(received).length === round && received.endsWith("fine"));
    }
    expect(client.received).not.toContain("poison");
    expect(stable.sockets).toHaveLength(5);
  });
});

describe("time limits", () => {
  it("a head that does not come whole is answered 408 and observed once", async () => {
    const lane = await LaneWithClock.start(configuration("http://127.0.0.1:1"));
    const client = await connected(lane.port);
    client.send("GET / HTTP/1.1\r\nHost: x");
    // The time runs from when the lane has read it.
    await lane.pass(0);
    await lane.pass(14_000);
    expect(client.received).toBe("");
    await lane.pass(2_000);
    expect(statuses(await client.read())).toEqual(["408"]);
    expect(lane.ended).toMatchObject([{ status: 408, error: "request-timeout" }]);
  });

  it("a connection that was never used closes without a word", async () => {
    const lane = await LaneWithClock.start(configuration("http://127.0.0.1:1"));
    const client = await connected(lane.port);
    await lane.pass(16_000);
    expect(await client.read()).toBe("");
    expect(lane.ended).toEqual([]);
  });

  it("a connection that was used is kept for 75 s", async () => {
    const stable = await upstream("stable");
    const lane = await LaneWithClock.start(configuration(stable.origin));
    const client = await connected(lane.port);
    client.send(get);
    await client.read((received) => received.includes("hello"));
    const seen = closing(client);
    await lane.pass(74_000);
    expect(seen.closed).toBe(false);
    await lane.pass(2_000);
    await client.read();
    expect(statuses(client.received)).toEqual(["200"]);
    expect(lane.ended).toHaveLength(1);
  });

  it("an upstream that does not answer is a 504, and its connection is not kept", async () => {
    const stable = await rawUpstream(() => {});
    const lane = await LaneWithClock.start(configuration(stable.origin));
    const client = await connected(lane.port);
    client.send(get);
    await expect.poll(() => stable.sockets.length).toBe(1);
    await lane.pass(19_000);
    expect(client.received).toBe("");
    await lane.pass(2_000);
    await client.read((received) => received.includes("upstream-timeout"));
    expect(lane.ended).toMatchObject([{ status: 504, error: "upstream-timeout", attemptCount: 1 }]);
    await expect.poll(() => stable.sockets[0]?.readableEnded || stable.sockets[0]?.destroyed).toBe(true);
  });

  it("an upload that falls silent is a 408", async () => {
    const stable = await rawUpstream(() => {});
    const lane = await LaneWithClock.start(configuration(stable.origin));
    const client = await connected(lane.port);
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    await expect.poll(() => stable.sockets.length).toBe(1);
    await lane.pass(31_000);
    await client.read((received) => received.includes("request-timeout"));
    expect(lane.ended).toMatchObject([{ status: 408, error: "request-timeout" }]);
  });

  it("an answer that falls silent is cut, never ended", async () => {
    const stable = await rawUpstream((socket) =>
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab"),
    );
    const lane = await LaneWithClock.start(configuration(stable.origin));
    const client = await connected(lane.port);
    client.send(get);
    await client.read((received) => received.endsWith("ab"));
    await lane.pass(31_000);
    expect(await client.read()).toMatch(/\r\n\r\n2\r\nab$/);
    expect(lane.ended).toMatchObject([{ status: 200, error: "upstream-timeout" }]);
  });

  it("an idle connection to an upstream is left after 30 s, or earlier where the upstream says when it leaves", async () => {
    for (const [announced, keptMs] of [
      ["", 29_000],
      ["Keep-Alive: timeout=7\r\n", 4_000],
    ] as const) {
      const stable = await rawUpstream((socket) =>
        socket.write(`HTTP/1.1 200 OK\r\n${announced}Content-Length: 2\r\n\r\nok`),
      );
      const lane = await LaneWithClock.start(configuration(stable.origin));
      const client = await connected(lane.port);
      client.send(get);
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
    async (word) => {
      const stable = await rawUpstream((socket) =>
        socket.write(`HTTP/1.1 200 OK\r\nKeep-Alive: ${word}\r\nContent-Length: 2\r\n\r\nok`),
      );
      const lane = await LaneWithClock.start(configuration(stable.origin));
      const client = await connected(lane.port);
      for (let round = 1; round <= 2; round++) {
        client.send(get);
        await client.read((received) => statuses(received).length === round && received.endsWith("ok"));
      }
      expect(stable.sockets).toHaveLength(2);
    },
  );
});

const turns = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test.each(lanes.filter(({ fastLane }) => fastLane === "on"))(
  "$lane lane: an answer that its client never took is a 499, and what was pipelined behind it is not begun",
  async ({ fastLane }) => {
    let requests = 0;
    const answered = new Map<unknown, number>();
    const upstream = await rawUpstream((socket, received) => {
      const asked = received.split("\r\n\r\n").length - 1;
      for (let done = answered.get(socket) ?? 0; done < asked; done++) {
        requests++;
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n${"v".repeat(60_000)}`);
      }
      answered.set(socket, asked);
    });
    const { port, metric } = await perchIn(fastLane)(upstream.origin);
    const client = await RawClient.connect(port);
    client.socket.pause();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(400));
    await turns(600);
    const begun = requests;
    client.socket.resetAndDestroy();
    const counted = async (code: string) =>
      (await metric(`perch_requests_total{route="all",service="shop",version="stable",code="${code}",method="GET"}`)) ??
      0;
    await expect.poll(() => counted("499")).toBeGreaterThan(0);
    await turns(100);
    expect({ begun: requests, delivered: await counted("200"), gone: await counted("499") }).toEqual({
      begun,
      delivered: begun - 1,
      gone: 1,
    });
  },
);

const request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

test.each(lanes.filter(({ fastLane }) => fastLane === "on"))(
  "$lane lane: a flood of pipelined requests waits at the client, not in Perch",
  { timeout: 60_000 },
  async ({ fastLane }) => {
    const stable = await upstream("stable");
    const { port } = await perchIn(fastLane)(stable.origin);
    const client = await RawClient.connect(port);
    freeAfterTest(async () => client.close());
    const answers = () => stable.seen.length;
    const flood = Buffer.from(request.repeat(2_000));
    let sent = 0;
    let most = 0;
    const flow = () => {
      client.socket.write(flood, () => {
        sent += flood.length;
        most = Math.max(most, sent - answers() * request.length);
        if (!client.socket.destroyed) flow();
      });
    };
    flow();
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    client.close();
    // What the kernel holds of a connection on this machine, and some.
    expect(most).toBeLessThan(16 * 1024 * 1024);
  },
);

const answer = "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: 2\r\n\r\nok";

it("a defect that meets a pipelined request costs it its answer, and not the one before it", async () => {
  const { origin } = await rawUpstream((socket) => void socket.write(answer));
  const lane = await LaneWithClock.start(`
services: { shop: { versions: { stable: { endpoints: ["${origin}"] } } } }
routes: [{ name: all, service: shop }]
`);
  const { pools } = lane;
  const reuse = pools.reuse.bind(pools);
  let asked = 0;
  pools.reuse = (...wanted) => {
    asked++;
    // Begun within the turn, and the very call, in which the first was answered.
    if (asked === 2) throw new Error("a defect of a test");
    return reuse(...wanted);
  };
  const client = await RawClient.connect(lane.port);
  freeAfterTest(async () => client.close());
  client.send("GET /first HTTP/1.1\r\nHost: x\r\n\r\nGET /second HTTP/1.1\r\nHost: x\r\n\r\n");
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

it("the host of each request goes on, and stands in X-Forwarded-Host", async () => {
  const heads: string[] = [];
  const { origin } = await rawUpstream((socket, received) => {
    heads.push(received.slice(received.lastIndexOf("GET ")));
    socket.write(answer);
  });
  const lane = await LaneWithClock.start(`
services: { shop: { versions: { stable: { endpoints: ["${origin}"] } } } }
routes: [{ name: all, service: shop }]
`);
  const client = await RawClient.connect(lane.port);
  freeAfterTest(async () => client.close());
  const hosts = ["one.example", "two.example:81", "two.example:81", "one.example"];
  for (const [index, host] of hosts.entries()) {
    client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await client.read((all) => all.split("ok").length > index + 1);
  }
  const told = heads.map((head) => [/\nhost: (.*)\r/.exec(head)?.[1], /X-Forwarded-Host: (.*)\r/.exec(head)?.[1]]);
  expect(told).toEqual(hosts.map((host) => [host, host]));
});

it("own answers are given one behind the other, up to the last that the client asked for", async () => {
  const lane = await LaneWithClock.start(`
services: { shop: { versions: { stable: { endpoints: ["http://127.0.0.1:1"] } } } }
routes:
  - { name: moved, match: { path: { prefix: /old } }, redirect: { prefix: /new } }
  - { name: all, service: shop }
`);
  const client = await RawClient.connect(lane.port);
  freeAfterTest(async () => client.close());
  const get = (path: string, fields = "") => `GET ${path} HTTP/1.1\r\nHost: x\r\n${fields}\r\n`;
  client.send(get("/old/1") + get("/old/2") + get("/old/3", "Connection: close\r\n") + get("/old/4"));
  await client.read();
  const locations = Array.from(client.received.matchAll(/Location: (.*)\r/gi), ([, location]) => location);
  expect(locations).toEqual(["/new/1", "/new/2", "/new/3"]);
  expect(lane.ended.map(({ path }) => path)).toEqual(["/old/1", "/old/2", "/old/3"]);
  expect(lane.handedOver).toEqual([]);
});

const yaml = `
services: { shop: { versions: { stable: { endpoints: ["http://127.0.0.1:1"] } } } }
routes: [{ name: all, service: shop }]
`;

test("a head must be complete 15 s after its first byte, however many lines came meanwhile (slowloris)", async () => {
  const lane = await LaneWithClock.start(yaml);
  const client = await RawClient.connect(lane.port);
  freeAfterTest(async () => client.close());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n");
  for (let line = 0; line < 5; line++) {
    await lane.pass(10_000);
    client.send(`x-${line}: 1\r\n`);
  }
  expect(client.received).toMatch(/^HTTP\/1\.1 408 /);
});
