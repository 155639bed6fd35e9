/** @module-tag slow */
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { perch, rawUpstream, upstream } from "../../kit/freed.ts";
import { collectGarbage } from "../../kit/garbage.ts";
import { H2Client, h2cListener } from "../../kit/h2-client.ts";
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
import { requestsInFlight, requestsTotal, shopAt } from "../../kit/one-service.ts";

const calm = 0xb;

/** A client that attacks, and a check that Perch still serves others. */
async function attacked(more = "", endpoint?: string) {
  const stable = await upstream("stable");
  const yaml = shopAt(endpoint ?? stable.origin, more);
  const { port, origin, metric } = await perch(yaml, { listeners: h2cListener });
  const client = await FrameClient.connect(port);
  await client.frame(frameTypes.settings, 0);
  const othersAreServed = async () => expect((await new H2Client(origin).get()).status).toBe(200);
  return { stable, client, metric, othersAreServed };
}

const odd = (index: number): number => 2 * index + 1;
const get = (stream: number, ...fields: readonly string[]): Buffer =>
  frame(frameTypes.headers, endHeaders | endStream, stream, request(...fields));

describe("attacks that cost a client little and Perch much", () => {
  it("rapid reset (CVE-2023-44487): the connection ends with ENHANCE_YOUR_CALM", async () => {
    let reached = 0;
    const slow = await rawUpstream(() => reached++);
    const { client } = await attacked("", slow.origin);
    for (let i = 0; i < 700; i++) client.send(get(odd(i)), frame(frameTypes.reset, 0, odd(i), code32(8)));
    await client.closed;
    expect(client.goneAway.at(-1)).toBe(calm);
    expect(reached).toBeLessThanOrEqual(700);
  });

  it("MadeYouReset (CVE-2025-8671): a connection that makes Perch reset its streams ends too", async () => {
    const slow = await rawUpstream(() => {});
    const { client } = await attacked("", slow.origin);
    // A window that grows by nothing is a stream error (RFC 9113 §6.9), and the reset is Perch's own.
    for (let i = 0; i < 1_200; i++) client.send(get(odd(i)), frame(frameTypes.windowUpdate, 0, odd(i), code32(0)));
    await client.closed;
    expect(client.goneAway.at(-1)).not.toBe(0);
  });

  it("too many concurrent streams are refused, not begun", async () => {
    let open = 0;
    const slow = await rawUpstream(() => open++);
    const { client } = await attacked("limits: { streams: 5 }", slow.origin);
    for (let i = 0; i < 8; i++) client.send(get(odd(i)));
    const refused = await client.frame(frameTypes.reset, odd(7));
    expect(refused?.payload.readUInt32BE()).toBe(7);
    await expect.poll(() => open).toBe(5);
    // A client that has acknowledged the limit and exceeds it is disconnected.
    client.send(frame(frameTypes.settings, 1, 0), get(odd(8)));
    await client.closed;
    expect(open).toBe(5);
  });

  it("CONTINUATION flood (CVE-2024-27316): a head that never ends is not buffered", async () => {
    const { client, othersAreServed } = await attacked();
    client.send(frame(frameTypes.headers, endStream, 1, request()));
    const more = frame(frameTypes.continuation, 0, 1, fieldBlock(["x-more", "a".repeat(1_000)]));
    for (let i = 0; i < 2_000 && client.socket.writable; i++) client.send(more);
    await client.closed;
    await othersAreServed();
  });

  it("HPACK bomb: a small block that decompresses to a large head resets its stream", async () => {
    const { client, stable, othersAreServed } = await attacked();
    // A large field is added to the table once, and referred to by one byte each time.
    const big = Buffer.concat([Buffer.from([0x40]), fieldBlock(["x-big", "a".repeat(3_000)]).subarray(1)]);
    const bomb = Buffer.concat([request(), big, Buffer.alloc(4_000, 0xbe)]);
    client.send(frame(frameTypes.headers, endHeaders | endStream, 1, bomb));
    const reset = await client.frame(frameTypes.reset, 1);
    expect(reset?.payload.readUInt32BE() ?? client.goneAway[0]).toBe(calm);
    expect(stable.seen).toHaveLength(0);
    await othersAreServed();
  });

  it("trailers over the limits and a GOAWAY: the process goes on", async () => {
    const stable = await rawUpstream(() => {});
    const { origin } = await perch(shopAt(stable.origin), { listeners: h2cListener });
    const trailers = Object.fromEntries(Array.from({ length: 900 }, (_, at) => [`x-${at}`, "y"]));
    for (let i = 0; i < 8; i++) {
      const { session } = new H2Client(origin);
      await once(session, "remoteSettings");
      const stream = session.request({ ":method": "POST", ":path": "/" }, { waitForTrailers: true });
      stream
        .on("error", () => {})
        .on("wantTrailers", () => {
          stream.sendTrailers(trailers);
          session.goaway(0);
        });
      const { promise: closed, resolve } = Promise.withResolvers<void>();
      stream.once("close", () => resolve()).end("x");
      await closed;
    }
    // Node checks its books when a session is collected.
    await collectGarbage();
    expect((await new H2Client(origin).get({ path: "/", fields: ["expect", "x"] })).status).toBe(417);
  });

  it.each([
    ["settings flood (CVE-2019-9515)", frame(frameTypes.settings, 0, 0, Buffer.from([0, 4, 0, 1, 0, 0]))],
    ["ping flood (CVE-2019-9512)", frame(frameTypes.ping, 0, 0, Buffer.alloc(8))],
  ])("%s: the connection ends", async (_what, one) => {
    const { client, othersAreServed } = await attacked();
    const many = Buffer.concat(Array.from({ length: 500 }, () => one));
    for (let i = 0; i < 40 && client.socket.writable; i++) client.send(many);
    await client.closed;
    expect(client.goneAway.at(-1)).not.toBe(0);
    await othersAreServed();
  });

  it("empty frames flood (CVE-2019-9518): DATA without bytes and END_STREAM ends the connection", async () => {
    const { client, othersAreServed } = await attacked();
    client.send(frame(frameTypes.headers, endHeaders, 1, request()));
    const many = Buffer.concat(Array.from({ length: 1_000 }, () => frame(frameTypes.data, 0, 1)));
    for (let i = 0; i < 20 && client.socket.writable; i++) client.send(many);
    await client.closed;
    await othersAreServed();
  });

  it("zero window (CVE-2019-9517): a response that is not taken ends with its connection", async () => {
    const stable = await upstream("big", (_request, response) => response.end("a".repeat(2_000_000)));
    const { client, metric } = await attacked("", stable.origin);
    client.send(frame(frameTypes.settings, 0, 0, Buffer.from([0, 4, 0, 0, 0, 0])), get(1));
    await client.frame(frameTypes.headers, 1);
    expect(await metric(requestsInFlight)).toBe(1);
    client.socket.destroy();
    const gone = requestsTotal(499);
    await expect.poll(() => metric(gone)).toBe(1);
  });

  it("a client that resets its connection: all its requests end", async () => {
    const slow = await rawUpstream(() => {});
    const { client, metric } = await attacked("", slow.origin);
    for (let i = 0; i < 50; i++) client.send(get(odd(i)));
    await expect.poll(() => metric(requestsInFlight)).toBe(50);
    client.socket.resetAndDestroy();
    await once(client.socket, "close");
    await expect.poll(() => metric(requestsInFlight)).toBe(0);
  });
});

