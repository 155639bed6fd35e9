import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAddress, parseAddressRange } from "../../src/decide/ip-address.ts";

describe("parseAddress", () => {
  const read: [sentence: string, text: string, wanted: string][] = [
    ["a dotted quad", "192.0.2.1", "192.0.2.1"],
    ["the ends of a byte", "0.255.0.255", "0.255.0.255"],
    ["the loopback of IPv6", "::1", "::1"],
    ["the unspecified address", "::", "::"],
    ["upper case and leading zeros in a group", "2001:0DB8::0001", "2001:db8::1"],
    ["eight groups", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
    ["seven groups and an empty end", "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["a single zero group, which RFC 5952 §4.2.2 does not compress", "1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"],
    ["two runs of zeros, the longer of which is compressed", "1:0:0:2:0:0:0:3", "1:0:0:2::3"],
    ["two equal runs of zeros, the first of which is compressed", "1:0:0:2:3:0:0:4", "1::2:3:0:0:4"],
    ["an IPv4-mapped address, as IPv4", "::ffff:192.0.2.1", "192.0.2.1"],
    ["an IPv4-mapped address in groups, as IPv4", "::FFFF:c000:201", "192.0.2.1"],
    ["an IPv4-compatible address, which is not a mapped one", "::192.0.2.1", "::c000:201"],
    ["a NAT64 address with a dotted tail", "64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["six groups and a dotted tail", "1:2:3:4:5:6:192.0.2.1", "1:2:3:4:5:6:c000:201"],
  ];
  it.each(read)("parses %s", (_, text, wanted) => {
    expect(parseAddress(text)?.text).toBe(wanted);
  });

  const refused: [sentence: string, text: string][] = [
    ["an empty text", ""],
    ["a leading zero, which some programs read as octal", "010.0.0.1"],
    ["a hexadecimal byte", "0x7f.0.0.1"],
    ["a byte too large", "256.0.0.1"],
    ["three bytes", "127.0.1"],
    ["five bytes", "1.2.3.4.5"],
    ["a bare number", "2130706433"],
    ["a blank at the end", "127.0.0.1 "],
    ["a line end at the end", "127.0.0.1\n"],
    ["a port", "127.0.0.1:80"],
    ["brackets", "[::1]"],
    ["a zone", "fe80::1%eth0"],
    ["a zone behind a dotted tail", "::ffff:127.0.0.1%1"],
    ["two compressed runs", "1::2::3"],
    ["three colons", ":::"],
    ["nine groups", "1:2:3:4:5:6:7:8:9"],
    ["eight groups and an empty end", "1:2:3:4:5:6:7:8::"],
    ["a group of five digits", "12345::"],
    ["octal in a dotted tail", "::ffff:010.0.0.1"],
    ["a dotted quad before groups", "1.2.3.4::"],
    ["seven groups and a dotted tail", "1:2:3:4:5:6:7:1.2.3.4"],
    ["a letter after f", "::g"],
    ["a name", "localhost"],
    ["Arabic-Indic digits", "١٢٧.0.0.1"],
    ["a very long text", "1".repeat(100_000)],
    ["very many groups", "1:".repeat(50_000)],
  ];
  it.each(refused)("rejects %s", (_, text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  it("parses the canonical text of any address to the same address", () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const address = parseAddress(text);
        expect(address).toBeDefined();
        expect(parseAddress(address?.text ?? "")).toEqual(address);
      }),
      { numRuns: 500 },
    );
  });

  it("gives the same result before and after thousands of other addresses passed through the cache", () => {
    const before = parseAddress("2001:db8::7");
    for (let at = 0; at < 5000; at++) parseAddress(`2001:db8::${at.toString(16)}:1`);
    expect(parseAddress("2001:db8::7")).toEqual(before);
  });
});

describe("parseAddressRange", () => {
  const contained: [range: string, address: string, wanted: boolean][] = [
    ["10.0.0.0/8", "10.255.255.255", true],
    ["10.0.0.0/8", "11.0.0.0", false],
    ["10.1.2.3/8", "10.9.9.9", true],
    ["192.0.2.128/25", "192.0.2.127", false],
    ["192.0.2.128/25", "192.0.2.255", true],
    ["192.0.2.1", "192.0.2.1", true],
    ["192.0.2.1", "192.0.2.2", false],
    ["0.0.0.0/0", "255.255.255.255", true],
    ["0.0.0.0/0", "::1", false],
    ["::/0", "2001:db8::1", true],
    ["::/0", "192.0.2.1", false],
    ["::ffff:10.0.0.0/104", "10.1.1.1", true],
    ["10.0.0.0/8", "::ffff:10.1.1.1", true],
    ["2001:db8::/32", "2001:db8:ffff::1", true],
    ["2001:db8::/32", "2001:db9::", false],
    ["2001:db8::/33", "2001:db8:8000::", false],
    ["fe80::/10", "febf::1", true],
    ["::1", "::1", true],
    ["::1/128", "::2", false],
  ];
  it.each(contained)("%s contains %s: %s", (range, address, wanted) => {
    const parsed = parseAddress(address);
    expect(parsed !== undefined && parseAddressRange(range)?.contains(parsed)).toBe(wanted);
  });

  const texts: [text: string, wanted: string][] = [
    ["10.1.2.3/8", "10.0.0.0/8"],
    ["10.1.2.3", "10.1.2.3/32"],
    ["2001:db8::1/64", "2001:db8::/64"],
    ["::ffff:10.1.2.3/104", "10.0.0.0/8"],
    ["::1", "::1/128"],
    ["::/0", "::/0"],
  ];
  it.each(texts)("writes %s as %s", (text, wanted) => {
    expect(parseAddressRange(text)?.text).toBe(wanted);
  });

  const refused = [
    "10.0.0.0/33",
    "::/129",
    "10.0.0.0/",
    "10.0.0.0/08",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "/8",
    "",
    "10/8",
  ];
  it.each(refused)("rejects %j", (text) => {
    expect(parseAddressRange(text)).toBeUndefined();
  });
});
