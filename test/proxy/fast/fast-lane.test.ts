import { describe, expect, it } from "vitest";
import { stalled } from "../../kit/bell.ts";
import { perch, rawClient, rawUpstream } from "../../kit/freed.ts";
import { lanes, shopAt, shopYaml } from "../../kit/one-service.ts";
import { portClosed } from "../../kit/raw-client.ts";
import { LaneWithClock } from "./lane-with-clock.ts";

const get = (path = "/") => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;

describe.each(lanes)("a drain, in the $lane lane", ({ fastLane }) => {
  it("closes a connection whose response began before it, at the end of that response", async () => {
    const stable = await rawUpstream((socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab"));
    // The drain waits longer than the test does: what ends it is the connection.
    const { app, port } = await perch(shopAt(stable.origin, `fastLane: ${fastLane}`), { drainTimeoutMs: 600_000 });
    const client = await rawClient(port);
    client.send(get());
    await client.read((received) => received.endsWith("ab"));
    const drained = app.drain("test");
    await portClosed(port);
    stable.sockets[0]?.write("cd");
    expect(await client.read()).toMatch(/abcd$/);
    await drained;
  });
});

describe("listeners that share connections to upstreams", () => {
  it("never put what one's clients send into the responses of the other", async () => {
    const bytes = 60_000;
    const responses = 150;
    let begun = 0;
    let uploaded = 0;
    const stable = await rawUpstream((socket, received) => {
      if (received.includes("POST")) uploaded = received.length - received.indexOf("POST");
      if (!received.endsWith("\r\n\r\n")) return;
      begun++;
      const large = received.lastIndexOf("GET /large") > received.lastIndexOf("GET /small");
      const body = large ? "v".repeat(bytes) : "small";
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    });
    const listeners = `{ name: a, address: "127.0.0.1:0" }, { name: b, address: "127.0.0.1:0" }`;
    const { app } = await perch(shopAt(stable.origin), { listeners });
    const [a, b] = await Promise.all(
      app.listeners.map(({ address }) => rawClient(typeof address === "string" ? 0 : address.port)),
    );
    if (a === undefined || b === undefined) throw new Error("two listeners");
    // The first listener opens the connection that the second one's requests then use.
    a.send(get("/small"));
    await a.read((received) => received.endsWith("small"));
    b.socket.pause();
    b.send(get("/large").repeat(responses));
    await expect.poll(() => begun).toBeGreaterThan(1);
    await stalled(() => begun);
    const upload = "SECRET ".repeat(8_000);
    a.send(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n${upload}`);
    await expect.poll(() => uploaded).toBeGreaterThan(upload.length);
    b.socket.resume();
    const all = await b.read((received) => received.length > responses * bytes && received.endsWith("v"));
    const foreign = all.indexOf("SECRET");
    expect(foreign < 0 ? "" : all.slice(foreign, foreign + 40)).toBe("");
  });
});

describe("a request in the same read behind one that is answered at once", () => {
  it("sends the cookies of its own head, though its connection is established only later", async () => {
    let sent = "";
    const stable = await rawUpstream((socket, received) => {
      sent = received;
      if (received.endsWith("\r\n\r\n")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
    });
    const { port } = await perch(
      shopYaml({
        stable: stable.origin,
        release: "split: { stable: 1 }",
        route: "cors: { allowOrigins: ['https://a.example'] }",
      }),
    );
    const client = await rawClient(port);
    const preflight =
      "OPTIONS / HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: GET\r\n\r\n";
    client.send(`${preflight}GET / HTTP/1.1\r\nHost: x\r\nCookie: a=1; perch-shop=forged; b=2\r\nX-Last: y\r\n\r\n`);
    await expect.poll(() => client.received).toMatch(/done$/);
    expect(sent).toContain("\r\nCookie: a=1; b=2\r\n");
  });
});

/**
 * Heads of another connection, read before the first request is answered; each leaves the lane's one parser changed.
 */
const others = [
  ["nothing", ""],
  ["a head that is not complete", "GET / HTTP/1.1\r\nHost: other.example\r\nAAAAAAAAAAAAAAAAAAAAAAAA: b\r\nX: y"],
  [
    "a head that is handed over",
    "GET / HTTP/1.1\r\nHost: other.example\r\nXX: y\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
  ],
] as const;

describe.each(others)("a request that is answered after the lane has read %s", (_what, other) => {
  /** A request under way, with the other connection's head read behind it, and its upstream's side. */
  async function overtaken(request: string, more = "") {
    const stable = await rawUpstream(() => {});
    const lane = await LaneWithClock.start(shopAt(stable.origin, more));
    const client = await lane.client();
    client.send(request);
    await expect.poll(() => stable.sockets[0]?.bytesRead ?? 0).toBeGreaterThan(0);
    const another = await lane.client();
    if (other !== "") await lane.reads(() => another.send(other));
    return { client, socket: stable.sockets[0] };
  }

  it("has a local reply in the form of its own Accept", async () => {
    const { client, socket } = await overtaken(
      "POST / HTTP/1.1\r\nHost: shop.example\r\nAccept: application/json\r\n\r\n",
    );
    socket?.resetAndDestroy();
    const answer = await client.read((received) => received.includes("\r\n\r\n"));
    expect(answer).toMatch(/^HTTP\/1\.1 502 /);
    expect(answer).toContain("Content-Type: application/json");
  });

  it("has a Secure pin, since it came by https itself", async () => {
    const { client, socket } = await overtaken(
      "GET / HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n",
      `trustedProxies: ["127.0.0.1/32"]
releases: { shop: { split: { stable: 100 }, sticky: { whenWeightsChange: follow } } }`,
    );
    socket?.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    const answer = await client.read((received) => received.includes("\r\n\r\n"));
    expect(answer).toMatch(/Set-Cookie: [^\r]*; Secure/);
  });
});
