import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { SseStream, sseFrame } from "../../src/admin/sse-stream.ts";
import { freeAfterTest, listening } from "../kit/freed.ts";

test("what is written to a stream that has ended, and is not yet closed, is no error", async () => {
  const errors: Error[] = [];
  const server = createServer((_, response) => {
    response.on("error", (error) => errors.push(error));
    const stream = new SseStream(response);
    // More than is sent at once, so that the end waits.
    stream.write(sseFrame("first", `"${"x".repeat(20_000_000)}"`));
    stream.end();
    stream.write(sseFrame("late", "{}"));
    stream.end();
  });
  const client = connect(await listening(server), "127.0.0.1");
  freeAfterTest(async () => void client.destroy());
  client.write("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  let text = "";
  client.setEncoding("latin1").on("data", (more: string) => {
    text += more;
  });
  await once(client, "close");
  expect(errors).toEqual([]);
  expect(text).toContain("event: first\ndata: ");
  expect(text).not.toContain("event: late");
  expect(text.endsWith("\r\n0\r\n\r\n")).toBe(true);
});
