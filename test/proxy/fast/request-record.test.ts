import { expect, it } from "vitest";
import type { FastContext } from "../../../src/proxy/fast/fast-context.ts";
import { RequestParser } from "../../../src/proxy/fast/request-parser.ts";
import { RequestRecords } from "../../../src/proxy/fast/request-record.ts";
import type { ProxyContext } from "../../../src/proxy/proxy-context.ts";
import type { Snapshot } from "../../../src/proxy/snapshot.ts";
import { rawUpstream } from "../../kit/freed.ts";
import { collectGarbage } from "../../kit/garbage.ts";
import { shopYaml } from "../../kit/one-service.ts";
import { snapshotOf } from "../../kit/snapshot.ts";
import { LaneWithClock } from "./lane-with-clock.ts";

const yaml = `
services: { shop: { versions: { stable: { endpoints: ["http://127.0.0.1:1"] } } } }
routes: [{ name: all, service: shop }]
`;

/** The records of a lane, and what reads a head into one. */
function recordsWith(first: Snapshot) {
  const context: Pick<ProxyContext, "snapshot"> & { snapshot: Snapshot } = { snapshot: first };
  const requests = new RequestParser();
  const records = new RequestRecords({ context, requests } as unknown as FastContext);
  const bytes = Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const taken = () => {
    const record = records.next;
    requests.read(bytes, 0, bytes.length, context.snapshot, record.head);
    records.taken();
    return record;
  };
  return { context, records, taken };
}

it("serves another request once put back", () => {
  const { records, taken } = recordsWith(snapshotOf(yaml));
  const record = taken();
  expect(records.next).not.toBe(record);
  records.taken();
  record.putBack();
  expect(records.next).toBe(record);
});

it.each([
  ["before the reload", "before"],
  ["after it", "after"],
])("keeps no snapshot that was replaced: put back %s", (_when, when) => {
  const { context, records, taken } = recordsWith(snapshotOf(yaml));
  const record = taken();
  if (when === "before") record.putBack();
  context.snapshot = snapshotOf(yaml);
  const next = taken();
  if (when === "after") record.putBack();
  expect([next, records.next]).not.toContain(record);
});

it("keeps no body of a request that has ended", async () => {
  const bodyBytes = 50 * 1024;
  const stable = await rawUpstream((socket, received) => {
    if (received.length > bodyBytes) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  });
  const lane = await LaneWithClock.start(shopYaml({ stable: stable.origin, service: "retries: { maxBody: 64KiB }" }));
  const clients = await Promise.all(Array.from({ length: 30 }, () => lane.client()));
  const before = await memory();
  for (const client of clients) client.send(`PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: ${bodyBytes}\r\n\r\n`);
  await expect.poll(() => stable.sockets.length).toBe(clients.length);
  for (const client of clients) client.send("x".repeat(bodyBytes));
  for (const client of clients) await client.read((received) => received.endsWith("ok"));
  for (const socket of stable.sockets) socket.removeAllListeners("data");
  expect((await memory()) - before).toBeLessThan((clients.length * bodyBytes) / 2);
});

/** Bytes in buffers that something refers to. */
async function memory(): Promise<number> {
  await collectGarbage();
  return process.memoryUsage().arrayBuffers;
}
