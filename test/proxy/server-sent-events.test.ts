import { get } from "node:http";
import type { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { perch, upstream } from "../kit/freed.ts";
import { H2Client, h2cListener } from "../kit/h2-client.ts";
import { h2Upstream } from "../kit/h2-upstream.ts";

const event = (number: number) => `id: ${number}\ndata: event ${number}\n\n`;

/** Sends the next event once the one before has arrived: a proxy that holds one back gets no other. */
class Script {
  readonly #arrived = [0, 1, 2, 3].map(() => Promise.withResolvers<void>());

  async play(write: (bytes: string) => void, end: () => void): Promise<void> {
    for (const number of [1, 2, 3]) {
      write(event(number));
      await this.#arrived[number]?.promise;
    }
    end();
  }

  async arriveOn(stream: Readable): Promise<string> {
    let received = "";
    for await (const chunk of stream) {
      received += String(chunk);
      this.#arrived[received.split("\n\n").length - 1]?.resolve();
    }
    return received;
  }
}

const overHttp1 = async (script: Script) => {
  const stable = await upstream("stable", (_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    void script.play(
      (bytes) => response.write(bytes),
      () => response.end(),
    );
  });
  return stable.origin;
};

const overHttp2 = async (script: Script) => {
  const stable = await h2Upstream((stream) => {
    stream.respond({ ":status": 200, "content-type": "text/event-stream" });
    void script.play(
      (bytes) => stream.write(bytes),
      () => stream.end(),
    );
  });
  return stable.origin;
};

const asHttp1 = (origin: string): Promise<Readable> => {
  const { promise, resolve } = Promise.withResolvers<Readable>();
  get(origin, resolve);
  return promise;
};

const asHttp2 = async (origin: string): Promise<Readable> => new H2Client(origin).stream();

describe("server-sent events", () => {
  it.each([
    ["in the fast lane", asHttp1, overHttp1, "on", "http1"],
    ["in the standard lane", asHttp1, overHttp1, "off", "http1"],
    ["from an HTTP/2 upstream to an HTTP/1.1 client", asHttp1, overHttp2, "on", "http2"],
    ["from an HTTP/1.1 upstream to an HTTP/2 client", asHttp2, overHttp1, "on", "http1"],
    ["over HTTP/2 on both sides", asHttp2, overHttp2, "on", "http2"],
  ] as const)("arrive one by one, %s", async (_where, client, server, fastLane, protocol) => {
    const script = new Script();
    const { origin, metric } = await perch(
      `
fastLane: ${fastLane}
services: { shop: { protocol: ${protocol}, versions: { stable: { endpoints: ["${await server(script)}"] } } } }
routes: [{ name: all, service: shop }]`,
      { listeners: h2cListener },
    );
    expect(await script.arriveOn(await client(origin))).toBe(event(1) + event(2) + event(3));
    const handovers = await metric('perch_fast_lane_handovers_total{cause="head"}');
    expect(handovers).toBe(client === asHttp2 ? 1 : 0);
  });
});
