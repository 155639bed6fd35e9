import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readProxyHeader } from "../../src/listener/proxy-protocol.ts";
import { turn } from "../kit/bell.ts";
import { freeAfterTest, perch, rawClient, upstream } from "../kit/freed.ts";
import { lanes } from "../kit/one-service.ts";
import { certificateYaml, certPem } from "../kit/pki.ts";

const line = (text: string) => Buffer.from(text, "latin1");

const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
function binary(command: number, family: number, body: readonly number[], length = body.length): Buffer {
  return Buffer.concat([signature, Buffer.from([command, family, length >> 8, length & 0xff]), Buffer.from(body)]);
}
const ipv4 = [192, 0, 2, 1, 10, 0, 0, 1, 0xdc, 0x04, 0x01, 0xbb];
const ipv6 = [0x20, 1, 0xd, 0xb8, ...Array(11).fill(0), 1, ...Array(15).fill(0), 1, 0xdc, 0x04, 0x01, 0xbb];
const tlv = [0x04, 0, 3, 1, 2, 3];

const taken: readonly (readonly [string, Buffer, unknown])[] = [
  ["TCP4", line("PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\n"), { remoteAddress: "192.0.2.1", localPort: 443 }],
  ["TCP6", line("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"), { remoteAddress: "2001:db8::1", localPort: 65_535 }],
  ["UNKNOWN", line("PROXY UNKNOWN\r\n"), { remoteAddress: undefined, localPort: undefined }],
  [
    "UNKNOWN with anything behind it",
    line("PROXY UNKNOWN ffff::1 1.2.3.4 x\r\n"),
    { remoteAddress: undefined, localPort: undefined },
  ],
  ["TCP over IPv4", binary(0x21, 0x11, ipv4), { remoteAddress: "192.0.2.1", localPort: 443 }],
  ["TCP over IPv6", binary(0x21, 0x21, ipv6), { remoteAddress: "2001:db8:0:0:0:0:0:1", localPort: 443 }],
  ["TLVs behind the addresses", binary(0x21, 0x11, [...ipv4, ...tlv]), { remoteAddress: "192.0.2.1", localPort: 443 }],
  ["LOCAL", binary(0x20, 0, []), undefined],
  ["LOCAL with addresses, which are ignored", binary(0x20, 0x11, ipv4), undefined],
  ["a unix socket", binary(0x21, 0x31, Array(216).fill(0x2f)), { remoteAddress: undefined, localPort: undefined }],
  ["datagrams", binary(0x21, 0x12, ipv4), { remoteAddress: undefined, localPort: undefined }],
  ["an unspecified family", binary(0x21, 0, []), { remoteAddress: undefined, localPort: undefined }],
];

const refused: readonly (readonly [string, Buffer])[] = [
  ["a request", line("GET / HTTP/1.1\r\n")],
  ["a ClientHello", Buffer.from([0x16, 3, 1, 2, 0, 1])],
  ["lower case", line("proxy TCP4 192.0.2.1 10.0.0.1 1 2\r\n")],
  ["two blanks", line("PROXY  TCP4 192.0.2.1 10.0.0.1 1 2\r\n")],
  ["a blank at the end", line("PROXY TCP4 192.0.2.1 10.0.0.1 1 2 \r\n")],
  ["no ports", line("PROXY TCP4 192.0.2.1 10.0.0.1\r\n")],
  ["an address of the other family", line("PROXY TCP4 ::1 ::1 1 2\r\n")],
  ["an address of the other family, IPv6", line("PROXY TCP6 192.0.2.1 10.0.0.1 1 2\r\n")],
  ["an address with a leading zero", line("PROXY TCP4 192.0.02.1 10.0.0.1 1 2\r\n")],
  ["an address with a zone", line("PROXY TCP6 fe80::1%lo ::1 1 2\r\n")],
  ["a port with a leading zero", line("PROXY TCP4 192.0.2.1 10.0.0.1 01 2\r\n")],
  ["a port over 65535", line("PROXY TCP4 192.0.2.1 10.0.0.1 1 65536\r\n")],
  ["a lone LF", line("PROXY TCP4 192.0.2.1 10.0.0.1 1 2\n")],
  ["a lone LF in the ignored part", line("PROXY UNKNOWN a\nb\r\n")],
  ["a lone CR", line("PROXY UNKNOWN a\rb")],
  ["a word that begins like UNKNOWN", line("PROXY UNKNOWNS\r\n")],
  ["a line without an end", line(`PROXY UNKNOWN ${"x".repeat(93)}`)],
  ["a line over 107 bytes", line(`PROXY UNKNOWN ${"x".repeat(92)}\r\n`)],
  ["version 3", binary(0x31, 0x11, ipv4)],
  ["version 0", binary(0x01, 0x11, ipv4)],
  ["an unknown command", binary(0x22, 0x11, ipv4)],
  ["an unknown family", binary(0x21, 0x41, ipv4)],
  ["an unknown transport", binary(0x21, 0x13, ipv4)],
  ["fewer bytes than addresses", binary(0x21, 0x11, ipv4.slice(1))],
  ["fewer bytes than IPv6 addresses", binary(0x21, 0x21, ipv6.slice(1))],
  ["a length of 4 KiB", binary(0x21, 0x11, [], 4_096)],
];

