import { expect, test } from "vitest";
import { freeAfterTest } from "../../kit/freed.ts";
import { RawClient } from "../../kit/raw-client.ts";
import { LaneWithClock } from "./lane-with-clock.ts";

const yaml = `
services: { shop: { versions: { stable: { endpoints: ["http://127.0.0.1:1"] } } } }
routes: [{ name: all, service: shop }]
`;

test("a head must be complete 15 s after its first octet, however many lines came meanwhile (slowloris)", async () => {
  const lane = await LaneWithClock.start(yaml);
  const client = await RawClient.connect(lane.port);
  freeAfterTest(async () => client.close());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n");
  for (let line = 0; line < 5; line++) {
    await lane.pass(10_000);
    client.send(`x-${line}: 1\r\n`);
  }
  expect(client.received).toMatch(/^HTTP\/1\.1 408 /);
});
