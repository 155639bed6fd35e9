import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { perch, rawUpstream, upstream } from "../../kit/freed.ts";
import { answerOn, H2Client, h2cPerch } from "../../kit/h2-client.ts";
import {
  code32,
  endHeaders,
  endStream,
  FrameClient,
  fieldBlock,
  frame,
  frameTypes,
  request,
} from "../../kit/h2-frames.ts";
import { exchange, lanes, requestsInFlight, requestsTotal, shopAt, shopYaml } from "../../kit/one-service.ts";
import { changeablePerch } from "../../kit/served.ts";
import { fieldLines, refusedOrigin } from "../../kit/upstream.ts";

/** Perch that takes h2c, in front of one endpoint, and a connection to it. */
function h2To(stable: string, more = "", fastLane = "on") {
  const service = "timeouts: { connect: 1s, responseHeaders: 1s, idle: 1s }";
  const route = "match: { hosts: [shop.example] }";
  return h2cPerch(shopYaml({ stable, service, route, more: `fastLane: ${fastLane}\n${more}` }));
}

/** An upstream that answers each request with these bytes, and an HTTP/2 connection to Perch in front of it. */
async function answering(bytes: string): Promise<H2Client> {
  const { origin } = await rawUpstream((socket, received) => {
    if (received.endsWith("\r\n\r\n")) socket.write(bytes, "latin1");
  });
  return (await h2To(origin)).client;
}

describe.each(lanes)("a listener with h2c, with the fast lane $fastLane", ({ fastLane }) => {
  it("serves HTTP/2 with prior knowledge, and HTTP/1.1 beside it", async () => {
    const stable = await upstream("stable");
    const { perch: started, client } = await h2To(stable.origin, "", fastLane);
    const answer = await client.get();
    expect([answer.status, answer.body, answer.headers["x-upstream"]]).toEqual([200, "hello from stable\n", "stable"]);
    const plain = await exchange(started.port, "GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n");
    expect(plain).toContain("hello from stable");
    const half = await exchange(started.port, "PRI * HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n");
    expect(half).toMatch(/^HTTP\/1.1 400 /);
  });
});

