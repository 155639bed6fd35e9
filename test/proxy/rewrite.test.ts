import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { isNetworkPath } from "../../src/http/url-reference.ts";
import { Rewrite, type RewrittenRequest } from "../../src/proxy/rewrite.ts";
import type { PathChange } from "../../src/route/route-spec.ts";

/** Replaces the prefix `from` of clients by `to`; both without a trailing slash. */
function prefixRewrite(from: string, to: string, responses: "map" | "keep" = "map"): Rewrite {
  const path: PathChange = { kind: "prefix", from, to };
  const host = { kind: "text", text: "up.internal" } as const;
  return new Rewrite({ path, host, cookieDomain: undefined, responses }, "refuse-leading");
}

const asked = (authority = "shop.example"): RewrittenRequest => ({
  head: { authority },
  facts: { isHttps: true },
  attempts: undefined,
});

const locationOf = (rewrite: Rewrite, value: string, authority?: string): string =>
  rewrite.mapBack("Location", value, asked(authority));

/** The client's prefix, the upstream's, a Location of the upstream, and what the client gets. */
const locations: readonly (readonly [from: string, to: string, sent: string, wanted: string])[] = [
  // An application that knows its prefix.
  ["/api", "", "/api/login", "/api/login"],
  ["/api", "", "/api", "/api"],
  ["/api", "", "/login", "/api/login"],
  ["/api", "", "/apix", "/api/apix"],
  ["/api", "", "https://shop.example/api/login", "https://shop.example/api/login"],
  ["/api", "", "http://up.internal/api/login", "https://shop.example/api/login"],
  ["/api", "", "http://up.internal/login", "https://shop.example/api/login"],
  ["/api/v1", "/v1", "/api/v1/x", "/api/v1/x"],
  ["/api/v1", "/v1", "/v1/x", "/api/v1/x"],
  // The upstream's prefix is below the client's: all of the upstream's paths are.
  ["/v1", "/v1/shop", "/v1/shop/x", "/v1/x"],
  ["/v1", "/v1/shop", "/v1/other", "/v1/other"],
  // Open redirects.
  ["", "/app", "/app//evil.example/", "/evil.example/"],
  ["", "/app", "/app/\\evil.example/", "/evil.example/"],
  ["", "/app", "/app\\/evil.example/", "/app\\/evil.example/"],
  ["", "/app", "/app/\t/evil.example/", "/app/\t/evil.example/"],
  ["", "/app", "/app/\\\\//evil.example/", "/evil.example/"],
  ["", "/app", "/app/.//evil.example/", "/evil.example/"],
  ["", "/app", "/app/x/..//evil.example/", "/evil.example/"],
  ["", "/app", "/app/%2fevil.example/", "/%2fevil.example/"],
  ["", "/app", "/app/%5cevil.example/", "/%5cevil.example/"],
  ["", "/app", "/app", "/"],
  ["", "/app", "/app?x=//y#//z", "/?x=//y#//z"],
  ["", "/app", "http://up.internal/app//evil.example/", "https://shop.example/evil.example/"],
  ["", "/app", "/app/../admin", "/app/../admin"],
  ["", "/app", "/app/./x", "/x"],
  ["/api", "", "//evil.example/x", "//evil.example/x"],
  ["/api", "", "/\\evil.example/x", "/\\evil.example/x"],
  ["/api", "", "/\t/evil.example/x", "/\t/evil.example/x"],
  ["/api", "", "http://up.internal\\@evil.example/", "http://up.internal\\@evil.example/"],
  ["/api", "", "http://up.internal@evil.example/", "http://up.internal@evil.example/"],
];

describe("a Location of the upstream", () => {
  it.each(locations)("%s for %s: %j becomes %j", (from, to, sent, wanted) => {
    expect(locationOf(prefixRewrite(from, to), sent)).toBe(wanted);
  });

  it("names no other host for a client without a Host", () => {
    expect(locationOf(prefixRewrite("", "/app"), "http://up.internal/app//evil.example/", "")).toBe("/evil.example/");
    expect(locationOf(prefixRewrite("/a", "/b"), "http://up.internal//evil.example/", "")).toBe("/evil.example/");
  });

  it("stays as it is with responses: keep", () => {
    const rewrite = prefixRewrite("/api", "", "keep");
    expect(locationOf(rewrite, "/login")).toBe("/login");
    expect(locationOf(rewrite, "http://up.internal/login")).toBe("http://up.internal/login");
    expect(rewrite.mapBack("Set-Cookie", "a=b; Path=/", asked())).toBe("a=b; Path=/");
  });

  test("leads to the same origin as before, for any path (WHATWG URL as the judge)", () => {
    const base = "https://shop.example/api/x";
    const piece = fc.constantFrom(..."/ \\ . .. ; : @ ? # % %2f %2e %5c app api evil.example \t".split(" "), "//", "x");
    const prefixes = fc.constantFrom(["", "/app"], ["/api", ""], ["/api", "/app"], ["/app/api", "/app"], ["", ""]);
    fc.assert(
      fc.property(prefixes, fc.array(piece, { maxLength: 8 }), ([from = "", to = ""], pieces) => {
        const sent = `/${pieces.join("")}`;
        const got = locationOf(prefixRewrite(from, to), sent);
        expect(originOf(got, base), `${JSON.stringify(sent)} became ${JSON.stringify(got)}`).toBe(originOf(sent, base));
        const withoutHost = locationOf(prefixRewrite(from, to), `http://up.internal${sent}`, "");
        if (withoutHost.startsWith("/")) expect(isNetworkPath(withoutHost)).toBe(false);
      }),
      { numRuns: 5_000 },
    );
  });
});

