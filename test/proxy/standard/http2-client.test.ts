/** @module-tag slow */
import { once } from "node:events";
import { request } from "node:http";
import { describe, expect, it } from "vitest";
import { rawUpstream, upstream } from "../../kit/freed.ts";
import { collectGarbage } from "../../kit/garbage.ts";
import { answerOn, H2Client, h2cListener, h2cPerch } from "../../kit/h2-client.ts";
import { h2Upstream } from "../../kit/h2-upstream.ts";
import { exchange, requestsTotal, shopYaml, upstreamErrors } from "../../kit/one-service.ts";
import { changeablePerch } from "../../kit/served.ts";
import { fieldLines, refusedOrigin } from "../../kit/upstream.ts";

/** Perch in front of endpoints that speak HTTP/2, and a connection to it. */
async function perchTo(stable: readonly string[]) {
  const service = "protocol: http2, timeouts: { connect: 1s, responseHeaders: 1s, idle: 1s }";
  const { perch, client } = await h2cPerch(shopYaml({ stable, service }));
  return { perch, client, errors: (kind: string) => perch.metric(upstreamErrors(kind)) };
}

const openSockets = () => process.getActiveResourcesInfo().filter((kind) => kind === "TCPSocketWrap").length;

const get = "GET /a?b HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n";

describe("a service with protocol http2", () => {
  it("is sent the request's pseudo-fields, then the canonical form in lower case", async () => {
    const stable = await h2Upstream();
    const { perch: started } = await perchTo([stable.origin]);
    await exchange(started.port, `${get}X-One: 1\r\nTE: gzip, trailers\r\nCookie: a=b\r\nX-ONE: \xe9\r\n\r\n`);
    expect(
      fieldLines(stable.seen[0]?.raw).map((line) => line.replace(/^(x-request-id: )[0-9a-f-]{36}$/, "$1<id>")),
    ).toEqual([
      ":method: GET",
      ":scheme: http",
      ":authority: shop.example",
      ":path: /a?b",
      "x-one: 1",
      "x-one: \xe9",
      "cookie: a=b",
      "x-forwarded-for: 127.0.0.1",
      "x-forwarded-proto: http",
      "x-forwarded-host: shop.example",
      "x-forwarded-port: 80",
      "x-request-id: <id>",
      "via: 1.1 perch",
      "te: trailers",
    ]);
    await exchange(started.port, `${get}\r\n`);
    expect(stable.seen[1]?.headers["te"]).toBeUndefined();
  });

  it("serves HTTP/1.1 clients: fields in order, the body, trailers", async () => {
    const stable = await h2Upstream((stream) => {
      stream.respond([":status", "201", "x-a", "1", "set-cookie", "a=b", "x-a", "2", "set-cookie", "c=d"], {
        waitForTrailers: true,
      });
      stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": ["1", "2"] }));
      stream.end("abc");
    });
    const { perch: started } = await perchTo([stable.origin]);
    const answer = await exchange(started.port, `${get}\r\n`);
    expect(answer.replace(/date: [^\r]+/, "date: <date>")).toBe(
      "HTTP/1.1 201 Created\r\nx-a: 1\r\nset-cookie: a=b\r\nx-a: 2\r\nset-cookie: c=d\r\ndate: <date>\r\n" +
        "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\nx-sum: 2\r\n\r\n",
    );
  });

  it.each(["HEAD", "GET"])("serves %s without a body, and large bodies both ways", async (method) => {
    const stable = await h2Upstream();
    const { client } = await perchTo([stable.origin]);
    const { status, body, reset } = await client.get({ method });
    expect([status, body, reset]).toEqual([200, "", 0]);
    const large = "0123456789abcdef".repeat(100_000);
    const answer = await client.get({ method: "POST", body: large });
    expect(answer.body === large).toBe(true);
  });

  it("is sent requests on one connection, with their trailers", async () => {
    const trailers: unknown[] = [];
    const stable = await h2Upstream((stream) => {
      stream.on("trailers", (fields) => trailers.push(JSON.stringify(fields)));
      stream.respond({ ":status": 200 });
      stream.pipe(stream);
    });
    const { client } = await perchTo([stable.origin]);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => client.get({ path: `/${i}` })));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(stable.sessions).toHaveLength(1);
    const fields = [":method", "POST", ":scheme", "http", ":path", "/", ":authority", "a.example"];
    const stream = client.session.request(fields, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "1", "x-forwarded-for": "6.6.6.6" }));
    stream.end("body");
    expect((await answerOn(stream)).body).toBe("body");
    expect(trailers).toEqual(['{"x-sum":"1"}']);
  });

  it("gets another connection where the endpoint takes no more streams on one", async () => {
    const { promise: all, resolve } = Promise.withResolvers<void>();
    let open = 0;
    const stable = await h2Upstream(
      async (stream, headers) => {
        if (++open === 5) resolve();
        if (headers[":path"] !== "/first") await all;
        stream.respond({ ":status": 200 }, { endStream: true });
      },
      { settings: { maxConcurrentStreams: 2 } },
    );
    const { client } = await perchTo([stable.origin]);
    // Some find the connection standing, some wait for it and learn only then that it has no room.
    const answers = await Promise.all(
      Array.from({ length: 5 }, (_, i) => client.get({ path: i === 0 ? "/first" : "/" })),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(stable.sessions.length).toBeGreaterThan(1);
  });

  it("is sent repeated fields that should come once", async () => {
    const stable = await h2Upstream();
    const { perch: started } = await perchTo([stable.origin]);
    const head = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nUser-Agent: one\r\nuser-agent: two\r\n\r\n";
    expect(await exchange(started.port, head)).toContain("HTTP/1.1 200 ");
    expect(stable.seen[0]?.raw.join(" ")).toContain("user-agent one user-agent two");
  });

  it("follows a reload of the protocol, and of limits, for the next request", async () => {
    const file = (stable: string, protocol: string, more = "") =>
      `listeners: [${h2cListener}]\nadmin: { address: "127.0.0.1:0" }\n${shopYaml({ stable, service: `protocol: ${protocol}`, more })}`;
    const [one, two] = await Promise.all([upstream("one"), h2Upstream()]);
    const { perch, change } = await changeablePerch(file(two.origin, "http1"));
    const client = new H2Client(perch.origin);
    expect((await client.get()).status).toBe(502);
    await change(file(two.origin, "http2"));
    expect((await client.get()).status).toBe(200);
    await change(file(one.origin, "http1", "limits: { headerCount: 2 }"));
    expect((await client.get()).status).toBe(200);
    expect((await client.get({ fields: ["x-a", "1", "x-b", "2", "x-c", "3"] })).status).toBe(431);
  });
});

