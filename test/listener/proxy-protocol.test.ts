import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import { describe, expect, it, test } from "vitest";
import { freeAfterTest, perch, rawClient, upstream } from "../kit/freed.ts";
import { lanes } from "../kit/one-service.ts";
import { certificateYaml, certPem } from "../kit/pki.ts";
import type { RawClient } from "../kit/raw-client.ts";

const header = "PROXY TCP4 203.0.113.7 192.0.2.1 40000 8443\r\n";
const get = (fields = "") => `GET / HTTP/1.1\r\nHost: shop.example\r\n${fields}\r\n`;
const answered = (received: string) => received.includes("hello from stable");

async function proxied({ fastLane = "on", trusted = "127.0.0.0/8", more = "" } = {}) {
  const shop = await upstream("stable");
  const yaml = `
fastLane: ${fastLane}
trustedProxies: [${trusted}]
services: { shop: { versions: { stable: { endpoints: ["${shop.origin}"] } } } }
routes: [{ name: all, service: shop }]`;
  const listeners = `{ name: web, address: "127.0.0.1:0", proxyProtocol: true${more} }`;
  return { shop, perch: await perch(yaml, { listeners }) };
}

const rejections = (cause: string) => `perch_proxy_protocol_rejections_total{listener="web",cause="${cause}"}`;

describe.each(lanes)("a listener with proxyProtocol, in the $lane lane", ({ fastLane }) => {
  it("takes the carried address for the client's, and the caller's headers no more", async () => {
    const { perch, shop } = await proxied({ fastLane });
    const { send, read } = bound(await rawClient(perch.port));
    send(header + get("X-Forwarded-For: 198.51.100.1\r\n"));
    await read(answered);
    send(get());
    await read((received) => received.split("hello from stable").length === 3);
    expect(shop.seen.map(({ headers }) => headers["x-forwarded-for"])).toEqual(["203.0.113.7", "203.0.113.7"]);
  });

  it("believes headers of a carried address that is trusted itself", async () => {
    const { perch, shop } = await proxied({ fastLane, trusted: "127.0.0.0/8, 203.0.113.7" });
    const { send, read } = bound(await rawClient(perch.port));
    send(header + get("X-Forwarded-For: 198.51.100.1\r\n"));
    await read(answered);
    expect(shop.seen[0]?.headers["x-forwarded-for"]).toBe("198.51.100.1, 203.0.113.7");
  });

  it("reads a header in pieces, and what came behind it in the same piece", async () => {
    const { perch, shop } = await proxied({ fastLane });
    const { send, read } = bound(await rawClient(perch.port));
    const bytes = header + get();
    for (const piece of [bytes.slice(0, 3), bytes.slice(3, 30), bytes.slice(30, 60)]) {
      send(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
    send(bytes.slice(60));
    await read(answered);
    expect(shop.seen).toHaveLength(1);
  });

  it("loses nothing of a large body that comes at once with the header", async () => {
    const { perch, shop } = await proxied({ fastLane });
    const { send, read } = bound(await rawClient(perch.port));
    const body = "0123456789abcdef".repeat(40_000);
    send(`${header}POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await read(answered);
    expect(shop.seen[0]?.body === body).toBe(true);
  });

  it("hands on what the fast lane does not serve", async () => {
    const { perch } = await proxied({ fastLane });
    const { send, read } = bound(await rawClient(perch.port));
    send(`${header}GET / HTTP/1.0\r\nHost: shop.example\r\n\r\n`);
    expect(await read()).toContain("hello from stable");
  });

  it("counts as nobody's address one that the header does not tell", async () => {
    const { perch, shop } = await proxied({ fastLane });
    const { send, read } = bound(await rawClient(perch.port));
    send(`PROXY UNKNOWN\r\n${get("X-Forwarded-For: 198.51.100.1\r\n")}`);
    await read(answered);
    expect(shop.seen[0]?.headers["x-forwarded-for"]).toBe("unknown");
  });

  it("lets a caller that speaks for itself (LOCAL) be what it is", async () => {
    const { perch, shop } = await proxied({ fastLane });
    const { send, read } = bound(await rawClient(perch.port));
    send(`\r\n\r\n\0\r\nQUIT\n\x20\0\0\0${get("X-Forwarded-For: 198.51.100.1\r\n")}`);
    await read(answered);
    expect(shop.seen[0]?.headers["x-forwarded-for"]).toBe("198.51.100.1, 127.0.0.1");
  });
});

/** A client's methods, to be taken apart. */
function bound(raw: RawClient) {
  return {
    send: (bytes: string) => raw.send(bytes),
    read: (until?: (received: string) => boolean) => raw.read(until),
  };
}

describe("a listener with proxyProtocol", () => {
  test.for([
    ["a caller that is not trusted, whatever it sends", { trusted: "10.0.0.0/8" }, header + get(), "untrusted"],
    ["a caller that sends no header", {}, get(), "malformed"],
    ["a header that is cut off", {}, "PROXY TCP4 203.0", "malformed"],
  ] as const)("closes the connection of %s", async ([, options, bytes, cause]) => {
    const { perch, shop } = await proxied(options);
    const raw = await rawClient(perch.port);
    raw.socket.end(bytes, "latin1");
    expect(await raw.read()).toBe("");
    expect(shop.seen).toEqual([]);
    await expect.poll(() => perch.metric(rejections(cause))).toBe(1);
  });

  it("counts no caller that connects and leaves without a word", async () => {
    const { perch } = await proxied();
    const raw = await rawClient(perch.port);
    raw.socket.end();
    await raw.read();
    expect(await perch.metric(rejections("malformed"))).toBe(0);
  });

  it("reads the header before TLS", async () => {
    const { perch, shop } = await proxied({ more: `, tls: { certificates: [${certificateYaml("shop")}] }` });
    const below = net.connect(perch.port, "127.0.0.1");
    below.write(header);
    const socket = tls.connect({ socket: below, ca: certPem("authority"), servername: "shop.example" });
    freeAfterTest(async () => socket.destroy());
    await once(socket, "secureConnect");
    let received = "";
    socket.setEncoding("latin1").on("data", (bytes: string) => {
      received += bytes;
    });
    socket.write(get());
    await expect.poll(() => answered(received)).toBe(true);
    expect(shop.seen[0]?.headers).toMatchObject({
      "x-forwarded-for": "203.0.113.7",
      "x-forwarded-proto": "https",
    });
  });
});