describe("a header of the PROXY protocol", () => {
  it.for(taken)("is read: %s", ([, bytes, carried]) => {
    expect(readProxyHeader(bytes)).toEqual({ kind: "complete", length: bytes.length, carried });
    const more = Buffer.concat([bytes, Buffer.from("GET / HTTP/1.1\r\n")]);
    expect(readProxyHeader(more)).toEqual({ kind: "complete", length: bytes.length, carried });
    for (let end = 0; end < bytes.length; end++) {
      expect(readProxyHeader(bytes.subarray(0, end)), `${end} bytes`).toEqual({ kind: "incomplete" });
    }
  });

  it.for(refused)("is refused: %s", ([, bytes]) => {
    expect(readProxyHeader(bytes)).toEqual({ kind: "malformed" });
  });

  it("may be a line of 107 bytes", () => {
    const longest = line(`PROXY UNKNOWN ${"x".repeat(91)}\r\n`);
    expect(longest).toHaveLength(107);
    expect(readProxyHeader(longest)).toMatchObject({ kind: "complete", length: 107 });
  });

  it("has the addresses and ports that were written, in both versions", () => {
    const port = fc.integer({ min: 0, max: 65_535 });
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV4(), port, port, (source, destination, from, to) => {
        const carried = { remoteAddress: source, localPort: to };
        expect(readProxyHeader(line(`PROXY TCP4 ${source} ${destination} ${from} ${to}\r\n`))).toMatchObject({
          carried,
        });
        const bytes = [...source.split("."), ...destination.split(".")].map(Number);
        const ports = [from >> 8, from & 0xff, to >> 8, to & 0xff];
        expect(readProxyHeader(binary(0x21, 0x11, [...bytes, ...ports]))).toMatchObject({ carried });
      }),
    );
  });

  it("has a verdict that further bytes do not change, for any bytes", () => {
    const begun = [
      line("PROXY "),
      line("PROXY TCP4 1.2.3.4 1.2.3.4 1 "),
      line("PROXY UNKNOWN"),
      signature,
      binary(0x21, 0x11, ipv4),
    ];
    const start = fc.oneof(fc.constant(Buffer.alloc(0)), ...begun.map((bytes) => fc.constant(bytes)));
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 300 }), (head, rest, later) => {
        const bytes = Buffer.concat([head, rest]);
        const verdict = readProxyHeader(bytes);
        if (verdict.kind === "incomplete") expect(bytes.length).toBeLessThan(4_096);
        else expect(readProxyHeader(Buffer.concat([bytes, later]))).toEqual(verdict);
        if (verdict.kind === "complete") expect(verdict.length).toBeLessThanOrEqual(bytes.length);
      }),
      { numRuns: 2_000 },
    );
  });
});

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
  it("takes the carried address for the client's, whose own headers count no more", async () => {
    const { perch, shop } = await proxied({ fastLane });
    const caller = await rawClient(perch.port);
    caller.send(header + get("X-Forwarded-For: 198.51.100.1\r\n"));
    await caller.read(answered);
    caller.send(get());
    await caller.read((received) => received.split("hello from stable").length === 3);
    expect(shop.seen.map(({ headers }) => headers["x-forwarded-for"])).toEqual(["203.0.113.7", "203.0.113.7"]);
  });

  it("trusts headers of a carried address that is in trustedProxies", async () => {
    const { perch, shop } = await proxied({ fastLane, trusted: "127.0.0.0/8, 203.0.113.7" });
    const caller = await rawClient(perch.port);
    caller.send(header + get("X-Forwarded-For: 198.51.100.1\r\n"));
    await caller.read(answered);
    expect(shop.seen[0]?.headers["x-forwarded-for"]).toBe("198.51.100.1, 203.0.113.7");
  });

  it("reads a header in pieces, and a request behind it in the last piece", async () => {
    const { perch, shop } = await proxied({ fastLane });
    const caller = await rawClient(perch.port);
    const bytes = header + get();
    for (const piece of [bytes.slice(0, 3), bytes.slice(3, 30), bytes.slice(30, 60)]) {
      caller.send(piece);
      await turn();
    }
    caller.send(bytes.slice(60));
    await caller.read(answered);
    expect(shop.seen).toHaveLength(1);
  });

  it("loses nothing of a large body in one write with the header", async () => {
    const { perch, shop } = await proxied({ fastLane });
    const caller = await rawClient(perch.port);
    const body = "0123456789abcdef".repeat(40_000);
    caller.send(`${header}POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await caller.read(answered);
    expect(shop.seen[0]?.body === body).toBe(true);
  });

  it("hands over what the fast lane does not serve", async () => {
    const { perch } = await proxied({ fastLane });
    const caller = await rawClient(perch.port);
    caller.send(`${header}GET / HTTP/1.0\r\nHost: shop.example\r\n\r\n`);
    expect(await caller.read()).toContain("hello from stable");
  });

  it("takes a client as unknown whose address the header does not carry", async () => {
    const { perch, shop } = await proxied({ fastLane });
    const caller = await rawClient(perch.port);
    caller.send(`PROXY UNKNOWN\r\n${get("X-Forwarded-For: 198.51.100.1\r\n")}`);
    await caller.read(answered);
    expect(shop.seen[0]?.headers["x-forwarded-for"]).toBe("unknown");
  });

  it("takes the caller's own address for LOCAL", async () => {
    const { perch, shop } = await proxied({ fastLane });
    const caller = await rawClient(perch.port);
    caller.send(`\r\n\r\n\0\r\nQUIT\n\x20\0\0\0${get("X-Forwarded-For: 198.51.100.1\r\n")}`);
    await caller.read(answered);
    expect(shop.seen[0]?.headers["x-forwarded-for"]).toBe("198.51.100.1, 127.0.0.1");
  });
});

describe("a listener with proxyProtocol", () => {
  it.for([
    ["an untrusted caller with a valid header", { trusted: "10.0.0.0/8" }, header + get(), "untrusted"],
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

  it("counts no caller that connects and leaves without a byte", async () => {
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
