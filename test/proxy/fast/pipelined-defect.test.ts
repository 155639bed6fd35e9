import { expect, it } from "vitest";
import { freeAfterTest, rawUpstream } from "../../kit/freed.ts";
import { RawClient } from "../../kit/raw-client.ts";
import { LaneWithClock } from "./lane-with-clock.ts";

const answer = "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: 2\r\n\r\nok";

it("a defect that meets a pipelined request costs it its answer, and not the one before it", async () => {
  const { origin } = await rawUpstream((socket) => void socket.write(answer));
  const lane = await LaneWithClock.start(`
services: { shop: { versions: { stable: { endpoints: ["${origin}"] } } } }
routes: [{ name: all, service: shop }]
`);
  const { pools } = lane;
  const reuse = pools.reuse.bind(pools);
  let asked = 0;
  pools.reuse = (...wanted) => {
    asked++;
    // Begun within the turn, and the very call, in which the first was answered.
    if (asked === 2) throw new Error("a defect of a test");
    return reuse(...wanted);
  };
  const client = await RawClient.connect(lane.port);
  freeAfterTest(async () => client.close());
  client.send("GET /first HTTP/1.1\r\nHost: x\r\n\r\nGET /second HTTP/1.1\r\nHost: x\r\n\r\n");
  const received = await client.read((all) => all.includes("HTTP/1.1 500"));
  expect(received.startsWith("HTTP/1.1 200 OK\r\n")).toBe(true);
  expect(lane.defects.map(String)).toEqual(["Error: a defect of a test"]);
  await expect
    .poll(() => lane.ended.map(({ path, status, error }) => [path, status, error]))
    .toEqual([
      ["/first", 200, undefined],
      ["/second", 500, "internal-error"],
    ]);
});
