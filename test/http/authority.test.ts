import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAuthority } from "../../src/http/authority.ts";

describe("parseAuthority accepts", () => {
  const cases: readonly [sentence: string, text: string, host: string, port: number | undefined][] = [
    ["a name", "example.com", "example.com", undefined],
    ["a name in any case", "Shop.EXAMPLE.com", "shop.example.com", undefined],
    ["a port", "example.com:8080", "example.com", 8080],
    ["the lowest port", "example.com:0", "example.com", 0],
    ["the highest port", "example.com:65535", "example.com", 65535],
    ["an empty port, as none", "example.com:", "example.com", undefined],
    ["a trailing dot, which is removed", "www.example.com.", "www.example.com", undefined],
    ["a trailing dot before a port", "abcd-ef.g02.xyz.:88", "abcd-ef.g02.xyz", 88],
    ["an IPv4 address", "192.0.2.7:80", "192.0.2.7", 80],
    ["an IPv6 address, canonically", "[2001:DB8:0:0::1]:443", "[2001:db8::1]", 443],
    ["an IPv4-mapped address, which stays an IPv6 literal", "[::ffff:192.0.2.1]", "[::ffff:192.0.2.1]", undefined],
    ["a single label with an underscore", "stable_backend", "stable_backend", undefined],
  ];
  test.each(cases)("%s", (_sentence, text, host, port) => {
    expect(parseAuthority(text)).toEqual({ host, port });
  });
});

describe("parseAuthority rejects", () => {
  const cases: readonly [sentence: string, text: string][] = [
    ["an empty text", ""],
    ["a port alone", ":80"],
    ["a dot alone", "."],
    ["an empty label at the start", ".example.com"],
    ["an empty label inside", "a..example.com"],
    ["two trailing dots", "example.com.."],
    ["user information", "user@example.com"],
    ["a user and password", "user:secret@example.com"],
    ["a path", "example.com/"],
    ["a blank inside", "exa mple.com"],
    ["a leading blank", " example.com"],
    ["a trailing tab", "example.com\t"],
    ["a line break", "example.com\r\nx: y"],
    ["a NUL", "example.com\0"],
    ["a comma, as in two merged Host headers", "a.example,b.example"],
    ["percent-encoding", "ex%61mple.com"],
    ["non-ASCII bytes", "exämple.com"],
    ["a port above 65535", "example.com:65536"],
    ["a port of six digits", "example.com:000080"],
    ["a port with a sign", "example.com:+80"],
    ["two ports", "123.40.56.78:9000:80"],
    ["an IPv6 address without brackets", "2001:db8::1"],
    ["an unclosed bracket", "[::1"],
    ["a name in brackets", "[example.com]"],
    ["an IPv4 address in brackets", "[192.0.2.1]"],
    ["a zone identifier", "[fe80::1%25eth0]"],
    ["text after the bracket", "[::1].:98"],
    ["a name longer than DNS allows", `${"a".repeat(255)}`],
  ];
  test.each(cases)("%s", (_sentence, text) => {
    expect(parseAuthority(text)).toBeUndefined();
  });
});

test("the same text gives the same object, and an equal one after more hosts than the cache holds", () => {
  const first = parseAuthority("cached.example");
  expect(parseAuthority("cached.example")).toBe(first);
  for (let count = 0; count < 5000; count++) parseAuthority(`host-${count}.example`);
  expect(parseAuthority("cached.example")).toEqual(first);
});

test("whatever a client sends, the result is undefined or a host that parses to itself", () => {
  const bytes = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });
  const nearly = fc.string({ unit: fc.constantFrom("a", "Z", "0", "9", ".", ":", "[", "]", "-", "f", "@", "%", " ") });
  fc.assert(
    fc.property(fc.oneof(bytes, nearly), (text) => {
      const authority = parseAuthority(text);
      if (authority === undefined) return;
      expect(authority.host).toMatch(/^(?:[a-z0-9_~-]+(?:\.[a-z0-9_~-]+)*|\[[0-9a-f:.]+\])$/);
      expect(parseAuthority(authority.host)?.host).toBe(authority.host);
    }),
    { numRuns: 2000 },
  );
});
