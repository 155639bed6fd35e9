import { describe, expect, it } from "vitest";
import { rawClient, rawUpstream } from "../kit/freed.ts";
import { h2cPerch } from "../kit/h2-client.ts";
import { lanes, perchIn, shopAt } from "../kit/one-service.ts";

const get = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

describe.each(lanes)("a response that has no body, in the $lane lane", ({ fastLane }) => {
  const answered = async (answer: string) => {
    const stable = await rawUpstream((socket) => socket.write(answer));
    const client = await rawClient((await perchIn(fastLane)(stable.origin)).port);
    client.send(get);
    return client.read();
  };

  it.each([
    ["alone", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nX: y\r\n\r\n"],
    ["in another case, beside uneven blanks", "HTTP/1.1 204 No Content\r\nX:y\r\nCONTENT-LENGTH:  5\r\n\r\n"],
    ["named by Connection", "HTTP/1.1 204 No Content\r\nConnection: content-length\r\nContent-Length: 0\r\n\r\n"],
  ])("a 204: its Content-Length is removed, %s", async (_how, answer) => {
    const received = await answered(answer);
    expect(received).toMatch(/^HTTP\/1\.1 204 No Content\r\n/);
    expect(received).not.toMatch(/content-length|transfer-encoding/i);
  });

  it("a 205 keeps its length of zero, and a 304 the length that a 200 would have", async () => {
    expect(await answered("HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n")).toContain(
      "Content-Length: 0\r\n",
    );
    expect(await answered("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n")).toContain("Content-Length: 7\r\n");
  });
});

it("over HTTP/2, a 204 has no Content-Length, and a 205 none either", async () => {
  for (const status of [204, 205]) {
    const stable = await rawUpstream((socket) => socket.write(`HTTP/1.1 ${status} X\r\nContent-Length: 0\r\n\r\n`));
    const { client } = await h2cPerch(shopAt(stable.origin));
    const answer = await client.get();
    expect([answer.status, answer.headers["content-length"]]).toEqual([status, undefined]);
  }
});
