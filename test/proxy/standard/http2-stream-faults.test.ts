/** @module-tag slow */
import net, { type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { listening, perch, upstream } from "../../kit/freed.ts";
import { h2cListener, h2cPerch } from "../../kit/h2-client.ts";
import { endHeaders, endStream, FrameClient, fieldBlock, frame, frameTypes, request } from "../../kit/h2-frames.ts";
import { exchange, shopAt, shopYaml, upstreamErrors } from "../../kit/one-service.ts";

const protocolError = 1;
const { data, headers, reset, settings } = frameTypes;

describe("a fault of one stream ends that stream, not the client's connection", () => {
  it.each([
    ["DATA beyond content-length, with END_STREAM", [frame(data, endStream, 3, Buffer.from("abcdef"))]],
    ["DATA beyond content-length, without", [frame(data, 0, 3, Buffer.from("abcdef"))]],
    ["DATA beyond content-length, twice", [frame(data, 0, 3, Buffer.from("abc")), frame(data, 1, 3, Buffer.from("d"))]],
    ["less DATA than content-length", [frame(data, endStream, 3, Buffer.from("a"))]],
    ["trailers without END_STREAM", [frame(headers, endHeaders, 3, fieldBlock(["x-a", "b"]))]],
    ["trailers with a blank at the end", [frame(headers, endHeaders | endStream, 3, fieldBlock(["x-a", "b "]))]],
    ["trailers with a pseudo-field", [frame(headers, endHeaders | endStream, 3, fieldBlock([":path", "/"]))]],
  ])("%s", async (_what, frames) => {
    const gate = Promise.withResolvers<void>();
    const stable = await upstream("stable", async (_request, response) => {
      await gate.promise;
      response.end("ok");
    });
    const { port } = await perch(shopAt(stable.origin), { listeners: h2cListener });
    const client = await FrameClient.connect(port);
    client.send(frame(headers, endHeaders | endStream, 1, request()));
    client.send(frame(headers, endHeaders, 3, request("content-length", "2")), ...frames);
    expect((await client.frame(reset, 3))?.payload.readUInt32BE()).toBe(protocolError);
    gate.resolve();
    expect((await client.frame(data, 1))?.payload.toString()).toBe("ok");
    expect([client.goneAway, stable.seen.length]).toEqual([[], 1]);
  });

  it.each([
    ["a blank before a value", ["x-a", " 1"]],
    ["a tab behind a value", ["x-a", "1\t"]],
    ["an upper-case name", ["X-A", "1"]],
    ["a field of the connection", ["connection", "close"]],
    ["te other than trailers", ["te", "gzip"]],
    ["a second :path", [":path", "/"]],
  ])("a head with %s", async (_what, fields) => {
    const stable = await upstream("stable");
    const { port } = await perch(shopAt(stable.origin), { listeners: h2cListener });
    const client = await FrameClient.connect(port);
    client.send(frame(headers, endHeaders | endStream, 1, request(...fields)));
    expect((await client.frame(reset, 1))?.payload.readUInt32BE()).toBe(protocolError);
    client.send(frame(headers, endHeaders | endStream, 3, request()));
    expect((await client.frame(headers, 3))?.type).toBe(headers);
    expect([client.goneAway, stable.seen.length]).toEqual([[], 1]);
  });

  it("a fault of the connection still ends it", async () => {
    const { port } = await perch(shopAt("http://127.0.0.1:9"), { listeners: h2cListener });
    const client = await FrameClient.connect(port);
    client.send(frame(data, 0, 0, Buffer.from("data of no stream")));
    await client.closed;
    expect(client.goneAway[0]).toBe(protocolError);
  });
});

type Answer = (stream: number) => readonly Buffer[];

/** An endpoint that answers with frames: the first request of a connection, and others. */
async function frameUpstream(answers: { readonly first?: Answer; readonly others: Answer }) {
  const connections: Socket[] = [];
  const server = net.createServer((socket) => {
    connections.push(socket);
    socket.on("error", () => {});
    socket.write(Buffer.concat([frame(settings, 0, 0), frame(settings, 1, 0)]));
    let bytes = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.subarray(0, 3).toString() === "PRI") bytes = bytes.subarray(24);
      while (bytes.length >= 9) {
        const length = 9 + bytes.readUIntBE(0, 3);
        if (bytes.length < length) return;
        const id = bytes.readUInt32BE(5);
        const answer = bytes[3] === headers ? (id === 1 ? answers.first : answers.others) : undefined;
        if (answer !== undefined) socket.write(Buffer.concat(answer(id)));
        bytes = bytes.subarray(length);
      }
    });
  });
  const port = await listening(server);
  return {
    origin: `http://127.0.0.1:${port}`,
    connections,
    answer: (frames: readonly Buffer[]) => connections[0]?.write(Buffer.concat(frames)),
  };
}

