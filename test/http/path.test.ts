import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { normalPath, otherReadings, withoutParameters } from "../../src/http/path.ts";
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
  ["/a%41%2", "/aA%2"],
  ["/x/%2%65%2%65/admin", undefined],
  ["/x%2%46admin", undefined],
  ["/%a%41", undefined],
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

describe("otherReadings", () => {
  it.each([
    ["/a/b", []],
    ["/a%20b", []],
    ["/a%2Fb", ["/a/b"]],
    ["/a\\b", ["/a/b"]],
    ["/a%5C%2Fb/", ["/a/b/"]],
    ["/a;x=1/b", ["/a/b"]],
    ["/a/b%3Bx", ["/a/b"]],
    ["/a%2F;x%2Fc/b", ["/a/;x/c/b", "/a%2F/b", "/a/c/b"]],
  ])("of %s are %s", (path, others) => {
    expect(otherReadings(path, "refuse-leading")).toEqual(others);
  });

  it("do not remove parameters that are kept", () => {
    expect(otherReadings("/a;x=1%2Fb", "keep")).toEqual(["/a;x=1/b"]);
  });
});

/** A path, and what becomes of it with refuse-leading, refuse and strip. */
const parameters: readonly (readonly [string, string | undefined, string | undefined, string | undefined])[] = [
  ["/a;x=1/b", "/a;x=1/b", undefined, "/a/b"],
  ["/a/b;", "/a/b;", undefined, "/a/b"],
  ["/;/admin", undefined, undefined, "/admin"],
  ["/;a=b/admin", undefined, undefined, "/admin"],
  ["/x/;a=b", undefined, undefined, "/x/"],
  ["/%3b/admin", undefined, undefined, undefined],
  ["/%3Ba=b/admin", undefined, undefined, undefined],
  ["/x%2F;/admin", undefined, undefined, "/x%2F/admin"],
  ["/x\\;/admin", undefined, undefined, "/x\\/admin"],
  ["/a%3bb", "/a%3Bb", undefined, "/a%3Bb"],
  ["/..;/admin", undefined, undefined, undefined],
  ["/x/.;a/admin", undefined, undefined, undefined],
  ["/x/..%3b/admin", undefined, undefined, undefined],
  ["/x/%2e%2e;/admin", undefined, undefined, undefined],
];

describe("path parameters", () => {
  it.each(parameters)("%s", (path, leading, refused, stripped) => {
    expect(normalPath(path, "refuse-leading")).toBe(leading);
    expect(normalPath(path, "refuse")).toBe(refused);
    expect(normalPath(path, "strip")).toBe(stripped);
  });

  it("are treated without normalisation too", () => {
    expect(withoutParameters("//a;x/../b", "strip")).toBe("//a/../b");
    expect(withoutParameters("//;x/b", "refuse-leading")).toBe(undefined);
    expect(withoutParameters("//;x/b", "keep")).toBe("//;x/b");
    for (const path of ["/..;/admin", "/a/.;x/b", "/a/%2e.;/b", "/a%2f..;/b", "/a\\..%3b/b"]) {
      expect(withoutParameters(path, "strip"), path).toBe(undefined);
      expect(withoutParameters(path, "refuse-leading"), path).toBe(undefined);
      expect(withoutParameters(path, "keep"), path).toBe(path);
    }
    expect(withoutParameters("/a..;x/b", "strip")).toBe("/a../b");
  });

  test("never leave a dot segment or an empty one, whatever a client sends", () => {
    const piece = fc.constantFrom("/", ".", "%2e", "%2F", "\\", ";", "%3b", "a", "=");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const normal = normalPath(`/${pieces.join("")}`, "strip");
        if (normal === undefined) return;
        expect(normal).not.toContain(";");
        expect(normal.split("/").slice(1, -1)).not.toContain("");
        expect(normal.replace(/%2F|\\/g, "/").split("/")).not.toContain("..");
      }),
    );
  });
});
