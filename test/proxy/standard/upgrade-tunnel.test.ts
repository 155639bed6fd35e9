import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { numOpenSockets } from "http-proxy-3";
import { afterEach, describe, expect, it } from "vitest";
import { rawUpstream } from "../../kit/freed.ts";
import { RawClient } from "../../kit/raw-client.ts";
import { perchTo, sent, switchedHead, upgradeHead } from "../../kit/websocket.ts";

const headEnd = "\r\n\r\n";

/** An upstream that agrees, with these octets behind its 101, and hands over its side of the tunnel. */
async function tunnelEnd(behind = "") {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const raw = await rawUpstream((socket, received) => {
    if (!received.includes(headEnd) || socket.bytesWritten > 0) return;
    socket.allowHalfOpen = true;
    socket.removeAllListeners("data");
    socket.pause();
    const early = received.slice(received.indexOf(headEnd) + headEnd.length);
    if (early !== "") socket.unshift(Buffer.from(early, "latin1"));
    socket.write(switchedHead() + behind);
    resolve(socket);
  });
  return { ...raw, socket: promise };
}

/** Both ends of an open tunnel, past the head of the 101; neither closes its half because the other has. */
async function openTunnel() {
  const end = await tunnelEnd();
  const perch = await perchTo([end.origin]);
  const client = await sent(perch.port, upgradeHead());
  client.socket.allowHalfOpen = true;
  await client.read((received) => received.includes(headEnd));
  client.received = "";
  return { perch, client, upstream: await end.socket };
}

/** What comes out of a socket until it ends. */
async function textOf(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  socket.resume();
  await once(socket, "end");
  return text;
}

/** Resolves once the writer could not get rid of anything for many turns of the event loop. */
async function stalled(writer: Socket): Promise<void> {
  let left = -1;
  for (let still = 0; still < 200; still++) {
    if (writer.writableLength !== left) still = 0;
    left = writer.writableLength;
    await turn();
  }
}

afterEach(async () => {
  // http-proxy-3 counts the sockets that it was given and has not seen closed.
  await expect.poll(numOpenSockets).toBe(0);
});

describe("octets sent before the tunnel stands", () => {
  it("reach the upstream in order: behind the head, before the 101, and after it", async () => {
    const { promise: agree, resolve: agreeNow } = Promise.withResolvers<void>();
    const { promise: upstream, resolve } = Promise.withResolvers<{ socket: Socket; text: () => string }>();
    const raw = await rawUpstream((socket, received) => {
      if (!received.includes(headEnd)) return;
      text = received;
      resolve({ socket, text: () => text.slice(text.indexOf(headEnd) + headEnd.length) });
    });
    let text = "";
    const perch = await perchTo([raw.origin]);
    const client = await sent(perch.port, `${upgradeHead()}one `);
    const { socket, text: seen } = await upstream;
    client.send("two ");
    // Large enough to make Perch stop reading before the upstream has agreed.
    const many = "x".repeat(300_000);
    client.send(`${many} three `);
    agree.then(() => socket.write(switchedHead()));
    expect(seen()).toBe("");
    agreeNow();
    await client.read((received) => received.includes(headEnd));
    client.send("four");
    await expect.poll(() => seen().endsWith("four")).toBe(true);
    expect(seen()).toBe(`one two ${many} three four`);
    client.close();
    expect(await perch.outcomes(1)).toMatchObject([{ status: 101, bytesReceived: seen().length, bytesSent: 0 }]);
  });

  it("reach the client in order: right behind the 101, and after it", async () => {
    const end = await tunnelEnd("right behind, ");
    const perch = await perchTo([end.origin]);
    const client = await sent(perch.port, upgradeHead());
    (await end.socket).end("and after");
    const received = await client.read();
    expect(received.slice(received.indexOf(headEnd) + 4)).toBe("right behind, and after");
    expect(await perch.outcomes(1)).toMatchObject([{ status: 101, bytesSent: 23, bytesReceived: 0 }]);
  });
});

describe("backpressure", () => {
  const total = 64 * 1024 * 1024;
  const octets = randomBytes(total);
  const digest = createHash("sha256").update(octets).digest("hex");

  it.each(["client", "upstream"] as const)("reaches the sender when the %s does not read", async (slow) => {
    const tunnel = await openTunnel();
    const clientSocket = tunnel.client.socket;
    clientSocket.removeAllListeners("data").setEncoding("binary");
    const [reader, writer] = slow === "client" ? [clientSocket, tunnel.upstream] : [tunnel.upstream, clientSocket];
    reader.pause();
    let accepted = false;
    writer.end(octets, () => {
      accepted = true;
    });
    await stalled(writer);
    expect(accepted).toBe(false);
    const hash = createHash("sha256");
    for await (const chunk of reader) hash.update(chunk, "binary");
    expect(hash.digest("hex")).toBe(digest);
    reader.end();
    const counted = slow === "client" ? { bytesSent: total } : { bytesReceived: total };
    expect(await tunnel.perch.outcomes(1)).toMatchObject([counted]);
  });
});

