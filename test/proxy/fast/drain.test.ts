import { expect, test } from "vitest";
import { freeAfterTest, rawUpstream } from "../../kit/freed.ts";
import { lanes, perchIn } from "../../kit/one-service.ts";
import { RawClient } from "../../kit/raw-client.ts";

test.each(lanes)(
  "$lane lane: a connection whose answer began before the drain closes with that answer's end",
  async ({ fastLane }) => {
    const upstream = await rawUpstream((socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab"));
    const perch = await perchIn(fastLane)(upstream.origin);
    const client = await RawClient.connect(perch.port);
    freeAfterTest(async () => client.close());
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await client.read((r) => r.endsWith("ab"));
    const started = performance.now();
    const stopped = perch.app.drain("test");
    await new Promise((resolve) => setTimeout(resolve, 200));
    upstream.sockets[0]?.write("cd");
    await client.read((r) => r.endsWith("abcd"));
    await stopped;
    // The kit gives a drain five seconds.
    expect(performance.now() - started).toBeLessThan(2_000);
  },
);