function originOf(reference: string, base: string): string {
  return URL.canParse(reference, base) ? new URL(reference, base).origin : "invalid";
}

/** With /api taken away, a cookie of the upstream, and what the client gets. */
const cookies: readonly (readonly [sent: string, wanted: string])[] = [
  ["sid=1; Path=/api", "sid=1; Path=/api"],
  ["sid=1; Path=/api/x; Secure", "sid=1; Path=/api/x; Secure"],
  ["sid=1; Path=/", "sid=1; Path=/api"],
  ["sid=1; Path=/x", "sid=1; Path=/api/x"],
  ["__Host-sid=1; Path=/; Secure", "__Host-sid=1; Path=/; Secure"],
];

describe("a cookie of the upstream", () => {
  it.each(cookies)("%s becomes %s", (sent, wanted) => {
    expect(prefixRewrite("/api", "").mapBack("Set-Cookie", sent, asked())).toBe(wanted);
  });
});

/** The prefixes, what a trusted caller sent, and what goes upstream. */
const prefixes: readonly (readonly [
  from: string,
  to: string,
  received: readonly string[],
  wanted: readonly string[],
])[] = [
  ["/api", "", [], ["/api"]],
  ["/api/v1", "/v1", [], ["/api"]],
  ["/api", "/v2", [], []],
  ["", "/app", [], []],
  ["/api", "", ["/outer"], ["/outer/api"]],
  ["/api", "", ["/outer/"], ["/outer/api"]],
  ["/api", "", ["/a, /b"], ["/a/b/api"]],
  ["/api", "", ["/a", "/b"], ["/a/b/api"]],
  ["/api", "", ["//evil.example"], ["/api"]],
  ["/api", "", ["<x>"], ["/api"]],
  ["/api", "/v2", ["/outer"], ["/outer"]],
];

describe("X-Forwarded-Prefix", () => {
  it.each(prefixes)("%s for %s, received %j: %j", (from, to, received, wanted) => {
    const fields = ["Host", "a", ...received.flatMap((value) => ["x-forwarded-prefix", value])];
    prefixRewrite(from, to).addPrefix(fields, `${from}/x`, `${to}/x`);
    expect(fields.filter((_, at) => at % 2 === 1 && /prefix/i.test(fields[at - 1] ?? ""))).toEqual(wanted);
  });

  it.each([
    ["/en/x", "/x", "/en"],
    ["/a/b/x", "/x", "/a/b"],
    ["/en/x", "/y", undefined],
    ["/any/", "/", undefined],
    ["//evil.example/x", "/x", undefined],
    ["/a\\b/x", "/x", undefined],
  ])("of a pattern that makes %s %s: %s", (path, upstreamPath, wanted) => {
    const pattern = { source: "", maxLength: 100, replace: () => upstreamPath };
    const spec = {
      path: { kind: "regex", pattern },
      host: undefined,
      cookieDomain: undefined,
      responses: "map",
    } as const;
    const fields: string[] = [];
    new Rewrite(spec, "refuse-leading").addPrefix(fields, path, upstreamPath);
    expect(fields[1]).toBe(wanted);
  });
});

/** A path as a client wrote it, and what goes upstream with /api replaced by /v2; undefined: refused. */
const rawPaths: readonly (readonly [from: string, to: string, written: string, wanted: string | undefined])[] = [
  ["/api", "/v2", "/api//x//", "/v2//x//"],
  ["/api", "/v2", "/api/https://a.example/x", "/v2/https://a.example/x"],
  ["/api", "/v2", "//api/x", undefined],
  ["/api", "/v2", "/%61pi/x", undefined],
  ["/api", "/v2", "/other/../api/x", undefined],
  ["/api", "/v2", "/api/../api/x", undefined],
  ["/api", "/v2", "/api/x/../y", "/v2/x/../y"],
  ["/api", "", "/api//evil.example", undefined],
  ["/api", "", "/api/\\evil.example", undefined],
  ["/api", "", "/api/x", "/x"],
];

describe("a path as the client wrote it", () => {
  it.each(rawPaths)("%s for %s: %s becomes %s", (from, to, written, wanted) => {
    expect(prefixRewrite(from, to).rawPath(written)).toBe(wanted);
  });
});
