/** @module-tag slow */
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import net, { type Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { numOpenSockets } from "http-proxy-3";
import { afterEach, describe, expect, it } from "vitest";
import { UpgradeStandIn, UpgradeTunnel } from "../../../src/proxy/standard/websocket-tunnel.ts";
import { rawUpstream } from "../../kit/freed.ts";
import { upstreamErrors } from "../../kit/one-service.ts";
import { Pouring } from "../../kit/pouring.ts";
import { portClosed, type RawClient } from "../../kit/raw-client.ts";
import { longTimeouts, type PerchOptions, perchTo, sent, switchedHead, upgradeHead } from "../../kit/websocket.ts";

const headEnd = "\r\n\r\n";

/** An upstream that accepts, with these bytes behind its 101, and its end of the tunnel. */
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

/** Both ends of an open tunnel, after the head of the 101; both allow half-open connections. */
async function openTunnel(options: PerchOptions = {}) {
  const end = await tunnelEnd();
  const perch = await perchTo([end.origin], options);
  const client = await sent(perch.port, upgradeHead());
  client.socket.allowHalfOpen = true;
  await client.read((received) => received.includes(headEnd));
  client.received = "";
  return { perch, client, upstream: await end.socket };
}

/** Everything read from a socket until it ends. */
async function textOf(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  socket.resume();
  await once(socket, "end");
  return text;
}

afterEach(async () => {
  // http-proxy-3 counts the sockets that it has and that are not closed.
  await expect.poll(numOpenSockets).toBe(0);
});

describe("bytes sent before the tunnel is open", () => {
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
    // Large enough for Perch to stop reading before the upstream accepts.
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
  const bytes = randomBytes(total);
  const digest = createHash("sha256").update(bytes).digest("hex");

  it.each(["client", "upstream"] as const)("reaches the sender when the %s does not read", async (slow) => {
    const tunnel = await openTunnel();
    const clientSocket = tunnel.client.socket;
    clientSocket.removeAllListeners("data").setEncoding("binary");
    const [reader, writer] = slow === "client" ? [clientSocket, tunnel.upstream] : [tunnel.upstream, clientSocket];
    reader.pause();
    expect(await new Pouring(writer, bytes).stalled()).toBeGreaterThan(0);
    const hash = createHash("sha256");
    for await (const chunk of reader) hash.update(chunk, "binary");
    expect(hash.digest("hex")).toBe(digest);
    reader.end();
    const counted = slow === "client" ? { bytesSent: total } : { bytesReceived: total };
    expect(await tunnel.perch.outcomes(1)).toMatchObject([counted]);
  });
});

describe("the end of a tunnel", () => {
  it("may be half-closed by the upstream, while the client goes on", async () => {
    const { perch, client, upstream } = await openTunnel();
    const received = textOf(upstream);
    upstream.end("last words");
    await once(client.socket, "end");
    expect(client.received).toBe("last words");
    client.send("still here, ");
    client.send("now done");
    client.socket.end();
    expect(await received).toBe("still here, now done");
    expect(await perch.outcomes(1)).toMatchObject([{ status: 101, bytesReceived: 20, bytesSent: 10 }]);
  });

  it("may be half-closed by the client, while the upstream goes on", async () => {
    const { perch, client, upstream } = await openTunnel();
    const received = textOf(upstream);
    client.socket.end("question");
    expect(await received).toBe("question");
    upstream.write("long ");
    upstream.end("answer");
    expect(await client.read()).toBe("long answer");
    const [line] = await perch.outcomes(1);
    expect(line).toMatchObject({ status: 101, bytesReceived: 8, bytesSent: 11 });
    expect(line?.["error"]).toBeUndefined();
  });

  it.each(["client", "upstream"] as const)(
    "comes by the idle timeout where only the %s has closed its half",
    async (first) => {
      const { perch, client, upstream } = await openTunnel();
      upstream.resume();
      const [finished, silent] = first === "client" ? [client.socket, upstream] : [upstream, client.socket];
      finished.end();
      await Promise.all([once(silent, "end"), once(finished, "end")]);
      expect(await perch.outcomes(1)).toMatchObject([{ status: 101 }]);
    },
  );

  it("does not come by the idle timeout while both halves are open", { tags: ["slow"] }, async () => {
    const { perch, client, upstream } = await openTunnel();
    const received = textOf(upstream);
    // Twice the idle timeout, measured by a handshake that runs into it: no clock but the proxy's own.
    for (let i = 0; i < 2; i++) {
      const other = await rawUpstream(() => {});
      const silent = await perchTo([other.origin]);
      await (await sent(silent.port, upgradeHead())).read();
    }
    client.socket.end("awake");
    expect(await received).toBe("awake");
    upstream.end();
    await client.read();
    expect(await perch.outcomes(1)).toMatchObject([{ status: 101, bytesReceived: 5 }]);
  });

  it.runIf(process.platform === "linux")(
    "comes by TCP keep-alive where a peer vanished",
    { tags: ["slow"] },
    async () => {
      const { perch, client, upstream } = await openTunnel();
      const hex = (port: number | undefined) => (port ?? 0).toString(16).toUpperCase().padStart(4, "0");
      // Columns 1 and 2 are the local and remote address, column 5 the running timer (02 is keep-alive) and its ticks.
      const secondsLeft = async (local: number | undefined, remote: number | undefined) => {
        const table = (await readFile("/proc/net/tcp", "utf8")).split("\n").map((line) => line.trim().split(/\s+/));
        const row = table.find(([, from, to]) => from?.endsWith(`:${hex(local)}`) && to?.endsWith(`:${hex(remote)}`));
        const [kind, ticks = ""] = row?.[5]?.split(":") ?? [];
        return kind === "02" ? Number.parseInt(ticks, 16) / 100 : 0;
      };
      const ends = [
        [perch.port, client.socket.localPort],
        [upstream.remotePort, upstream.localPort],
      ];
      for (const [local, remote] of ends) {
        await expect.poll(() => secondsLeft(local, remote)).toBeGreaterThan(20);
        expect(await secondsLeft(local, remote)).toBeLessThanOrEqual(31);
      }
      client.close();
    },
  );

  it("reaches the upstream where the client's connection breaks", async () => {
    const { perch, client, upstream } = await openTunnel();
    const received = textOf(upstream);
    client.socket.resetAndDestroy();
    expect(await received).toBe("");
    expect(await perch.outcomes(1)).toMatchObject([{ status: 101, error: "client-closed" }]);
  });

  it("reaches the client where the upstream's connection breaks", async () => {
    const { perch, client, upstream } = await openTunnel({ timeouts: longTimeouts });
    const ended = once(client.socket, "end");
    upstream.resetAndDestroy();
    await ended;
    const errors = upstreamErrors("upstream-reset");
    await expect.poll(() => perch.metric(errors)).toBe(1);
    expect(await perch.outcomes(1)).toMatchObject([{ status: 101, error: "upstream-reset" }]);
  });

  it("reaches an upstream whose bytes the client does not read", async () => {
    const { perch, client, upstream } = await openTunnel();
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    upstream.on("error", () => {}).on("close", resolve);
    client.socket.pause();
    expect(await new Pouring(upstream, randomBytes(32 * 1024 * 1024)).stalled()).toBeGreaterThan(0);
    client.close();
    await closed;
    expect(await perch.outcomes(1)).toMatchObject([{ status: 101 }]);
  });
});

describe("bytes buffered for a slow client", () => {
  it("reach it after the upstream has closed", async () => {
    const peer = await rawUpstream(() => {});
    const [client, upstream] = [net.connect(peer.port, "127.0.0.1"), net.connect(peer.port, "127.0.0.1")];
    await expect.poll(() => peer.sockets.length).toBe(2);
    const far = peer.sockets.find((socket) => socket.remotePort === client.localPort);
    far?.removeAllListeners("data").pause();
    // Fills the kernel's buffers, so that further bytes stay in this process.
    let filled = 0;
    for (const piece = Buffer.alloc(1024 * 1024); client.writableLength < 2 * piece.length; await turn()) {
      client.write(piece);
      filled += piece.length;
    }
    const bytes = { bytesReceived: 0, bytesSent: 0 };
    const standIn = new UpgradeStandIn(client, bytes);
    const { promise: closed, resolve } = Promise.withResolvers<unknown>();
    new UpgradeTunnel(client, upstream, standIn, 5_000, resolve).start();
    standIn.open([]);
    for (const piece of ["head ", "a ", "few ", "small ", "ones"]) standIn.write(piece);
    upstream.on("close", () => standIn.end()).destroy();
    let text = "";
    for await (const chunk of far ?? []) text = (text + chunk.toString("latin1")).slice(-100);
    expect(filled).toBeGreaterThan(0);
    expect(text.replaceAll("\0", "")).toBe("head a few small ones");
    expect(bytes.bytesSent).toBe("a few small ones".length);
    expect(await closed).toBeUndefined();
  });
});

describe("a client that leaves before the 101", () => {
  async function waiting() {
    const { promise, resolve } = Promise.withResolvers<Socket>();
    const raw = await rawUpstream((socket) => resolve(socket));
    const perch = await perchTo([raw.origin], { timeouts: longTimeouts });
    return { perch, upstream: promise };
  }
  const leavings: readonly [sentence: string, extra: string, leave: (client: RawClient) => void][] = [
    ["by closing", "", (client) => client.close()],
    ["by closing its half", "", (client) => client.socket.end()],
    ["by a reset", "", (client) => client.socket.resetAndDestroy()],
    ["after bytes behind the handshake", "early", (client) => client.close()],
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

describe("an open tunnel during a drain", () => {
  it("lives on until it ends by itself", async () => {
    const { perch, client, upstream } = await openTunnel();
    const received = textOf(upstream).catch(() => "");
    let drained = false;
    const draining = perch.app.drain("test").then(() => {
      drained = true;
    });
    await portClosed(perch.port);
    client.send("still open");
    upstream.write("so it is");
    expect(await client.read((received) => received.endsWith("it is"))).toBe("so it is");
    expect(drained).toBe(false);
    upstream.end();
    client.socket.end();
    await draining;
    expect(await received).toBe("still open");
  });

  it("is aborted at the drain timeout", async () => {
    const { perch, client, upstream } = await openTunnel({ drainTimeoutMs: 50 });
    const ended = once(client.socket, "end");
    const received = textOf(upstream);
    await perch.app.drain("test");
    await ended;
    expect(await received).toBe("");
    expect(await perch.outcomes(1)).toMatchObject([{ status: 101 }]);
  });
});
