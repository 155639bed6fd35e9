import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readProxyHeader } from "../../src/listener/proxy-protocol.ts";

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
    "UNKNOWN, and what it is followed by",
    line("PROXY UNKNOWN ffff::1 1.2.3.4 x\r\n"),
    { remoteAddress: undefined, localPort: undefined },
  ],
  ["TCP over IPv4", binary(0x21, 0x11, ipv4), { remoteAddress: "192.0.2.1", localPort: 443 }],
  ["TCP over IPv6", binary(0x21, 0x21, ipv6), { remoteAddress: "2001:db8:0:0:0:0:0:1", localPort: 443 }],
  [
    "additions behind the addresses",
    binary(0x21, 0x11, [...ipv4, ...tlv]),
    { remoteAddress: "192.0.2.1", localPort: 443 },
  ],
  ["LOCAL", binary(0x20, 0, []), undefined],
  ["LOCAL with addresses, which do not count", binary(0x20, 0x11, ipv4), undefined],
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
  ["a port beyond the last", line("PROXY TCP4 192.0.2.1 10.0.0.1 1 65536\r\n")],
  ["a lone LF", line("PROXY TCP4 192.0.2.1 10.0.0.1 1 2\n")],
  ["a lone LF in what is ignored", line("PROXY UNKNOWN a\nb\r\n")],
  ["a lone CR", line("PROXY UNKNOWN a\rb")],
  ["a word that begins like UNKNOWN", line("PROXY UNKNOWNS\r\n")],
  ["a line without an end", line(`PROXY UNKNOWN ${"x".repeat(93)}`)],
  ["a line that ends too late", line(`PROXY UNKNOWN ${"x".repeat(92)}\r\n`)],
  ["version 3", binary(0x31, 0x11, ipv4)],
  ["version 0", binary(0x01, 0x11, ipv4)],
  ["an unknown command", binary(0x22, 0x11, ipv4)],
  ["an unknown family", binary(0x21, 0x41, ipv4)],
  ["an unknown transport", binary(0x21, 0x13, ipv4)],
  ["fewer bytes than addresses", binary(0x21, 0x11, ipv4.slice(1))],
  ["fewer bytes than IPv6 addresses", binary(0x21, 0x21, ipv6.slice(1))],
  ["a length beyond all use", binary(0x21, 0x11, [], 4_096)],
];

describe("a header of the PROXY protocol", () => {
  test.for(taken)("is read: %s", ([, bytes, carried]) => {
    expect(readProxyHeader(bytes)).toEqual({ kind: "complete", length: bytes.length, carried });
    const more = Buffer.concat([bytes, Buffer.from("GET / HTTP/1.1\r\n")]);
    expect(readProxyHeader(more)).toEqual({ kind: "complete", length: bytes.length, carried });
    for (let end = 0; end < bytes.length; end++) {
      expect(readProxyHeader(bytes.subarray(0, end)), `${end} bytes`).toEqual({ kind: "incomplete" });
    }
  });

  test.for(refused)("is refused: %s", ([, bytes]) => {
    expect(readProxyHeader(bytes)).toEqual({ kind: "malformed" });
  });

  test("takes a line of 107 bytes, and no longer one", () => {
    const longest = line(`PROXY UNKNOWN ${"x".repeat(91)}\r\n`);
    expect(longest).toHaveLength(107);
    expect(readProxyHeader(longest)).toMatchObject({ kind: "complete", length: 107 });
  });

  test("any addresses and ports come out as they went in, in both versions", () => {
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

  test("whatever comes, the verdict is one that more bytes can not change", () => {
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
