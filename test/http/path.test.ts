import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { normalPath, otherReading } from "../../src/http/path.ts";
import { expectLinearTime, nothingBut } from "../kit/linear-time.ts";

/** Paths and their normal forms; undefined: rejected. */
const cases: readonly (readonly [string, string | undefined])[] = [
  ["/", "/"],
  ["/a/b.c", "/a/b.c"],
  ["/a/", "/a/"],
  ["/.well-known/x", "/.well-known/x"],
  ["/..a/.b./...", "/..a/.b./..."],
  ["/a/./b", "/a/b"],
  ["/a/../b", "/b"],
  ["/a/b/..", "/a/"],
  ["/a/b/.", "/a/b/"],
  ["/a/..", "/"],
  ["/.", "/"],
  ["//a///b//", "/a/b/"],
  ["//", "/"],
  ["/a//../b", "/b"],
  ["/%61dmin", "/admin"],
  ["/a%2Db%2e%5F%7e", "/a-b._~"],
  ["/caf%c3%a9", "/caf%C3%A9"],
  ["/a%20b%3f%23", "/a%20b%3F%23"],
  ["/100%", "/100%"],
  ["/a%zz%2", "/a%zz%2"],
  ["/a/%2e%2e/b", "/b"],
  ["/a/.%2E/b", "/b"],
  ["/a%2fb", "/a%2Fb"],
  ["/a\\b", "/a\\b"],
  ["/%252e%252e/a", "/%252e%252e/a"],
  ["/a;x=y/b;z", "/a;x=y/b;z"],
  ["/..", undefined],
  ["/a/../..", undefined],
  ["/%2e%2e/a", undefined],
  ["/a%00", undefined],
  ["/a/..%2fb", undefined],
  ["/a/..\\b", undefined],
  ["/a%5c..%5cb", undefined],
  ["/a/%2e%2e%2Fb", undefined],
  ["/a/..;/b", undefined],
  ["/a/.;x=y/b", undefined],
  ["/a/%2e%2e;/b", undefined],
  ["/a%2f..;x/b", undefined],
];

describe("normalPath", () => {
  it.each(cases)("%s → %s", (path, normal) => {
    expect(normalPath(path)).toBe(normal);
  });

  test("gives a normal form that it leaves unchanged, for any path", () => {
    const piece = fc.constantFrom("/", ".", "..", "%2e", "%2F", "%5c", "\\", "%", "%2", "a", ";", "%41", "%00", "2e");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const normal = normalPath(`/${pieces.join("")}`);
        if (normal === undefined) return;
        expect(normalPath(normal)).toBe(normal);
        expect(normal.split("/").slice(1, -1)).not.toContain("");
        expect(normal.replace(/%2F|%5C|\\/g, "/").split("/")).not.toContain("..");
      }),
    );
  });

  test("takes linear time", () => {
    expectLinearTime(() => {
      for (const unit of ["a%2e/../", "/", "%", "..;", "\\.%2f", "%2"]) normalPath(`/${nothingBut(unit)}`);
    });
  });
});

describe("otherReading", () => {
  it.each([
    ["/a/b", undefined],
    ["/a%20b", undefined],
    ["/a%2Fb", "/a/b"],
    ["/a\\b", "/a/b"],
    ["/a%5C%2Fb/", "/a/b/"],
  ])("of %s is %s", (path, other) => {
    expect(otherReading(path)).toBe(other);
  });
});
