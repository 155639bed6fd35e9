import { once } from "node:events";
import { connect } from "node:net";
import { expect, it } from "vitest";
import { rawUpstream } from "../kit/freed.ts";
import { lanes, shopAt } from "../kit/one-service.ts";
import { servePerch } from "../kit/served.ts";

const bytes = 20 * 1024 * 1024;

/** Writes all of its upload, as far as the connection takes it, before it reads. */
async function upload(port: number): Promise<string> {
  const client = connect(port, "127.0.0.1").on("error", () => {});
  await once(client, "connect");
  client.write(`POST /rst HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes}\r\n\r\n`);
  const { promise: written, resolve } = Promise.withResolvers<unknown>();
  client.once("close", resolve).write(Buffer.alloc(bytes, "x"), resolve);
  await written;
  let received = "";
  client.setEncoding("latin1").on("data", (text: string) => {
    received += text;
    if (received.endsWith("the app")) client.destroy();
  });
  if (!client.closed) await once(client, "close");
  return received;
}

it.each(lanes)(
  "an upload of 20 MiB that the upstream refuses and resets at once gets the refusal, every time, in the $lane lane",
  async ({ fastLane }) => {
    const stable = await rawUpstream((socket) => {
      const head = "HTTP/1.1 413 Payload Too Large\r\nConnection: close\r\nContent-Length: 23\r\n\r\n";
      socket.write(`${head}too large, says the app`, () => socket.destroy());
    });
    const perch = await servePerch(shopAt(stable.origin, `fastLane: ${fastLane}`));
    for (let turn = 0; turn < 8; turn++) {
      const received = await upload(perch.port);
      expect(received, `turn ${turn}`).toMatch(/^HTTP\/1\.1 413 [\s\S]*\r\n\r\ntoo large, says the app$/);
    }
  },
);
