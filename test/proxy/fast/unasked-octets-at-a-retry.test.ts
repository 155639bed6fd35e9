import { expect, it } from "vitest";
import { freeAfterTest, rawUpstream } from "../../kit/freed.ts";
import { perchTo } from "../../kit/one-service.ts";
import { RawClient } from "../../kit/raw-client.ts";

const getOnce = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

it("octets that nobody asked for, on two idle connections at once, reach nobody", async () => {
  const held: (() => void)[] = [];
  const stable = await rawUpstream((socket, received) => {
    socket.setNoDelay(true);
    if (received.endsWith("\r\n\r\n"))
      held.push(() => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"));
    if (stable.sockets.length > 2) held.pop()?.();
  });
  const { port } = await perchTo(stable.origin);
  const clients = await Promise.all([RawClient.connect(port), RawClient.connect(port)]);
  freeAfterTest(async () =>
    clients.forEach((client) => {
      client.close();
    }),
  );
  for (const client of clients) client.send(getOnce);
  await expect.poll(() => held.length).toBe(2);
  for (const answer of held.splice(0).reverse()) {
    answer();
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  for (const client of clients) await client.read((received) => received.endsWith("fine"));
  await new Promise((resolve) => setTimeout(resolve, 50));
  // As servers do that tell all their idle connections of a time-out.
  clients[0]?.send(getOnce);
  for (const socket of stable.sockets) socket.write("HTTP/1.1 408 Request Timeout\r\nContent-Length: 6\r\n\r\npoison");
  const all = await clients[0]?.read(
    (received) => (received.match(/HTTP/g)?.length ?? 0) === 2 && /(fine|poison)$/.test(received),
  );
  expect(all?.match(/(?<=HTTP\/1\.1 )\d+/g)).toEqual(["200", "200"]);
});