const status = (stream: number, ...fields: readonly string[]) =>
  frame(headers, endHeaders, stream, fieldBlock([":status", "200", ...fields]));

describe("a fault of one response ends that response, not the endpoint's connection", () => {
  it.each<[string, Answer]>([
    [
      "longer than its length",
      (id) => [status(id, "content-length", "2"), frame(data, endStream, id, Buffer.from("long"))],
    ],
    [
      "shorter than its length",
      (id) => [status(id, "content-length", "9"), frame(data, endStream, id, Buffer.from("s"))],
    ],
    ["an upper-case field", (id) => [status(id, "X-Upper", "1"), frame(data, endStream, id)]],
    ["a value that ends with a blank", (id) => [status(id, "x-a", "1 "), frame(data, endStream, id)]],
    [
      "a trailer that begins with a blank",
      (id) => [status(id), frame(headers, endHeaders | endStream, id, fieldBlock(["x-a", "\t1"]))],
    ],
    ["a field of the connection", (id) => [status(id, "connection", "close"), frame(data, endStream, id)]],
    ["101", (id) => [frame(headers, endHeaders, id, fieldBlock([":status", "101"]))]],
    [
      "interim responses without end",
      (id) => Array.from({ length: 200 }, () => frame(headers, endHeaders, id, fieldBlock([":status", "102"]))),
    ],
  ])("%s", async (_what, others) => {
    const endpoint = await frameUpstream({ others });
    const { perch: started, client } = await h2cPerch(
      shopYaml({ stable: endpoint.origin, service: "protocol: http2" }),
    );
    const first = client.get();
    await expect.poll(() => endpoint.connections.length).toBe(1);
    const faulty = await client.get();
    expect([502, 200]).toContain(faulty.status);
    if (faulty.status === 200) expect(faulty.reset).toBe(2);
    endpoint.answer([status(1), frame(data, endStream, 1, Buffer.from("fine"))]);
    expect(await first).toMatchObject({ status: 200, body: "fine", reset: 0 });
    expect(await started.metric(upstreamErrors("upstream-malformed"))).toBe(1);
  });

  it("a head of 12,000 fields is the endpoint's error to every client", async () => {
    const fields = fieldBlock(Array.from({ length: 24_000 }, (_, i) => (i % 2 === 0 ? "a" : "b")));
    const head = (id: number) => {
      const block = Buffer.concat([fieldBlock([":status", "200"]), fields]);
      const pieces = Array.from({ length: Math.ceil(block.length / 16_000) }, (_, i) =>
        block.subarray(i * 16_000, (i + 1) * 16_000),
      );
      return pieces.map((piece, i) =>
        frame(i === 0 ? headers : frameTypes.continuation, i === pieces.length - 1 ? endHeaders : 0, id, piece),
      );
    };
    const endpoint = await frameUpstream({ first: head, others: head });
    const { perch: started, client } = await h2cPerch(
      shopYaml({ stable: endpoint.origin, service: "protocol: http2" }),
    );
    expect(await client.get()).toMatchObject({ status: 502, headers: { "x-perch-error": "upstream-malformed" } });
    const bytes = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    expect(await exchange(started.port, bytes)).toMatch(/^HTTP\/1\.1 502 [\s\S]*upstream-malformed/);
  });
});