describe("what HTTP/2 forbids in a request", () => {
  it.each<[string, readonly string[]]>([
    ["a field of the connection", ["connection", "x-secret"]],
    ["a transfer coding (request smuggling by downgrade, CVE-2021-33193)", ["transfer-encoding", "chunked"]],
    ["keep-alive", ["keep-alive", "timeout=5"]],
    ["proxy-connection", ["proxy-connection", "keep-alive"]],
    ["upgrade", ["upgrade", "websocket"]],
    ["te other than trailers", ["te", "gzip"]],
    ["an upper-case name", ["X-Upper", "1"]],
    ["a line end in a value", ["x-split", "1\r\nx-injected: 1"]],
    ["a NUL in a value", ["x-nul", "a\0b"]],
    ["a line end in a name", ["x-split\r\nx-injected", "1"]],
    ["a second length", ["content-length", "0", "content-length", "1"]],
    ["a length that is no number", ["content-length", "+1"]],
    ["a length without a body", ["content-length", "5"]],
    ["a pseudo-field after fields", ["x-a", "1", ":path", "/admin"]],
    ["a second :path", [":path", "/admin"]],
    ["an unknown pseudo-field", [":version", "1"]],
    ["a response's pseudo-field", [":status", "200"]],
    ["the :protocol of extended CONNECT (RFC 8441)", [":protocol", "websocket"]],
  ])("%s never reaches an upstream", async (_what, fields) => {
    const { stable, client, othersAreServed } = await attacked();
    client.send(get(1, ...fields));
    const answer = await Promise.race([client.frame(frameTypes.reset, 1), client.frame(frameTypes.headers, 1)]);
    if (answer?.type === frameTypes.headers) {
      expect(stable.seen.flatMap(({ rawHeaders }) => rawHeaders.join("\n"))).toEqual(
        stable.seen.map(() => expect.not.stringMatching(/inject|x-nul|X-Upper/)),
      );
    } else {
      expect(stable.seen).toHaveLength(0);
    }
    await othersAreServed();
  });

  it("a body longer or shorter than its length resets the stream", async () => {
    const { stable, client } = await attacked();
    const fields = request("content-length", "3");
    client.send(
      frame(frameTypes.headers, endHeaders, 1, fields),
      frame(frameTypes.data, endStream, 1, Buffer.from("four")),
    );
    await client.frame(frameTypes.reset, 1);
    client.send(
      frame(frameTypes.headers, endHeaders, 3, fields),
      frame(frameTypes.data, endStream, 3, Buffer.from("2b")),
    );
    await client.frame(frameTypes.reset, 3);
    expect(stable.seen).toHaveLength(0);
  });

  it("bytes that are not HTTP/2 after the preface end the connection only", async () => {
    const { client, othersAreServed } = await attacked();
    client.send(Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    await client.closed;
    await othersAreServed();
  });
});
