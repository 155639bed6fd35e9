import { request } from "node:http";
import { describe, expect, it } from "vitest";
import { perch, rawClient, rawUpstream, upstream } from "../kit/freed.ts";
import { exchange, lanes, perchIn, requestsInFlight, requestsTotal, shopYaml } from "../kit/one-service.ts";
import { fieldLines, refusedOrigin } from "../kit/upstream.ts";

describe.each(lanes)("a request to the upstream, in the $lane lane", ({ fastLane }) => {
  const perchTo = perchIn(fastLane);

  it("has the client's headers in order and case, then what Perch adds", async () => {
    const stable = await upstream("stable");
    const { port } = await perchTo(stable.origin);
    const head = "Host: Shop.Example:80\r\nX-One: 1\r\nx-ONE: 2\r\nAccept: */*\r\nConnection: close\r\n\r\n";
    await exchange(port, `GET /a%20b?q=1&q=2 HTTP/1.1\r\n${head}`);
    const [seen] = stable.seen;
    expect(seen?.url).toBe("/a%20b?q=1&q=2");
    const lines = fieldLines(seen?.rawHeaders);
    expect(lines.map((line) => line.replace(/^(X-Request-Id: )[0-9a-f-]{36}$/, "$1<id>"))).toEqual([
      "host: Shop.Example:80",
      "connection: keep-alive",
      "X-One: 1",
      "x-ONE: 2",
      "Accept: */*",
      "X-Forwarded-For: 127.0.0.1",
      "X-Forwarded-Proto: http",
      "X-Forwarded-Host: Shop.Example:80",
      "X-Forwarded-Port: 80",
      "X-Request-Id: <id>",
      "Via: 1.1 perch",
    ]);
  });

  it("lacks hop-by-hop fields and those that Connection names, except those that Perch uses", async () => {
    const stable = await upstream("stable");
    const { port } = await perchTo(
      stable.origin,
      `
attributes: { region: { type: string, from: [{ header: x-region }] } }
releases: { shop: { rules: [{ name: east, when: { region: east }, use: stable }] } }`,
    );
    await exchange(
      port,
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Secret, x-region, x-forwarded-for, Cookie\r\nX-Secret: s\r\n" +
        "X-Region: east\r\nCookie: a=b\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nProxy-Connection: x\r\n" +
        "Proxy-Authorization: x\r\nUpgrade: h2c\r\n\r\n",
    );
    const names = stable.seen[0]?.rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
    expect(names).toEqual(expect.arrayContaining(["x-region", "x-forwarded-for", "cookie"]));
    for (const gone of ["x-secret", "keep-alive", "te", "proxy-connection", "proxy-authorization", "upgrade"]) {
      expect(names).not.toContain(gone);
    }
  });

  it("has an absolute-form target as path and Host", async () => {
    const stable = await upstream("stable");
    const { port } = await perchTo(stable.origin);
    await exchange(port, "GET http://shop.example/x?y HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n");
    expect(stable.seen[0]?.url).toBe("/x?y");
    expect(stable.seen[0]?.headers["host"]).toBe("shop.example");
  });

  it("has the body of any method, by length and chunked, without its trailers", async () => {
    const stable = await upstream("stable");
    const { port } = await perchTo(stable.origin);
    await exchange(port, "DELETE /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
    const chunked = "Host: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nConnection: close\r\n\r\n";
    await exchange(port, `POST /2 HTTP/1.1\r\n${chunked}3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n`);
    expect(stable.seen.map(({ url, body }) => [url, body])).toEqual([
      ["/1", "hello"],
      ["/2", "abcde"],
    ]);
    expect(stable.seen[1]?.headers["transfer-encoding"]).toBe("chunked");
    expect(stable.seen[1]?.headers).not.toHaveProperty("trailer");
  });

  it.each([
    ["GET", "", undefined],
    ["DELETE", "", undefined],
    ["POST", "Content-Length: 0\r\n", "0"],
  ])("has the length that the client wrote for a %s without a body (%j)", async (method, header, wanted) => {
    const stable = await upstream("stable");
    const { port } = await perchTo(stable.origin);
    await exchange(port, `${method} / HTTP/1.1\r\nHost: a\r\n${header}Connection: close\r\n\r\n`);
    expect(stable.seen[0]?.headers["content-length"]).toBe(wanted);
  });
});

describe.each(lanes)("a response to the client, in the $lane lane", ({ fastLane }) => {
  const perchTo = perchIn(fastLane);

  it("has the upstream's status, reason, headers in order and body, on a connection that is kept", async () => {
    const stable = await upstream("stable", (_request, response) => {
      response.sendDate = false;
      const fields = ["X-A", "1", "x-a", "2", "Set-Cookie", "a=b", "Set-Cookie", "c=d", "Content-Length", "3"];
      response.writeHead(418, "Short And Stout", fields).end("tea");
    });
    const client = await rawClient((await perchTo(stable.origin)).port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const first = await client.read((all) => all.endsWith("tea"));
    expect(first.replace(/Date: [^\r]+/, "Date: <date>")).toBe(
      "HTTP/1.1 418 Short And Stout\r\nX-A: 1\r\nx-a: 2\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 3\r\n" +
        "Connection: keep-alive\r\nDate: <date>\r\n\r\ntea",
    );
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect(await client.read()).toContain("Connection: close");
  });

  it.each([
    ["a HEAD request", 200, "HEAD"],
    ["a 204", 204, "GET"],
    ["a 304", 304, "GET"],
  ])("has no body for %s", async (_what, status, method) => {
    const stable = await upstream("stable", (_request, response) => {
      response.writeHead(status, status === 200 ? { "content-length": "5" } : {}).end();
    });
    const { port } = await perchTo(stable.origin);
    const all = await exchange(port, `${method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    expect(all).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(all.endsWith("\r\n\r\n")).toBe(true);
    if (method === "HEAD") expect(all.toLowerCase()).toContain("content-length: 5");
  });

  it("has the upstream's trailers and early hints", async () => {
    const raw = await rawUpstream((socket, received) => {
      if (!received.endsWith("\r\n\r\n")) return;
      socket.end(
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" +
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n",
      );
    });
    const { port } = await perchTo(raw.origin);
    const all = await exchange(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect(all).toMatch(/^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>; rel=preload\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
    expect(all).toMatch(/2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n$/);
  });

  it("begins with its head before the body begins, as server-sent events do", async () => {
    const bodies: (() => void)[] = [];
    const stable = await upstream("stable", (_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
      bodies.push(() => response.end("data: 1\n\n"));
    });
    const client = await rawClient((await perchTo(stable.origin)).port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect(await client.read((all) => all.includes("\r\n\r\n"))).toContain("content-type: text/event-stream\r\n");
    bodies[0]?.();
    expect(await client.read()).toContain("data: 1\n\n");
  });

  it.each(["caf\xe9", "a\x01b"])("has the standard reason where the upstream's is not valid: %j", async (reason) => {
    const raw = await rawUpstream((socket) => {
      socket.end(`HTTP/1.1 404 ${reason}\r\nContent-Length: 0\r\n\r\n`, "latin1");
    });
    const { port } = await perchTo(raw.origin);
    expect(await exchange(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).toMatch(
      /^HTTP\/1\.1 404 Not Found\r\n/,
    );
  });

  it("has header bytes unchanged, also where the body comes later", async () => {
    const bodies: (() => void)[] = [];
    const raw = await rawUpstream((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nX-A: \xc3\xa9|\xe9\r\nContent-Length: 2\r\n\r\n", "latin1");
      bodies.push(() => socket.end("ok"));
    });
    const client = await rawClient((await perchTo(raw.origin)).port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect(await client.read((all) => all.includes("\r\n\r\n"))).toContain("X-A: \xc3\xa9|\xe9\r\n");
    bodies[0]?.();
    expect((await client.read()).endsWith("\r\n\r\nok")).toBe(true);
  });

  it("follows early hints with a form of Link that node does not know", async () => {
    const raw = await rawUpstream((socket) => {
      socket.end(
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload; as=style, </b.js>; rel=preload\r\n" +
          'Link: </c>; rel="preload stylesheet"\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n',
      );
    });
    const { port } = await perchTo(raw.origin);
    expect(
      await exchange(port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
    ).toContain("HTTP/1.1 201 Created\r\n");
    expect(raw.sockets.length).toBe(1);
  });

  it.each([
    ["HEAD", "200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-t"],
    ["GET", "204 No Content\r\nTrailer: x-t"],
    ["GET", "200 OK\r\nContent-Length: 0\r\nTrailer: x-t"],
  ])("has no Trailer field where no trailers can follow: %s, %j", async (method, head) => {
    const raw = await rawUpstream((socket) => socket.end(`HTTP/1.1 ${head}\r\n\r\n`));
    const { port } = await perchTo(raw.origin);
    const all = await exchange(port, `${method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    expect(all).toMatch(/^HTTP\/1\.1 20/);
    expect(all.toLowerCase()).not.toContain("trailer:");
  });

  it("is in the order of pipelined requests", async () => {
    const stable = await upstream("stable", (req, response) => response.end(req.url));
    const { port } = await perchTo(stable.origin);
    const get = (path: string, last = "") => `GET ${path} HTTP/1.1\r\nHost: a\r\n${last}\r\n`;
    const all = await exchange(port, get("/1") + get("/2") + get("/3", "Connection: close\r\n"));
    expect([...all.matchAll(/\/[123]$|\/[123](?=HTTP)/gm)].map(([path]) => path)).toEqual(["/1", "/2", "/3"]);
  });

  it("with Connection: close is the last: what was pipelined behind it is not carried out", async () => {
    const stable = await upstream("stable", (req, response) => response.end(req.url));
    const { port } = await perchTo(stable.origin);
    const first = "GET /first HTTP/1.0\r\nHost: a\r\n\r\n";
    const all = await exchange(port, `${first}GET /second HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect(all).toMatch(/Connection: close[\s\S]*\/first$/);
    expect(stable.seen.map(({ url }) => url)).toEqual(["/first"]);
  });

  it("is sent although garbage follows the request, which reaches no upstream", async () => {
    const stable = await upstream("stable", (req, response) => response.end(req.url));
    const { port } = await perchTo(stable.origin);
    const all = await exchange(port, "GET /fine HTTP/1.1\r\nHost: a\r\n\r\n\x00\x01garbage\r\n\r\n");
    expect(all).toMatch(/^HTTP\/1\.1 200 [\s\S]*\/fine(?:HTTP\/1\.1 400 [\s\S]*)?$/);
    expect(stable.seen).toHaveLength(1);
  });

  it("is preceded by 100 Continue where the client expects it", async () => {
    const stable = await upstream("stable");
    const client = await rawClient((await perchTo(stable.origin)).port);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
    await client.read((all) => all.startsWith("HTTP/1.1 100 Continue\r\n\r\n"));
    client.send("ok");
    expect(await client.read()).toContain("HTTP/1.1 200 OK");
    expect(stable.seen[0]?.body).toBe("ok");
    expect(stable.seen[0]?.headers).not.toHaveProperty("expect");
  });
});

describe.each(lanes)("an aborted exchange, in the $lane lane", ({ fastLane }) => {
  const perchTo = perchIn(fastLane);

  it("a client that leaves cancels the upstream request and is counted as 499", async () => {
    const upstreamClosed = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    const stable = await upstream("stable", (req) => {
      req.socket.on("close", () => upstreamClosed.resolve());
      arrived.resolve();
    });
    const { port, metric } = await perchTo(stable.origin);
    const client = await rawClient(port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await arrived.promise;
    client.close();
    await upstreamClosed.promise;
    const series = requestsTotal(499);
    await expect.poll(() => metric(series)).toBe(1);
    expect(await metric(requestsInFlight)).toBe(0);
  });

  it.each(["Content-Length: 10", "Transfer-Encoding: chunked"])(
    "an upstream that breaks in the body aborts the transfer, which never ends short (%s)",
    async (head) => {
      const raw = await rawUpstream((socket, received) => {
        if (!received.includes("\r\n\r\n")) return;
        socket.write(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n3\r\nabc`, () => socket.destroy());
      });
      const { origin } = await perchTo(raw.origin);
      const done = Promise.withResolvers<string>();
      request(origin, (response) => {
        response.on("data", () => {});
        response.on("end", () => done.resolve("complete"));
        response.on("error", (error: NodeJS.ErrnoException) => done.resolve(error.code ?? "error"));
      }).end();
      expect(await done.promise).toBe("ECONNRESET");
    },
  );
});

describe.each(lanes)("idle timeouts, in the $lane lane", ({ fastLane }) => {
  const perchTo = perchIn(fastLane);

  it("a client that stops in the middle of its body gets 408", { tags: ["slow"] }, async () => {
    const stable = await upstream("stable");
    const { port } = await perchTo(stable.origin);
    const all = await exchange(port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    expect(all).toMatch(/^HTTP\/1\.1 408 [\s\S]*Connection: close[\s\S]*x-perch-error: request-timeout/);
  });

  it("a client that does not read many small responses is disconnected", { tags: ["slow"] }, async () => {
    const stable = await upstream("stable", (_request, response) => response.end("x".repeat(8_000)));
    const { port, metric } = await perchTo(stable.origin);
    const client = await rawClient(port);
    client.socket.pause();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(4_000));
    const inFlight = requestsInFlight;
    const gone = requestsTotal(499);
    await expect.poll(() => metric(gone), { timeout: 15_000 }).toBe(1);
    expect(await metric(inFlight)).toBe(0);
  });

  it("a client that does not read a large response is disconnected and counted as 499", {
    tags: ["slow"],
  }, async () => {
    const stable = await upstream("stable", (_request, response) => response.end("x".repeat(64 * 1024 * 1024)));
    const { port, metric } = await perchTo(stable.origin);
    const client = await rawClient(port);
    client.socket.pause();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const series = requestsTotal(499);
    await expect.poll(() => metric(series), { timeout: 15_000 }).toBe(1);
  });
});

describe.each(lanes)("safe retries, in the $lane lane", ({ fastLane }) => {
  const perchTo = perchIn(fastLane);

  it("a refused endpoint is passed over, for any method, and the body goes to the next", async () => {
    const good = await upstream("good");
    const dead = await refusedOrigin();
    const { origin, metric } = await perch(shopYaml({ stable: [dead, good.origin], more: `fastLane: ${fastLane}` }));
    for (let i = 0; i < 20; i++) {
      expect((await fetch(origin, { method: "POST", body: `body ${i}` })).status).toBe(200);
    }
    expect(good.seen.map(({ body }) => body)).toEqual(Array.from({ length: 20 }, (_, i) => `body ${i}`));
    expect(await metric(`perch_endpoint_up{service="shop",version="stable",endpoint="${dead}"}`)).toBe(0);
  });

  it.each([
    ["GET", 2, 200],
    ["POST", 1, 502],
  ])("a connection that breaks before any answer: %s is sent %i time(s)", async (method, attempts, status) => {
    let requests = 0;
    const raw = await rawUpstream((socket, received) => {
      if (!received.includes("\r\n\r\n")) return;
      requests++;
      if (requests === 1) socket.destroy();
      else socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    const response = await fetch((await perchTo(raw.origin)).origin, { method });
    expect([requests, response.status]).toEqual([attempts, status]);
  });

  it("a version without a healthy endpoint falls back to the default; an override does not", async () => {
    const stable = await upstream("stable");
    const { origin, metric } = await perchTo(
      stable.origin,
      `
exposeVersion: true
releases: { shop: { split: { canary: 1 }, override: { header: x-want, allowFrom: [127.0.0.0/8] } } }`,
      await refusedOrigin(),
    );
    const response = await fetch(origin);
    expect([response.status, response.headers.get("x-perch-version")]).toEqual([200, "stable"]);
    expect(response.headers.get("set-cookie")).toMatch(/^perch-shop=1\.1\.\d+\.canary\.s\./);
    expect(await metric('perch_fallbacks_total{service="shop",version="canary"}')).toBe(1);
    expect(await metric('perch_decisions_total{release="shop",version="canary",reason="split"}')).toBe(1);
    const wanted = await fetch(origin, { headers: { "x-want": "canary" } });
    expect([wanted.status, wanted.headers.get("x-perch-error")]).toEqual([503, "no-healthy-endpoint"]);
    expect(stable.seen.length).toBe(1);
  });
});
