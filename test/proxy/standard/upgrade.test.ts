import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { freeAfterTest, perch, rawUpstream, upstream } from "../../kit/freed.ts";
import { h2Upstream } from "../../kit/h2-upstream.ts";
import { exchange, lanes, requestsInFlight, requestsTotal, shopYaml } from "../../kit/one-service.ts";
import { perchTo, sent, switchedHead, upgradeHead } from "../../kit/websocket.ts";

const headEnd = "\r\n\r\n";
const hasHead = (received: string) => received.includes(headEnd);
const linesOf = (head: string) => head.slice(0, head.indexOf(headEnd)).split("\r\n");

/** An upstream that accepts every handshake, and the heads that it received. */
async function agreeing(answer = switchedHead()) {
  const heads: string[] = [];
  const raw = await rawUpstream((socket, received) => {
    if (!hasHead(received) || heads.length === raw.sockets.length) return;
    heads.push(received);
    socket.write(answer, "latin1");
  });
  return { ...raw, heads };
}

async function webSocketServer(): Promise<{ server: WebSocketServer; origin: string }> {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  freeAfterTest(async () => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  await once(server, "listening");
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

describe("a request to upgrade", () => {
  const withUpgrade = (value: string, more: readonly string[] = []) =>
    upgradeHead(more).replace("Upgrade: websocket", `Upgrade: ${value}`);
  const cases: readonly [sentence: string, bytes: string, upgraded: boolean][] = [
    ["a browser's handshake", upgradeHead(), true],
    ["the token in any case", withUpgrade("WebSocket"), true],
    ["a handshake that says it has no body", upgradeHead(["Content-Length: 0"]), true],
    ["a handshake with an absolute target", upgradeHead([], "GET http://shop.example/chat HTTP/1.1"), true],
    ["a handshake that also expects 100", upgradeHead(["Expect: 100-continue"]), true],
    ["h2c as curl asks for it", withUpgrade("h2c", ["HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"]), false],
    ["a list with websocket in it", withUpgrade("websocket, h2c"), false],
    ["websocket with a version", withUpgrade("websocket/13"), false],
    ["two Upgrade lines", upgradeHead(["Upgrade: websocket"]), false],
    ["no Upgrade option in Connection", upgradeHead().replace("Connection: Upgrade", "Connection: close"), false],
    ["another method", upgradeHead(["Content-Length: 0"], "POST /chat HTTP/1.1"), false],
    ["HTTP/1.0", upgradeHead([], "GET /chat HTTP/1.0"), false],
    ["a handshake with a body", `${upgradeHead(["Content-Length: 2"])}hi`, false],
    ["a handshake with a chunked body", `${upgradeHead(["Transfer-Encoding: chunked"])}2\r\nhi\r\n0\r\n\r\n`, false],
  ];
  it.each(cases)("%s", async (_sentence, bytes, upgraded) => {
    const plain = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nplain";
    const heads: string[] = [];
    const stable = await rawUpstream((socket, received) => {
      if (!hasHead(received) || heads.length > 0) return;
      heads.push(received.toLowerCase());
      socket.write(received.toLowerCase().includes("upgrade: websocket") ? switchedHead() : plain);
    });
    const { port } = await perchTo([stable.origin]);
    const client = await sent(port, bytes);
    const status = upgraded ? "HTTP/1.1 101 " : "HTTP/1.1 200 ";
    expect((await client.read(hasHead)).slice(0, status.length)).toBe(status);
    if (!upgraded) {
      await client.read((received) => received.includes("plain"));
      expect(linesOf(heads[0] ?? "").filter((line) => /^(upgrade|http2-settings|expect)/.test(line))).toEqual([]);
    }
    client.close();
  });

  it("behind a request under way is a plain request", async () => {
    const answers: (() => void)[] = [];
    const stable = await upstream("stable", (request, response) => {
      const answer = () => response.end(`answer to ${request.url}`);
      if (request.url === "/slow") answers.push(answer);
      else answer();
    });
    const started = await perchTo([stable.origin]);
    const client = await sent(
      started.port,
      `GET /slow HTTP/1.1\r\nHost: shop.example\r\n\r\n${upgradeHead(["Pragma: x"])}`,
    );
    await expect.poll(() => answers.length).toBe(1);
    answers[0]?.();
    const received = await client.read((text) => text.includes("/chat"));
    expect(received.match(/answer to \/(?:slow|chat)|HTTP\/1\.1 \d+/g)).toEqual([
      "HTTP/1.1 200",
      "answer to /slow",
      "HTTP/1.1 200",
      "answer to /chat",
    ]);
    client.close();
  });

  it.each(lanes)(
    "is refused where the service has protocol http2, without an effect on the endpoint: $lane lane",
    async ({ fastLane }) => {
      const stable = await h2Upstream();
      const started = await perch(
        shopYaml({
          stable: stable.origin,
          service: "protocol: http2, outlier: { consecutiveFailures: 1 }",
          more: `fastLane: ${fastLane}`,
        }),
      );
      for (let count = 0; count < 3; count++) {
        const answer = await exchange(started.port, upgradeHead());
        expect(answer).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\n/);
        expect(answer).toContain("\r\nx-perch-error: no-websocket\r\n");
      }
      expect(stable.sessions).toEqual([]);
      expect(await started.metric(requestsTotal(502))).toBe(3);
      expect(await started.metric(requestsInFlight)).toBe(0);
      const fine = await exchange(started.port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      expect(fine).toMatch(/^HTTP\/1\.1 200 /);
    },
  );
});

describe("the handshake to the upstream", () => {
  it("has the client's lines in order and case, then those that Perch adds", async () => {
    const stable = await agreeing();
    const { port } = await perchTo([stable.origin], { more: "releases: { shop: { split: { stable: 1 } } }" });
    const client = await sent(
      port,
      upgradeHead([
        "X-One: 1",
        "x-ONE: 2",
        "__proto__: polluted",
        "Cookie: a=1; perch-shop=1.1.x; b=2",
        "Sec-WebSocket-Protocol: chat, superchat",
        "Sec-WebSocket-Extensions: permessage-deflate",
        "X-Bytes: \xe9\xff",
        "Expect: 100-continue",
        "TE: trailers",
        "X-Forwarded-For: 203.0.113.9",
      ]),
    );
    await client.read(hasHead);
    const lines = linesOf(stable.heads[0] ?? "").map((line) =>
      line.replace(/^(X-Request-Id|X-Forwarded-Port): .*/, "$1: <any>"),
    );
    expect(lines).toEqual([
      "GET /chat HTTP/1.1",
      "Host: shop.example",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      "X-One: 1",
      "X-One: 2",
      "__proto__: polluted",
      "Sec-WebSocket-Protocol: chat, superchat",
      "Sec-WebSocket-Extensions: permessage-deflate",
      "X-Bytes: \xe9\xff",
      "Cookie: a=1; b=2",
      "X-Forwarded-For: 127.0.0.1",
      "X-Forwarded-Proto: http",
      "X-Forwarded-Host: shop.example",
      "X-Forwarded-Port: <any>",
      "X-Request-Id: <any>",
      "Via: 1.1 perch",
      "Connection: Upgrade",
      "Upgrade: websocket",
    ]);
    client.close();
  });

  it.each([
    ["/a/../b//c", "/b/c"],
    ["//two//slashes", "/two/slashes"],
    ['/a|b^"{}', '/a|b^"{}'],
    ["/a?", "/a?"],
    ["/?x?y=%zz&&//", "/?x?y=%zz&&//"],
    ["/%61/\\x", "/a/\\x"],
  ])("has the target with its path in normal form: %s", async (target, wanted) => {
    const stable = await agreeing();
    const { port } = await perchTo([stable.origin]);
    const client = await sent(port, upgradeHead([], `GET ${target} HTTP/1.1`));
    await client.read(hasHead);
    expect(linesOf(stable.heads[0] ?? "")[0]).toBe(`GET ${wanted} HTTP/1.1`);
    client.close();
  });
});

describe("the 101 to the client", () => {
  it("has the upstream's lines without hop-by-hop ones, then the pin and the version", async () => {
    const stable = await agreeing(
      switchedHead([
        "Set-Cookie: a=1",
        "X-Two: 1",
        "Keep-Alive: timeout=5",
        "Set-Cookie: b=2",
        "__proto__: x",
        "Content-Length: 0",
        "Connection: X-Hop",
        "X-Hop: 1",
        "Sec-WebSocket-Protocol: chat",
      ]),
    );
    const { port } = await perchTo([stable.origin], {
      more: "exposeVersion: true\nreleases: { shop: { split: { stable: 1 }, sticky: { cookie: { maxAge: 1d } } } }",
    });
    const client = await sent(port, upgradeHead());
    const lines = linesOf(await client.read(hasHead));
    expect(lines.map((line) => line.replace(/perch-shop=1\.1\.[^;]+/, "perch-shop=<pin>"))).toEqual([
      "HTTP/1.1 101 Switching Protocols",
      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
      "Set-Cookie: a=1",
      "Set-Cookie: b=2",
      "Set-Cookie: perch-shop=<pin>; Max-Age=86400; Path=/; HttpOnly; SameSite=Lax",
      "X-Two: 1",
      "__proto__: x",
      "Sec-WebSocket-Protocol: chat",
      "Cache-Control: private",
      "x-perch-version: stable",
      "Connection: Upgrade",
      "Upgrade: websocket",
    ]);
    client.close();
  });

  it("may have as large a head as any other response", async () => {
    const large = "x".repeat(50_000);
    const stable = await agreeing(switchedHead([`X-Large: ${large}`]));
    const { port } = await perchTo([stable.origin]);
    const client = await sent(port, upgradeHead());
    expect(linesOf(await client.read(hasHead))).toContain(`X-Large: ${large}`);
    client.close();
  });

  it("pins the user: the next WebSocket and the next plain request go the same way", async () => {
    const servers = [await webSocketServer(), await webSocketServer()];
    const started = await perchTo([servers[0]?.origin ?? ""], {
      more: "exposeVersion: true\nreleases: { shop: { split: { stable: 1, canary: 1 } } }",
      canary: [servers[1]?.origin ?? ""],
    });
    const first = new WebSocket(`ws://127.0.0.1:${started.port}/`);
    const [{ headers }] = await once(first, "upgrade");
    const cookie = String(headers["set-cookie"]).split(";")[0] ?? "";
    const version = headers["x-perch-version"];
    for (let i = 0; i < 8; i++) {
      const again = new WebSocket(`ws://127.0.0.1:${started.port}/`, { headers: { cookie } });
      const [response] = await once(again, "upgrade");
      expect(response.headers).toMatchObject({ "x-perch-version": version });
      expect(response.headers["set-cookie"]).toBeUndefined();
      again.terminate();
    }
    const plain = await fetch(started.origin, { headers: { cookie } });
    expect([plain.status, plain.headers.get("x-perch-version")]).toEqual([426, version]);
    first.terminate();
  });

  it("follows a rule that sends the WebSocket to the canary", async () => {
    const [stable, canary] = [await webSocketServer(), await webSocketServer()];
    const started = await perchTo([stable.origin], {
      more: `
attributes: { region: { type: string, from: [{ header: x-region }] } }
releases: { shop: { rules: [{ name: east, when: { region: east }, use: canary }] } }`,
      canary: [canary.origin],
    });
    const client = new WebSocket(`ws://127.0.0.1:${started.port}/`, { headers: { "x-region": "east" } });
    canary.server.on("connection", (socket) => socket.on("message", (data) => socket.send(`canary got ${data}`)));
    await once(client, "open");
    client.send("hello");
    expect(String((await once(client, "message"))[0])).toBe("canary got hello");
    client.close(1000, "bye");
    expect((await once(client, "close"))[0]).toBe(1000);
    expect(await started.outcomes(1)).toMatchObject([
      {
        status: 101,
        version: "canary",
        reason: "rule",
        rule: "east",
        method: "GET",
        attempts: 1,
        upstream: canary.origin,
      },
    ]);
  });
});
