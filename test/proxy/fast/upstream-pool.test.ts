import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { CachedClock } from "../../../src/proxy/fast/cached-clock.ts";
import { FastUpstreamPools, type UpstreamUser } from "../../../src/proxy/fast/upstream-pool.ts";
import { Endpoint } from "../../../src/upstream/endpoint.ts";
import { addressOf } from "../../../src/upstream/service-spec.ts";
import { turn } from "../../kit/bell.ts";
import { freeAfterTest, rawClient, rawUpstream } from "../../kit/freed.ts";
import { perchTo } from "../../kit/one-service.ts";

const get = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";
const response = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

function statuses(received: string): string[] {
  return received.match(/(?<=HTTP\/1\.1 )\d{3}/g) ?? [];
}

describe("the pool of an endpoint", () => {
  it("closes its oldest idle connection for a new one over the limit", async () => {
    const server = await rawUpstream(() => {});
    const pools = new FastUpstreamPools(
      new CachedClock({ nowMs: () => Date.now(), monotonicMs: () => performance.now() }),
    );
    freeAfterTest(async () => pools.destroy());
    const endpoint = new Endpoint("shop", "stable", addressOf(server.origin));
    endpoint.maxInFlight = 2;
    const connect = async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const user: UpstreamUser = {
        onUpstreamConnected: resolve,
        onUpstreamData: () => true,
        onUpstreamEnd: () => {},
        onUpstreamClosed: () => {},
        onUpstreamFlushed: () => {},
        onDefect: () => {},
      };
      const connection = pools.open(endpoint, user);
      await promise;
      return connection;
    };
    for (const connection of [await connect(), await connect()]) {
      connection.limitReuse(undefined, undefined);
      connection.leave("flushed");
      pools.release(connection);
      // Connections become idle at the end of the event loop's turn.
      pools.context.ticks.eventHandled();
    }
    await turn();
    await connect();
    await expect.poll(() => server.sockets.map(({ destroyed }) => destroyed)).toEqual([true, false, false]);
  });
});

/** An upstream that answers while this thread is busy, and resets the connection of a request to /reset. */
async function upstreamOfItsOwnThread(): Promise<string> {
  const script = `
    const { createServer } = await import("node:net");
    const { parentPort } = await import("node:worker_threads");
    const server = createServer({ noDelay: true }, (socket) => {
      socket.on("error", () => {}).on("data", (bytes) => {
        const text = bytes.toString("latin1");
        if (text.includes(" /reset ")) socket.resetAndDestroy();
        else if (text.includes(" /slow ")) setTimeout(() => socket.write(${JSON.stringify(response)}), 20);
        else socket.write(${JSON.stringify(response)});
      });
    }).listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port));
  `;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(script)}`));
  freeAfterTest(async () => void (await worker.terminate()));
  const [port] = await once(worker, "message");
  return `http://127.0.0.1:${port}`;
}

describe("an answer to a request that began when another connection was reset", () => {
  it("is not taken for bytes that came before the request", async () => {
    const { port } = await perchTo(await upstreamOfItsOwnThread());
    const [client, other] = [await rawClient(port), await rawClient(port)];
    const ask = (path: string) => `POST ${path} HTTP/1.1\r\nHost: shop.example\r\n\r\n`;
    for (let round = 0; round < 30; round++) {
      // Two connections are idle then.
      for (const each of [client, other]) each.received = "";
      for (const each of [client, other]) each.send(ask("/slow"));
      for (const each of [client, other]) await each.read((received) => received.endsWith("fine"));
      client.received = "";
      client.send(ask("/reset") + ask("/"));
      await client.read((received) => statuses(received).length === 2);
      expect(statuses(client.received)).toEqual(["502", "200"]);
    }
  });
});

describe("bytes of an upstream that answer no request", () => {
  const poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";

  it("never reach a client, also where they come with the next request", async () => {
    const stable = await rawUpstream((socket, received) => {
      // Else the kernel holds the second write back until the next request brings an acknowledgement.
      socket.setNoDelay(true);
      if (received.endsWith("\r\n\r\n")) socket.write(response);
    });
    const { port } = await perchTo(stable.origin);
    const client = await rawClient(port);
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

  it("behind a response end its connection", async () => {
    const stable = await rawUpstream((socket, received) => {
      if (received.endsWith("\r\n\r\n")) socket.write(response + poison);
    });
    const { port } = await perchTo(stable.origin);
    const client = await rawClient(port);
    for (let round = 1; round <= 5; round++) {
      client.send(get);
      await client.read((received) => statuses(received).length === round && received.endsWith("fine"));
    }
    expect(client.received).not.toContain("poison");
    expect(stable.sockets).toHaveLength(5);
  });

  it("reach no client where they come on two idle connections at once", async () => {
    const held: (() => void)[] = [];
    const stable = await rawUpstream((socket, received) => {
      socket.setNoDelay(true);
      if (received.endsWith("\r\n\r\n")) held.push(() => socket.write(response));
      if (stable.sockets.length > 2) held.pop()?.();
    });
    const { port } = await perchTo(stable.origin);
    const clients = [await rawClient(port), await rawClient(port)] as const;
    for (const client of clients) client.send(get);
    await expect.poll(() => held.length).toBe(2);
    const served = () => clients.filter(({ received }) => received.endsWith("fine")).length;
    for (const [at, answer] of held.splice(0).reverse().entries()) {
      answer();
      await expect.poll(served).toBe(at + 1);
    }
    await turn();
    // As servers do that send a 408 on all their idle connections.
    clients[0].send(get);
    for (const socket of stable.sockets)
      socket.write("HTTP/1.1 408 Request Timeout\r\nContent-Length: 6\r\n\r\npoison");
    const all = await clients[0].read((received) => statuses(received).length === 2 && /(fine|poison)$/.test(received));
    expect(statuses(all)).toEqual(["200", "200"]);
  });
});
