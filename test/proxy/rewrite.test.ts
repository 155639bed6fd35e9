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

const asked = (authority = "shop.example", forwardedPrefix?: string): RewrittenRequest => ({
  head: { authority },
  facts: { isHttps: true },
  attempts: undefined,
  forwardedPrefix,
});

const locationOf = (rewrite: Rewrite, value: string, authority?: string, forwardedPrefix?: string): string =>
  rewrite.mapBack("Location", value, asked(authority, forwardedPrefix));

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
  // An application that knows the client's host, but not its prefix.
  ["/api", "/app", "https://shop.example/app/login", "https://shop.example/api/login"],
  ["/api", "/app", "https://shop.example/login", "https://shop.example/login"],
  // With the scheme of the request.
  ["/api", "", "//up.internal/login", "https://shop.example/api/login"],
  ["/api", "", "//shop.example/login", "//shop.example/api/login"],
  ["", "/app", "//up.internal/app//evil.example/", "https://shop.example/evil.example/"],
  ["", "/app", "//shop.example/app//evil.example/", "//shop.example/evil.example/"],
  ["/api", "", "//up.internal@evil.example/", "//up.internal@evil.example/"],
  ["", "/app", "///app/evil.example", "///app/evil.example"],
  // Relative to the request's path, which the client's own ends like.
  ["/api", "", "login", "login"],
  ["/api", "", "../x", "../x"],
  ["/api", "", "?page=2", "?page=2"],
  ["/api", "", "", ""],
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

  it("without a host leads to no other one for a client without a Host", () => {
    const rewrite = new Rewrite({ ...prefixRewrite("", "/app").spec, host: undefined }, "refuse-leading");
    expect(locationOf(rewrite, "http:///app/evil.example/", "")).toBe("http:///app/evil.example/");
  });

  it.each([
    ["/outer/api", "/outer/api/login", "/outer/api/login"],
    ["/outer/api", "https://shop.example/outer/api", "https://shop.example/outer/api"],
    ["/outer/api", "/outer/apix", "/api/outer/apix"],
    ["/outer/api", "/login", "/api/login"],
    [undefined, "/outer/api/login", "/api/outer/api/login"],
  ])("of an application that was told the prefix %s: %s becomes %s", (told, sent, wanted) => {
    expect(locationOf(prefixRewrite("/api", ""), sent, undefined, told)).toBe(wanted);
  });

  it("is mapped in a Refresh field too", () => {
    const refreshOf = (value: string) => prefixRewrite("/api", "").mapBack("Refresh", value, asked());
    expect(refreshOf("0; url=/login")).toBe("0; url=/api/login");
    expect(refreshOf("5;URL='/login?a=b'")).toBe("5;URL='/api/login?a=b'");
    expect(refreshOf('1.5, url = "http://up.internal/x"; y')).toBe('1.5, url = "https://shop.example/api/x"; y');
    expect(refreshOf("3;/login")).toBe("3;/api/login");
    expect(refreshOf(`0; url="/it's" x`)).toBe(`0; url="/api/it's" x`);
    expect(refreshOf(`0; url=//up.internal"@evil.example`)).toBe(`0; url=//up.internal"@evil.example`);
    expect(refreshOf("0; url=/api/login")).toBe("0; url=/api/login");
    expect(refreshOf("0; url=//evil.example/")).toBe("0; url=//evil.example/");
    for (const value of ["", "5", "5;", "/login"]) expect(refreshOf(value)).toBe(value);
    expect(prefixRewrite("/api", "", "keep").mapBack("Refresh", "0; url=/x", asked())).toBe("0; url=/x");
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
  // Browsers take the path of the request for these.
  ["sid=1; Path=; Secure", "sid=1; Path=; Secure"],
  ['sid=1; Path="/"', 'sid=1; Path="/"'],
  ["sid=1; Path=x", "sid=1; Path=x"],
  ["sid=1; PATH=/", "sid=1; PATH=/api"],
];

describe("a cookie of the upstream", () => {
  it.each(cookies)("%s becomes %s", (sent, wanted) => {
    expect(prefixRewrite("/api", "").mapBack("Set-Cookie", sent, asked())).toBe(wanted);
  });

  it("keeps a path below the prefix that the application was told", () => {
    const told = asked("shop.example", "/outer/api");
    expect(prefixRewrite("/api", "").mapBack("Set-Cookie", "a=1; Path=/outer/api", told)).toBe("a=1; Path=/outer/api");
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
    ["/outer/api", "/outer/api"],
    ["/outer/", "/outer"],
    ["/", undefined],
    ["//evil.example", undefined],
    ["/a, /b", undefined],
  ])("as sent, %s, is %s for the response", (sent, wanted) => {
    const fields = ["host", "a", "x-forwarded-prefix", sent];
    expect(prefixRewrite("/api", "").forwardedPrefix(fields)).toBe(wanted);
    expect(prefixRewrite("/api", "", "keep").forwardedPrefix(fields)).toBeUndefined();
  });

  it.each([
    ["/en/x", "/x", "/en"],
    ["/a/b/x", "/x", "/a/b"],
    ["/en/x", "/y", undefined],
    ["/any/", "/", undefined],
    ["//evil.example/x", "/x", undefined],
    ["/a\\b/x", "/x", undefined],
  ])("of a pattern that makes %s %s: %s", (path, upstreamPath, wanted) => {
    const pattern = { source: "", sureLength: 100, replace: () => upstreamPath };
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