describe("a listener of HTTP/1.1", () => {
  it("answers the preface of HTTP/2 with 400 without h2c", async () => {
    const stable = await upstream("stable");
    const { port } = await perch(shopAt(stable.origin));
    expect(await exchange(port, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")).toMatch(/^HTTP\/1.1 400 /);
  });

  it("takes h2c or not by a reload, for new connections", async () => {
    const { origin } = await upstream("stable");
    const file = (h2c: string) =>
      `listeners: [{ name: web, address: "127.0.0.1:0"${h2c} }]\nadmin: { address: "127.0.0.1:0" }\n${shopAt(origin)}`;
    const { perch, change } = await changeablePerch(file(""));
    expect((await new H2Client(perch.origin).get()).status).toBe(0);
    await change(file(", h2c: true"));
    const client = new H2Client(perch.origin);
    expect((await client.get()).status).toBe(200);
    await change(file(", h2c: false"));
    expect((await client.get()).status).toBe(200);
    expect((await new H2Client(perch.origin).get()).status).toBe(0);
  });
});

describe("the upstream's form of an HTTP/2 request", () => {
  it("is the canonical form, with the pieces of Cookie joined", async () => {
    const stable = await upstream("stable");
    const { client } = await h2To(stable.origin);
    const fields = ["x-one", "1", "cookie", "a=b", "x-one", "2", "cookie", "c=d", "te", "trailers", "x-bytes", "\xe9"];
    await client.get({ path: "/a%20b?q=1", authority: "Shop.Example:80", fields });
    const [seen] = stable.seen;
    expect(seen?.url).toBe("/a%20b?q=1");
    expect(
      fieldLines(seen?.rawHeaders).map((line) => line.replace(/^(X-Request-Id: )[0-9a-f-]{36}$/, "$1<id>")),
    ).toEqual([
      "host: Shop.Example:80",
      "connection: keep-alive",
      "x-one: 1",
      "x-one: 2",
      "x-bytes: \xe9",
      "Cookie: a=b; c=d",
      "X-Forwarded-For: 127.0.0.1",
      "X-Forwarded-Proto: http",
      "X-Forwarded-Host: Shop.Example:80",
      expect.stringMatching(/^X-Forwarded-Port: /),
      "X-Request-Id: <id>",
      "Via: 2.0 perch",
    ]);
  });

  it("has a body by its length where the client sent one, else chunked", async () => {
    const stable = await upstream("stable");
    const { client } = await h2To(stable.origin);
    await client.get({ method: "POST", body: "hello", fields: ["content-length", "5"] });
    await client.get({ method: "POST", body: "hello" });
    await client.get({ method: "POST" });
    expect(
      stable.seen.map(({ body, headers }) => [body, headers["content-length"], headers["transfer-encoding"]]),
    ).toEqual([
      ["hello", "5", undefined],
      ["hello", undefined, "chunked"],
      ["", "0", undefined],
    ]);
  });

  it("takes the authority from Host where there is no :authority", async () => {
    const stable = await upstream("stable");
    const { perch: started } = await h2To(stable.origin);
    const client = await FrameClient.connect(started.port);
    const fields = fieldBlock([":method", "GET", ":scheme", "http", ":path", "/", "host", "shop.example"]);
    client.send(frame(frameTypes.headers, endHeaders | endStream, 1, fields));
    await client.frame(frameTypes.data, 1);
    expect(stable.seen[0]?.headers["host"]).toBe("shop.example");
  });
});

describe("the response to an HTTP/2 client", () => {
  it("has the status, fields in order, body and trailers, without those of the connection", async () => {
    const client = await answering(
      "HTTP/1.1 201 Made\r\nX-A: 1\r\nSet-Cookie: a=b\r\nx-a: 2\r\nSet-Cookie: c=d\r\nKeep-Alive: timeout=5\r\n" +
        "Connection: X-Gone\r\nX-Gone: 1\r\nX-Bytes: \xe9\r\nDate: now\r\nTrailer: X-Sum\r\n" +
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n",
    );
    const answer = await client.get();
    expect(answer.status).toBe(201);
    expect(fieldLines(answer.fields)).toEqual([
      "x-a: 1",
      "set-cookie: a=b",
      "x-a: 2",
      "set-cookie: c=d",
      "x-bytes: \xe9",
      "date: now",
      "trailer: X-Sum",
    ]);
    expect([answer.body, fieldLines(answer.trailers)]).toEqual(["abc", ["x-sum: 1", "x-sum: 2"]]);
  });

  it.each([
    ["HEAD", 200],
    ["GET", 204],
    ["GET", 304],
  ])("is a head alone for %s with %i", async (method, status) => {
    const stable = await upstream("stable", (_request, response) => {
      response.writeHead(status, status === 200 ? { "content-length": "5" } : {}).end();
    });
    const { client } = await h2To(stable.origin);
    const answer = await client.get({ method });
    expect([answer.status, answer.body, answer.reset]).toEqual([status, "", 0]);
    if (status === 200) expect(answer.headers["content-length"]).toBe("5");
  });

  it("is preceded by interim responses, and by a 100 where the client expects it", async () => {
    const stable = await upstream("stable", (_request, response) => {
      response.writeProcessing();
      response.writeEarlyHints({ link: ["</a.css>; rel=preload", "</b.js>; rel=preload"] });
      response.end("done");
    });
    const { client } = await h2To(stable.origin);
    const stream = client.stream({ method: "POST", open: true, fields: ["expect", "100-continue"] });
    stream.once("continue", () => stream.end("body"));
    const answer = await answerOn(stream);
    expect([answer.body, stable.seen[0]?.body, stable.seen[0]?.headers["expect"]]).toEqual(["done", "body", undefined]);
    expect(answer.interim).toEqual([
      [":status", "100"],
      [":status", "102"],
      [":status", "103", "link", "</a.css>; rel=preload, </b.js>; rel=preload"],
    ]);
  });

  it("has a pin, and the version with exposeVersion", async () => {
    const stable = await upstream("stable");
    const { client } = await h2To(stable.origin, "releases: { shop: { split: { stable: 1 } } }\nexposeVersion: true");
    const { headers } = await client.get();
    expect(headers["set-cookie"]).toMatch(/^perch-shop=/);
    expect([headers["x-perch-version"], headers["cache-control"]]).toEqual(["stable", "private"]);
  });

  it("streams a body larger than every window both ways", async () => {
    const stable = await upstream("stable", (_request, response, body) => response.end(body));
    const { client } = await h2To(stable.origin);
    const body = "0123456789abcdef".repeat(400_000);
    const answer = await client.get({ method: "POST", body });
    expect(answer.body.length).toBe(body.length);
    expect(answer.body === body).toBe(true);
  });

  it("keeps repeated fields that should come once", async () => {
    const client = await answering(
      "HTTP/1.1 200 OK\r\nContent-Type: text/a\r\nContent-Type: text/b\r\nETag: 1\r\nETag: 2\r\nContent-Length: 2\r\n\r\nok",
    );
    const { status, fields, body } = await client.get();
    expect([status, body]).toEqual([200, "ok"]);
    expect(fields.filter((_, i) => fields[i - (i % 2)] === "etag")).toEqual(["etag", "1", "etag", "2"]);
  });

  it("has no fields of the connection in its head and trailers that node:http2 would throw at", async () => {
    const client = await answering(
      "HTTP/1.1 200 OK\r\nHTTP2-Settings: AAMAAABk\r\nTrailer: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
        "2\r\nok\r\n0\r\nHTTP2-Settings: AAMAAABk\r\nX-Sum: 1\r\n\r\n",
    );
    const { status, headers, body, trailers } = await client.get();
    expect([status, body, trailers, headers["http2-settings"]]).toEqual([200, "ok", ["x-sum", "1"], undefined]);
  });

  it.each([600, 999])("is a 502 for an upstream's status of %i", async (status) => {
    const client = await answering(`HTTP/1.1 ${status} Odd\r\nContent-Length: 2\r\n\r\nok`);
    const answer = await client.get();
    expect([answer.status, answer.headers["x-perch-error"]]).toEqual([502, "upstream-malformed"]);
  });

  it.each(["204 None", "205 Reset"])(
    "is a head without a length for %s, also where the upstream sends a body",
    async (line) => {
      const client = await answering(`HTTP/1.1 ${line}\r\nContent-Length: 2\r\n\r\nok`);
      const wanted = { status: Number(line.slice(0, 3)), body: "", reset: 0 };
      expect(await client.get()).toMatchObject(wanted);
      expect(await client.get()).toMatchObject(wanted);
    },
  );
});

describe("a malformed HTTP/2 request", () => {
  it.each<[string, Parameters<H2Client["get"]>[0]]>([
    ["a Host other than the authority", { fields: ["host", "other.example"] }],
    ["two dots in its authority", { authority: "shop..example" }],
    ["a scheme other than http and https", { scheme: "ftp" }],
    ["an asterisk as its path", { method: "OPTIONS", path: "*" }],
    ["a fragment in its path", { path: "/a#b" }],
    ["a byte above ASCII in its path", { path: "/\xe9" }],
  ])("with %s is answered 400", async (_what, request) => {
    const stable = await upstream("stable");
    const { perch: started, client } = await h2To(stable.origin);
    const answer = await client.get(request);
    expect([answer.status, answer.headers["x-perch-error"]]).toEqual([400, "bad-request"]);
    expect((await client.get()).status).toBe(200);
    expect(stable.seen).toHaveLength(1);
    expect(
      await started.metric('perch_requests_total{route="none",service="none",version="none",code="400",method="GET"}'),
    ).toBe(request?.method === undefined ? 1 : undefined);
  });

  it("that is a CONNECT is answered 400", async () => {
    const stable = await upstream("stable");
    const { client } = await h2To(stable.origin);
    const connect = client.session.request([":method", "CONNECT", ":authority", "shop.example:443"]);
    expect((await answerOn(connect)).status).toBe(400);
    expect(stable.seen).toHaveLength(0);
  });

  it.each(["100-continued", "200-ok"])("that expects %s is answered 417", async (expectation) => {
    const stable = await upstream("stable");
    const { client } = await h2To(stable.origin);
    expect((await client.get({ fields: ["expect", expectation] })).status).toBe(417);
  });

  it("with more or larger fields than the limits is answered 431, or its stream is reset", async () => {
    const stable = await upstream("stable");
    const { client } = await h2To(stable.origin, "limits: { headers: 1KiB, headerCount: 10 }");
    const many = Array.from({ length: 11 }, (_, i) => [`x-${i}`, "1"]).flat();
    expect((await client.get({ fields: many })).status).toBe(431);
    expect((await client.get({ fields: ["x-long", "a".repeat(1_100)] })).status).toBe(431);
    expect((await client.get({ fields: ["x-long", "a".repeat(9_000)] })).reset).not.toBe(0);
    const crumbs = Array.from({ length: 30 }, (_, i) => ["cookie", `c${i}=1`]).flat();
    expect((await client.get({ fields: crumbs })).status).toBe(200);
  });

  it("with a body over the limit is answered 413, with or without a length", async () => {
    const stable = await upstream("stable");
    const { client } = await h2To(stable.origin, "limits: { body: 10 }");
    const body = "a".repeat(11);
    expect((await client.get({ method: "POST", body, fields: ["content-length", "11"] })).status).toBe(413);
    expect((await client.get({ method: "POST", body })).status).toBe(413);
    expect((await client.get({ method: "POST", body: "ok" })).status).toBe(200);
  });
});

describe("the end of an HTTP/2 exchange", () => {
  it("is a 499 that aborts the upstream request, where the client resets its stream", async () => {
    const { promise: asked, resolve } = Promise.withResolvers<void>();
    const stable = await rawUpstream(() => resolve());
    const { perch: started, client } = await h2To(stable.origin);
    const stream = client.stream();
    await asked;
    const closed = once(stable.sockets[0] ?? stream, "close");
    stream.close(8);
    await closed;
    await expect.poll(() => started.metric(requestsTotal(499))).toBe(1);
    expect(await started.metric(requestsInFlight)).toBe(0);
    expect(client.session.closed).toBe(false);
  });

  it.each([
    ["cancelled", 8],
    ["reset without an error", 0],
  ])("never completes a body whose stream was %s", async (_how, code) => {
    let received = "";
    const { promise: begun, resolve } = Promise.withResolvers<void>();
    const stable = await rawUpstream((_socket, bytes) => {
      received = bytes;
      if (bytes.includes("part")) resolve();
    });
    const { perch: started } = await h2To(stable.origin);
    const client = await FrameClient.connect(started.port);
    client.send(frame(frameTypes.headers, endHeaders, 1, request()), frame(frameTypes.data, 0, 1, Buffer.from("part")));
    await begun;
    const closed = once(stable.sockets[0] ?? client.socket, "close");
    client.send(frame(frameTypes.reset, 0, 1, code32(code)));
    await closed;
    expect(received).toContain("4\r\npart");
    expect(received).not.toContain("0\r\n\r\n");
  });

  it.each(["Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"])(
    "is a reset stream, never a short body, where the upstream's connection breaks (%j)",
    async (rest) => {
      const stable = await rawUpstream((socket) => {
        socket.write(`HTTP/1.1 200 OK\r\n${rest}`);
        setImmediate(() => socket.destroy());
      });
      const { perch: started } = await h2To(stable.origin);
      const client = await FrameClient.connect(started.port);
      client.send(frame(frameTypes.headers, endHeaders | endStream, 1, request()));
      const reset = await client.frame(frameTypes.reset, 1);
      expect(reset?.payload.readUInt32BE()).toBe(2);
      expect(client.frames.filter(({ stream, flags }) => stream === 1 && (flags & endStream) !== 0)).toEqual([]);
    },
  );

  it("is a local reply without fields of the connection, where no endpoint responds", async () => {
    const { perch: started, client } = await h2To(await refusedOrigin());
    const answer = await client.get();
    expect([answer.status, answer.headers["x-perch-error"]]).toEqual([502, "connect-failed"]);
    expect(Object.keys(answer.headers)).not.toContain("connection");
    expect(answer.body).toContain("connect-failed");
    expect(await started.metric(requestsTotal(502))).toBe(1);
    expect((await client.get({ authority: "unknown.example" })).status).toBe(404);
  });

  it("is the end of the stream where the response comes before the upload", async () => {
    const stable = await rawUpstream((socket, bytes) => {
      if (bytes.includes("part")) socket.write("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
    });
    const { client } = await h2To(stable.origin);
    const answer = await answerOn(client.stream({ method: "POST", open: true, body: "part" }));
    expect([answer.status, answer.body, answer.reset]).toEqual([403, "no", 0]);
  });

  it("is a GOAWAY after the requests under way, where Perch drains", async () => {
    const { promise: asked, resolve } = Promise.withResolvers<void>();
    const { promise: free, resolve: answer } = Promise.withResolvers<void>();
    const stable = await upstream("stable", async (_request, response) => {
      resolve();
      await free;
      response.end("late");
    });
    const { perch: started, client } = await h2To(stable.origin);
    const late = client.get();
    await asked;
    const stopped = started.app.drain("test");
    await once(client.session, "goaway");
    answer();
    expect([(await late).body, client.goneAway[0]]).toEqual(["late", 0]);
    await Promise.all([stopped, client.closed]);
  });
});
