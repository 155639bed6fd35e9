import { expect, test } from "vitest";
import { rawUpstream } from "../../kit/freed.ts";
import { lanes, perchIn } from "../../kit/one-service.ts";
import { RawClient } from "../../kit/raw-client.ts";

const turns = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test.each(lanes.filter(({ fastLane }) => fastLane === "on"))(
  "$lane lane: an answer that its client never took is a 499, and what was pipelined behind it is not begun",
  async ({ fastLane }) => {
    let requests = 0;
    const answered = new Map<unknown, number>();
    const upstream = await rawUpstream((socket, received) => {
      const asked = received.split("\r\n\r\n").length - 1;
      for (let done = answered.get(socket) ?? 0; done < asked; done++) {
        requests++;
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n${"v".repeat(60_000)}`);
      }
      answered.set(socket, asked);
    });
    const { port, metric } = await perchIn(fastLane)(upstream.origin);
    const client = await RawClient.connect(port);
    client.socket.pause();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(400));
    await turns(600);
    const begun = requests;
    client.socket.resetAndDestroy();
    const counted = async (code: string) =>
      (await metric(`perch_requests_total{route="all",service="shop",version="stable",code="${code}",method="GET"}`)) ??
      0;
    await expect.poll(() => counted("499")).toBeGreaterThan(0);
    await turns(100);
    expect({ begun: requests, delivered: await counted("200"), gone: await counted("499") }).toEqual({
      begun,
      delivered: begun - 1,
      gone: 1,
    });
  },
);
