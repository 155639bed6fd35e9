import { createServer, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { expect, test } from "vitest";
import { RedisStores } from "../../src/redis/redis-stores.ts";
import type { TokenStoreSpec } from "../../src/route/route-spec.ts";
import { scheduleUnref } from "../../src/upstream/clock.ts";
import { freeAfterTest, listening } from "../kit/freed.ts";
import { certPem, keyPem } from "../kit/pki.ts";

const mebibyte = 1024 * 1024;

/** Sends what no reply of a script is, for as long as it is taken. Returns how many bytes that were. */
function pour(socket: Socket): () => number {
  let sent = 0;
  const chunk = Buffer.alloc(64 * 1024, "a");
  const more = () => {
    while (!socket.destroyed) {
      sent += chunk.length;
      if (!socket.write(chunk)) break;
    }
  };
  socket.write("$2000000000\r\n");
  socket.on("drain", more);
  more();
  return () => sent;
}

/** What answers each command by 1, and does something before. */
async function connected(isTls: boolean, before: (socket: Socket, commands: number) => void) {
  const onSocket = (socket: Socket) => {
    socket.on("error", () => {});
    let commands = 0;
    socket.on("data", (bytes) => {
      const asked = bytes.toString("latin1").match(/EVAL(?:SHA)?\r\n/g) ?? [];
      commands += asked.length;
      before(socket, commands);
      socket.write(asked.map(() => ":1\r\n").join(""));
    });
  };
  const pair = { cert: certPem("shop"), key: keyPem("shop") };
  const port = await listening(isTls ? createTlsServer(pair, onSocket) : createServer(onSocket));
  const events: string[] = [];
  const scheduled: number[] = [];
  const stores = new RedisStores({
    events: {
      connected: () => void events.push("connected"),
      disconnected: () => void events.push("disconnected"),
      away: (_, why) => void events.push(`away: ${why}`),
      back: () => void events.push("back"),
    },
    monotonicMs: () => performance.now(),
    schedule(ms, callback) {
      scheduled.push(ms);
      return scheduleUnref(ms, callback);
    },
    randomFraction: () => 0,
  });
  freeAfterTest(async () => stores.close());
  const tls = isTls ? { ca: Buffer.from(certPem("authority")) } : undefined;
  const user = { username: undefined, password: undefined, database: 0 };
  const host = isTls ? "localhost" : "127.0.0.1";
  const spec: TokenStoreSpec = { host, port, tls, ...user, prefix: "perch", answerMs: 1_000, digest: "x" };
  const generation = stores.next();
  const store = generation.store(spec);
  generation.commit();
  await stores.settled();
  const buckets = store.buckets("all", { requests: 10, perMs: 1_000, burst: 10 });
  const take = () =>
    new Promise((resolve) => {
      if (!buckets.take("ada", resolve)) resolve("not asked");
    });
  return { events, take, scheduled };
}

const lost = "disconnected";
const flood = "away: more than 256 KiB came that answer nothing";

test.each([
  ["TCP", false],
  ["TLS", true],
])("a connection over %s on which nothing waits is given up when bytes come without end", async (_, isTls) => {
  let poured = () => 0;
  const { events } = await connected(isTls, (socket, commands) => {
    if (commands === 1) setTimeout(() => (poured = pour(socket)), 10);
  });
  await expect.poll(() => events, { interval: 5 }).toEqual(["connected", lost, flood]);
  // Most of it is what the buffers of both sockets hold, and of TLS what comes between two looks.
  expect(poured()).toBeLessThan((isTls ? 400 : 20) * mebibyte);
});

test("a connection on which bytes come without end before it is used is given up as well", async () => {
  const { events } = await connected(false, (socket) => void pour(socket));
  await expect.poll(() => events, { interval: 5 }).toContain(flood);
});

test("answers keep a connection, however many they are", async () => {
  const { events, take } = await connected(false, () => {});
  for (let round = 0; round < 20; round++) {
    const taken = await Promise.all(Array.from({ length: 4_000 }, take));
    expect(taken.every((state) => typeof state === "object")).toBe(true);
  }
  expect(events).toEqual(["connected"]);
});

test("a connection that ends while it is opened is one failure, after which there is one other", async () => {
  const sockets = new Set<Socket>();
  const { events, scheduled } = await connected(false, (socket, commands) => {
    if (sockets.add(socket).size === 1) socket.destroy();
    expect(commands).toBe(1);
  });
  await expect.poll(() => events).toEqual([expect.stringMatching(/^away: /), "connected", "back"]);
  expect(sockets.size).toBe(2);
  // Each of two connections in two seconds, with one wait between them.
  expect(scheduled).toEqual([2_000, 100, 2_000]);
});