describe("an endpoint that speaks HTTP/2", () => {
  it.each(["alone", "with a GOAWAY"])("does not end the process by a head over the limits, %s", async (how) => {
    const fields = Array.from({ length: 900 }, (_, at) => [`x-${at}`, "y"]).flat();
    const stable = await h2Upstream((stream) => {
      stream.respond([":status", "200", ...fields], { endStream: true });
      if (how === "alone") return;
      stream.session?.goaway(0);
      stream.session?.close();
    });
    const service = "protocol: http2, limits: { responseHeaderCount: 50 }";
    const { client } = await h2cPerch(shopYaml({ stable: stable.origin, service }));
    for (let i = 0; i < 5; i++) expect((await client.get()).status).toBe(502);
    // Node checks its books when a session is collected.
    await collectGarbage();
    expect((await client.get()).status).toBe(502);
  });

  it("is retried for a request that it refused unread, of any method", async () => {
    const refusing = await h2Upstream((stream) => stream.close(7));
    const { client, errors } = await perchTo([refusing.origin]);
    const answer = await client.get({ method: "POST" });
    expect([answer.status, answer.headers["x-perch-error"], refusing.seen.length]).toEqual([
      503,
      "upstream-refused",
      2,
    ]);
    expect(await errors("upstream-refused")).toBe(2);
  });

  it("is not retried for a reset POST, which may have been carried out", async () => {
    const resetting = await h2Upstream((stream) => stream.close(2));
    const { client } = await perchTo([resetting.origin]);
    const posted = await client.get({ method: "POST" });
    expect([posted.status, posted.headers["x-perch-error"], resetting.seen.length]).toEqual([502, "upstream-reset", 1]);
    await client.get();
    expect(resetting.seen).toHaveLength(3);
  });

  it("is connected to again after its GOAWAY, and still serves what it had begun", async () => {
    const { promise: free, resolve } = Promise.withResolvers<void>();
    const stable = await h2Upstream(async (stream, headers) => {
      if (headers[":path"] === "/slow") await free;
      stream.respond({ ":status": 200 });
      stream.end("done");
    });
    const { client } = await perchTo([stable.origin]);
    const slow = client.get({ path: "/slow" });
    await expect.poll(() => stable.seen.length).toBe(1);
    stable.sessions[0]?.close();
    const sessionsAfterAnother = async () => {
      await client.get();
      return stable.sessions.length;
    };
    await expect.poll(sessionsAfterAnother).toBe(2);
    resolve();
    expect((await slow).body).toBe("done");
  });

  it("is retried for a request that its GOAWAY names as unread", async () => {
    const stable = await h2Upstream((stream) => {
      if (stable.sessions.length === 1 && stable.seen.length === 2) {
        stream.session?.goaway(0, stable.seen[0]?.stream.id ?? 0);
        setImmediate(() => stream.session?.destroy());
        return;
      }
      stream.respond({ ":status": 200 });
      stream.end("done");
    });
    const { client } = await perchTo([stable.origin]);
    await client.get();
    const answer = await client.get({ method: "POST" });
    expect([answer.status, answer.body, stable.sessions.length]).toEqual([200, "done", 2]);
  });

  it("is disconnected where it sends a GOAWAY and never closes", async () => {
    const stable = await h2Upstream((stream) => {
      stream.session?.goaway(0, stream.id);
      stream.respond({ ":status": 200 });
      stream.end("done");
    });
    const before = openSockets();
    const { client } = await perchTo([stable.origin]);
    expect((await client.get()).body).toBe("done");
    client.session.destroy();
    // The endpoint's own end of the connection is all that may be left: it is the one that never closes.
    await expect.poll(() => openSockets() - before).toBeLessThanOrEqual(1);
  });

  it.each([
    ["an endpoint that refuses connections", () => refusedOrigin(), 502, "connect-failed"],
    ["one that speaks HTTP/1.1 only", async () => (await upstream("one")).origin, 502, "connect-failed"],
    ["one that never sends a byte", async () => (await rawUpstream(() => {})).origin, 504, "connect-timeout"],
  ])("%s has seen no request", async (_what, origin, status, code) => {
    const { client, errors } = await perchTo([await origin()]);
    const answer = await client.get({ method: "POST", body: "x" });
    expect([answer.status, answer.headers["x-perch-error"]]).toEqual([status, code]);
    expect(await errors(code)).toBe(1);
  });

  it("is timed from the request's end to the response's head, and between pieces of the body", {
    tags: ["slow"],
  }, async () => {
    const silent = await h2Upstream((stream, headers) => {
      if (headers[":path"] !== "/half") return;
      stream.respond({ ":status": 200 });
      stream.write("half");
    });
    const { client } = await perchTo([silent.origin]);
    const [never, half] = await Promise.all([client.get({ method: "POST" }), client.get({ path: "/half" })]);
    expect([never.status, never.headers["x-perch-error"]]).toEqual([504, "upstream-timeout"]);
    expect([half.status, half.body, half.reset]).toEqual([200, "half", 2]);
    await expect.poll(() => silent.seen.map(({ stream }) => stream.rstCode)).toEqual([8, 8]);
  });

  it.each([
    ["resets", (stream: H2Stream) => stream.destroy(new Error("broken"))],
    ["resets without an error", (stream: H2Stream) => resetAtOnce(stream)],
    ["closes its connection", (stream: H2Stream) => stream.session?.destroy()],
  ])("never completes a body that it %s", async (_how, abort) => {
    const stable = await h2Upstream((stream) => {
      stream.respond({ ":status": 200 });
      stream.write("half", () => abort(stream));
    });
    const { perch: started } = await perchTo([stable.origin]);
    const sent = request({ port: started.port, host: "127.0.0.1" }).end();
    const [response] = await once(sent, "response");
    await expect(response.toArray()).rejects.toThrow("aborted");
  });

  it("gets RST_STREAM where the client leaves, during its upload or after it", async () => {
    let wholeBodies = 0;
    const stable = await h2Upstream((stream, headers) => {
      if (headers[":method"] !== "POST") return;
      const push = stream.push.bind(stream);
      stream.push = (chunk) => {
        // Only an END_STREAM ends the body of a stream that is still open.
        if (chunk === null && !stream.closed) wholeBodies++;
        return push(chunk);
      };
      stream.resume();
    });
    const { client, perch: started } = await perchTo([stable.origin]);
    const [idle, uploading] = [client.stream(), client.stream({ method: "POST", open: true, body: "part" })];
    await expect.poll(() => stable.seen.length).toBe(2);
    idle.close(8);
    uploading.destroy(new Error("gone"));
    await expect.poll(() => stable.seen.map(({ stream }) => stream.rstCode)).toEqual([8, 8]);
    expect(wholeBodies).toBe(0);
    const gone = (method: string) => started.metric(requestsTotal(499, "stable", method));
    await expect.poll(() => Promise.all([gone("GET"), gone("POST")])).toEqual([1, 1]);
  });

  it("has its interim responses passed on", async () => {
    const stable = await h2Upstream((stream) => {
      stream.additionalHeaders({ ":status": 103, link: "</a.css>; rel=preload" });
      stream.respond({ ":status": 204 }, { endStream: true });
    });
    const { client } = await perchTo([stable.origin]);
    const answer = await client.get();
    expect([answer.status, answer.headOnly]).toEqual([204, true]);
    expect(answer.interim).toEqual([[":status", "103", "link", "</a.css>; rel=preload"]]);
  });
});

type H2Stream = Parameters<NonNullable<Parameters<typeof h2Upstream>[0]>>[0];

/** RST_STREAM with NO_ERROR and no END_STREAM before it, which `close` would send. */
function resetAtOnce(stream: H2Stream): void {
  const handle = Reflect.ownKeys(stream).find((key) => String(key) === "Symbol(kHandle)");
  const { rstStream } =
    (stream as unknown as Record<symbol, { rstStream(code: number): void }>)[handle as symbol] ?? {};
  rstStream?.call((stream as unknown as Record<symbol, unknown>)[handle as symbol], 0);
}
