import { expect, test } from "vitest";
import { decodeText } from "../../src/http/query.ts";

test.each([
  ["plain ASCII stays", "abc", "abc"],
  ["UTF-8 is decoded", "K\xc3\xb6ln", "Köln"],
  ["four octets of UTF-8 are decoded", "\xf0\x9f\x90\x9f", "🐟"],
  ["Latin-1 stays", "K\xf6ln", "K\xf6ln"],
  ["an overlong form is no UTF-8 and stays", "\xc0\xaf", "\xc0\xaf"],
  ["half a surrogate pair is no UTF-8 and stays", "\xed\xa0\x80", "\xed\xa0\x80"],
  ["a text that was decoded before stays, as a library's caller has it", "Łę", "Łę"],
])("%s", (_sentence, octets, wanted) => {
  expect(decodeText(octets)).toBe(wanted);
});
