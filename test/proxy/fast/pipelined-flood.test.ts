import { expect, test } from "vitest";
import { freeAfterTest, upstream } from "../../kit/freed.ts";
import { lanes, perchIn } from "../../kit/one-service.ts";
import { RawClient } from "../../kit/raw-client.ts";

const request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

test.each(lanes.filter(({ fastLane }) => fastLane === "on"))(
  "$lane lane: a flood of pipelined requests waits at the client, not in Perch",
  { timeout: 60_000 },
  async ({ fastLane }) => {
    const stable = await upstream("stable");
    const { port } = await perchIn(fastLane)(stable.origin);
    const client = await RawClient.connect(port);
    freeAfterTest(async () => client.close());
    const answers = () => stable.seen.length;
    const flood = Buffer.from(request.repeat(2_000));
    let sent = 0;
    let most = 0;
    const flow = () => {
      client.socket.write(flood, () => {
        sent += flood.length;
        most = Math.max(most, sent - answers() * request.length);
        if (!client.socket.destroyed) flow();
      });
    };
    flow();
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    client.close();
    // What the kernel holds of a connection on this machine, and some.
    expect(most).toBeLessThan(16 * 1024 * 1024);
  },
);
