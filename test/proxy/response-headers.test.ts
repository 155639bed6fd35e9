import { describe, expect, it } from "vitest";
import { privateCacheControl, responseTrailers } from "../../src/proxy/response-headers.ts";

describe("Cache-Control beside a pin", () => {
  const cases: readonly [sentence: string, sent: string | undefined, wanted: string][] = [
    ["is private where the upstream sent none", undefined, "private"],
    ["is private where the upstream's is empty", " ", "private"],
    ["keeps the lifetime", "max-age=60", "max-age=60, private"],
    ["replaces public, which would contradict it", "public, max-age=60", "max-age=60, private"],
    ["replaces public in any case", "PUBLIC,max-age=60", "max-age=60, private"],
    ["keeps private", "private, max-age=60", "private, max-age=60"],
    ["keeps no-store", "no-store", "no-store"],
    ["adds to no-cache, which shared caches may store", "no-cache", "no-cache, private"],
    [
      "adds to private for named fields, which is not enough",
      'private="x-a", max-age=1',
      'private="x-a", max-age=1, private',
    ],
    ["does not split inside quotes", 'no-cache="a, public", max-age=1', 'no-cache="a, public", max-age=1, private'],
    ["comes before an unclosed quote", 'no-cache="a, public', 'private, no-cache="a, public'],
    ["removes s-maxage, which shared caches prefer", "s-maxage=600, max-age=60", "max-age=60, private"],
    ["removes s-maxage beside private", "private, S-MaxAge=600", "private"],
    ["removes public beside no-store", "public, no-store", "no-store"],
  ];
  it.each(cases)("%s", (_sentence, sent, wanted) => {
    expect(privateCacheControl(sent)).toBe(wanted);
  });
});

describe("response trailers", () => {
  it("are passed on in order, without fields that frame, route or set state", () => {
    const raw = [
      "grpc-status",
      "0",
      "Content-Length",
      "5",
      "X-Sum",
      "a",
      "Set-Cookie",
      "a=b",
      "Transfer-Encoding",
      "chunked",
    ];
    expect(responseTrailers(raw)).toEqual([
      ["grpc-status", "0"],
      ["X-Sum", "a"],
    ]);
  });
});
