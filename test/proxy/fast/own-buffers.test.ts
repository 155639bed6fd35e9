import { expect, test } from "vitest";
import { freeAfterTest, rawUpstream } from "../../kit/freed.ts";
import { perchTo } from "../../kit/one-service.ts";
import { RawClient } from "../../kit/raw-client.ts";

const turns = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test("octets of one client never stand in the answer to another (a buffer given back while its socket reads into it)", async () => {
  const bigBytes = 24 * 1024 * 1024;
  const upstream = await rawUpstream((socket, received) => {
    if (received.startsWith("POST /early")) {
      if (received.endsWith("uuu")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    } else if (received.startsWith("POST /small") && !received.includes("GET /big"))
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsmall");
    else if (received.includes("GET /big") && received.endsWith("\r\n\r\n")) {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${bigBytes}\r\n\r\n`);
      socket.write(Buffer.alloc(bigBytes, "v"));
    }
  });
  const { port } = await perchTo(upstream.origin);
  const first = await RawClient.connect(port);
  const victim = await RawClient.connect(port);
  freeAfterTest(async () => {
    first.close();
    victim.close();
  });

  // An upload that is answered before it is whole: what is left of it is read and thrown away.
  const piece = `second piece${"u".repeat(2000)}`;
  first.send(`POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: ${piece.length + 15}\r\n\r\n12345`);
  await expect.poll(() => upstream.sockets.length).toBe(1);
  await turns(50);
  first.send("abcde");
  await turns(50);
  first.send(piece);
  await first.read((r) => r.includes("\r\n\r\n"));
  first.send("67890");
  await turns(50);
  // A small upload that needs a new connection to the upstream.
  first.received = "";
  first.send("POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx");
  await first.read((r) => r.endsWith("small"));
  // A slow reader of a large answer.
  victim.socket.pause();
  victim.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
  await turns(400);
  first.send(
    `POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n${"SECRET ".repeat(9000).slice(0, 60000)}`,
  );
  await turns(200);
  victim.socket.resume();
  const answer = await victim.read((r) => r.length >= bigBytes);
  const body = answer.slice(answer.indexOf("\r\n\r\n") + 4);
  const foreign = body.search(/[^v]/);
  expect(foreign < 0 ? "" : body.slice(foreign, foreign + 60)).toBe("");
});
