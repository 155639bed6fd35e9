import { expect, it } from "vitest";
import { ChunkedReader } from "../../../src/proxy/fast/body-parser.ts";

// A peer in front that takes any line feed for the end of a size line reads other chunks than Perch does: the class of
// CVE-2025-55315. The standard lane answers 400 to all of these.
const brokenExtension = [
  ["a line feed behind a backslash", '1;a="\\\n"\r\nx\r\n0\r\n\r\n'],
  ["a carriage return behind a backslash", '1;a="\\\r"\r\nx\r\n0\r\n\r\n'],
  ["a NUL behind a backslash", '1;a="\\\0"\r\nx\r\n0\r\n\r\n'],
  ["a blank at the end of the size", "1 \r\nx\r\n0\r\n\r\n"],
  ["a blank at the end of a name", "1;a \r\nx\r\n0\r\n\r\n"],
  ["a blank at the end of a value", "1;a=b \r\nx\r\n0\r\n\r\n"],
  ["a blank in place of a value", "1;a= \r\nx\r\n0\r\n\r\n"],
  ["a blank within a name", "1;a b\r\nx\r\n0\r\n\r\n"],
  ["a blank before the size", " 1\r\nx\r\n0\r\n\r\n"],
  ["more behind a quoted value", '1;a="b"c\r\nx\r\n0\r\n\r\n'],
] as const;

it.each(brokenExtension)("malformed: %s", (_sentence, text) => {
  const reader = new ChunkedReader(16 * 1024);
  const octets = Buffer.from(text, "latin1");
  reader.read(octets, 0, octets.length, { passOctets: () => {} });
  expect(reader.failure).toBe("bad-request");
});

it.each(["1 ;a\r\nx\r\n0\r\n\r\n", "1; a; b=c\r\nx\r\n0; d\r\n\r\n", '1 ;\ta = "b; c" ; d\r\nx\r\n0\r\n\r\n'])(
  "blanks around ; and = are no part of what is passed on: %j",
  (text) => {
    for (const length of [1, 2, 3, text.length]) {
      const reader = new ChunkedReader(16 * 1024);
      let passed = "";
      const sink = {
        passOctets: (octets: Buffer, from: number, to: number) => {
          passed += octets.toString("latin1", from, to);
        },
      };
      for (let at = 0; at < text.length; at += length) {
        const octets = Buffer.from(text.slice(at, at + length), "latin1");
        reader.read(octets, 0, octets.length, sink);
      }
      expect([passed, reader.done]).toEqual(["1\r\nx\r\n0\r\n", true]);
    }
  },
);