describe("the end of a tunnel", () => {
  it("may come in halves: the upstream has finished, the client goes on", async () => {
    const { perch, client, upstream } = await openTunnel();
    const heard = textOf(upstream);
    upstream.end("last words");
    await once(client.socket, "end");
    expect(client.received).toBe("last words");
    client.send("still here, ");
    client.send("now done");
    client.socket.end();
    expect(await heard).toBe("still here, now done");
    expect(await perch.outcomes(1)).toMatchObject([{ status: 101, bytesReceived: 20, bytesSent: 10 }]);
  });

  it("may come in halves: the client has finished, the upstream goes on", async () => {
    const { perch, client, upstream } = await openTunnel();
    const heard = textOf(upstream);
    client.socket.end("question");
    expect(await heard).toBe("question");
    const answer = `long ${"x".repeat(16 * 1024 * 1024)} answer`;
    client.socket.pause();
    upstream.end(answer);
    await stalled(upstream);
    client.socket.resume();
    expect((await client.read()) === answer).toBe(true);
    const [line] = await perch.outcomes(1);
    expect(line).toMatchObject({ status: 101, bytesReceived: 8, bytesSent: answer.length });
    expect(line?.["error"]).toBeUndefined();
  });

  it.each(["client", "upstream"] as const)("comes by the idle timeout when only the %s has finished", async (first) => {
    const { perch, client, upstream } = await openTunnel();
    upstream.resume();
    const [finished, silent] = first === "client" ? [client.socket, upstream] : [upstream, client.socket];
    finished.end();
    await Promise.all([once(silent, "end"), once(finished, "end")]);
    expect(await perch.outcomes(1)).toMatchObject([{ status: 101 }]);
  });

  it("does not come by silence", async () => {
    const { perch, client, upstream } = await openTunnel();
    const heard = textOf(upstream);
    // Twice the idle timeout, measured by a handshake that runs into it: no clock but the proxy's own.
    for (let i = 0; i < 2; i++) {
      const other = await rawUpstream(() => {});
      const silent = await perchTo([other.origin]);
      await (await sent(silent.port, upgradeHead())).read();
    }
    client.socket.end("awake");
    expect(await heard).toBe("awake");
    upstream.end();
    await client.read();
    expect(await perch.outcomes(1)).toMatchObject([{ status: 101, bytesReceived: 5 }]);
  });

  it("is told to the upstream when the client's connection breaks", async () => {
    const { perch, client, upstream } = await openTunnel();
    const heard = textOf(upstream);
    client.socket.resetAndDestroy();
    expect(await heard).toBe("");
    expect(await perch.outcomes(1)).toMatchObject([{ status: 101, error: "client-closed" }]);
  });

  it("is told to the client when the upstream's connection breaks", async () => {
    const { perch, client, upstream } = await openTunnel();
    const told = once(client.socket, "end");
    upstream.resetAndDestroy();
    await told;
    const errors = 'perch_upstream_errors_total{service="shop",version="stable",kind="upstream-reset"}';
    await expect.poll(() => perch.metric(errors)).toBe(1);
    expect(await perch.outcomes(1)).toMatchObject([{ status: 101, error: "upstream-reset" }]);
  });

  it("reaches an upstream whose octets the client no longer takes", async () => {
    const { perch, client, upstream } = await openTunnel();
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    upstream.on("error", () => {}).on("close", resolve);
    client.socket.pause();
    upstream.write(randomBytes(32 * 1024 * 1024));
    await stalled(upstream);
    client.close();
    await closed;
    expect(await perch.outcomes(1)).toMatchObject([{ status: 101 }]);
  });
});

describe("a client that leaves before the 101", () => {
  async function waiting() {
    const { promise, resolve } = Promise.withResolvers<Socket>();
    const raw = await rawUpstream((socket) => resolve(socket));
    const perch = await perchTo([raw.origin]);
    return { perch, upstream: promise };
  }
  const leavings: readonly [sentence: string, extra: string, leave: (client: RawClient) => void][] = [
    ["by closing", "", (client) => client.close()],
    ["by closing its half", "", (client) => client.socket.end()],
    ["by a reset", "", (client) => client.socket.resetAndDestroy()],
    ["after it spoke too early", "early", (client) => client.close()],
  ];
  it.each(leavings)("%s cancels the handshake upstream", async (_sentence, extra, leave) => {
    const { perch, upstream } = await waiting();
    const client = await sent(perch.port, upgradeHead() + extra);
    const socket = await upstream;
    const left = once(socket, "close");
    leave(client);
    await left;
    expect(await perch.outcomes(1)).toMatchObject([{ status: 499, error: "client-closed", bytesSent: 0 }]);
  });

  it("while the connection is being made leaves nothing behind", async () => {
    const { perch } = await waiting();
    for (let i = 0; i < 20; i++) {
      const client = await sent(perch.port, upgradeHead());
      client.close();
    }
    const lines = await perch.outcomes(20);
    expect(new Set(lines.map((line) => line["status"]))).toEqual(new Set([499]));
  });
});

describe("when Perch stops", () => {
  it("open tunnels live on until the drain timeout, and are broken off then", async () => {
    const { perch, client, upstream } = await openTunnel();
    const heard = textOf(upstream).catch(() => "");
    let drained = false;
    const draining = perch.app.drain("test").then(() => {
      drained = true;
    });
    await expect
      .poll(() =>
        RawClient.connect(perch.port).then(
          (other) => other.close(),
          () => "refused",
        ),
      )
      .toBe("refused");
    client.send("still open");
    upstream.write("so it is");
    expect(await client.read((received) => received.endsWith("it is"))).toBe("so it is");
    expect(drained).toBe(false);
    upstream.end();
    client.socket.end();
    await draining;
    expect(await heard).toBe("still open");
  });
});
