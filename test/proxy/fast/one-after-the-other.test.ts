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

it("the host of each request goes on, and stands in X-Forwarded-Host", async () => {
  const heads: string[] = [];
  const { origin } = await rawUpstream((socket, received) => {
    heads.push(received.slice(received.lastIndexOf("GET ")));
    socket.write(answer);
  });
  const lane = await LaneWithClock.start(`
services: { shop: { versions: { stable: { endpoints: ["${origin}"] } } } }
routes: [{ name: all, service: shop }]
`);
  const client = await RawClient.connect(lane.port);
  freeAfterTest(async () => client.close());
  const hosts = ["one.example", "two.example:81", "two.example:81", "one.example"];
  for (const [index, host] of hosts.entries()) {
    client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await client.read((all) => all.split("ok").length > index + 1);
  }
  const told = heads.map((head) => [/\nhost: (.*)\r/.exec(head)?.[1], /X-Forwarded-Host: (.*)\r/.exec(head)?.[1]]);
  expect(told).toEqual(hosts.map((host) => [host, host]));
});

it("own answers are given one behind the other, up to the last that the client asked for", async () => {
  const lane = await LaneWithClock.start(`
services: { shop: { versions: { stable: { endpoints: ["http://127.0.0.1:1"] } } } }
routes:
  - { name: moved, match: { path: { prefix: /old } }, redirect: { prefix: /new } }
  - { name: all, service: shop }
`);
  const client = await RawClient.connect(lane.port);
  freeAfterTest(async () => client.close());
  const get = (path: string, fields = "") => `GET ${path} HTTP/1.1\r\nHost: x\r\n${fields}\r\n`;
  client.send(get("/old/1") + get("/old/2") + get("/old/3", "Connection: close\r\n") + get("/old/4"));
  await client.read();
  const locations = Array.from(client.received.matchAll(/Location: (.*)\r/gi), ([, location]) => location);
  expect(locations).toEqual(["/new/1", "/new/2", "/new/3"]);
  expect(lane.ended.map(({ path }) => path)).toEqual(["/old/1", "/old/2", "/old/3"]);
  expect(lane.handedOver).toEqual([]);
});
