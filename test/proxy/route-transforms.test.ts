/** @module-tag slow */
import { describe, expect, it } from "vitest";
import { perch, upstream } from "../kit/freed.ts";
import { exchange, lanes } from "../kit/one-service.ts";
import { refusedOrigin, type SeenRequest } from "../kit/upstream.ts";

const attributes = `
attributes:
  region: { type: string, from: [{ header: x-user-region }, { query: region }] }
  since: { type: time, from: [{ header: x-since }] }`;

interface Setup {
  /** Keys of the route. */
  readonly route?: string;
  /** The release that the route takes. Default: none. */
  readonly release?: "shop";
  /** Keys of the version. */
  readonly version?: string;
  readonly target?: string;
  readonly fields?: string;
}

/**
 * One request, and one response with these fields, in which UPSTREAM stands for the upstream's own host and port: what
 * the upstream received, and what the client did.
 */
async function passed(fastLane: string, setup: Setup, answered: Record<string, string | string[]> = {}) {
  const { route = "", version = "", target = "/a", fields = "" } = setup;
  const release = setup.release === undefined ? "" : "release: shop, ";
  const stable = await upstream("stable", (_request, response) => {
    const own = (value: string) => value.replace("UPSTREAM", `127.0.0.1:${stable.port}`);
    const sent = Object.entries(answered).map(([name, value]) => [name, Array.isArray(value) ? value : own(value)]);
    response.writeHead(200, Object.fromEntries(sent)).end("ok");
  });
  const { port } = await perch(`
fastLane: ${fastLane}
trustedProxies: [127.0.0.0/8]
${attributes}
services: { shop: { versions: { stable: { endpoints: ["${stable.origin}"], ${version} } } } }
releases: { shop: { split: { stable: 1 } } }
routes: [{ name: front, service: shop, ${release}${route} }]`);
  const head = `GET ${target} HTTP/1.1\r\nHost: shop.example:81\r\nConnection: close\r\n${fields}\r\n`;
  const text = await exchange(port, head);
  return { seen: stable.seen, upstreamPort: stable.port, text };
}

function only(seen: readonly SeenRequest[]): SeenRequest {
  const [only] = seen;
  if (only === undefined || seen.length !== 1) throw new Error(`the upstream saw ${seen.length} requests`);
  return only;
}

/** The values of a header as the upstream got them, line by line. */
function lines({ rawHeaders }: SeenRequest, name: string): string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name);
}

/** A configuration, a request, and the lines of x-a that the upstream receives. */
const requestCases: readonly (readonly [string, Setup, readonly string[]])[] = [
  [
    "set: the client's own is removed",
    { route: "requestHeaders: { set: { X-A: perch } }", fields: "x-a: client\r\n" },
    ["perch"],
  ],
  [
    "add: the client's own stays",
    { route: "requestHeaders: { add: { x-a: [b, c] } }", fields: "X-A: a\r\n" },
    ["a", "b", "c"],
  ],
  [
    "set: what an upstream would read as the same name is removed too",
    {
      route: `requestHeaders: { set: { x-a-b: perch, x-a: "\${path}" } }`,
      fields: "x_a: 1\r\nX_A_B: 2\r\nX-A.B: 3\r\n",
    },
    ["/a"],
  ],
  ["remove", { route: "requestHeaders: { remove: [x-a] }", fields: "x-a: 1\r\nX-A: 2\r\n" }, []],
  [
    "an attribute",
    { route: `requestHeaders: { set: { x-a: "\${attribute.region}" } }`, fields: "x-user-region: east\r\n" },
    ["east"],
  ],
  [
    "a time, in the form of RFC 3339",
    { route: `requestHeaders: { set: { x-a: "\${attribute.since}" } }`, fields: "x-since: 2026-01-02\r\n" },
    ["2026-01-02T00:00:00.000Z"],
  ],
  [
    "spoofing: an absent attribute removes the client's own",
    { route: `requestHeaders: { set: { x-a: "r=\${attribute.region}" } }`, fields: "x-a: client\r\n" },
    [],
  ],
  [
    "facts of the request",
    {
      release: "shop",
      route: `requestHeaders: { set: { x-a: "\${route}/\${service}/\${release}/\${version} \${clientAddress} \${host}\${path}" } }`,
      fields: "X-Forwarded-For: 203.0.113.9\r\n",
      target: "/p?q",
    },
    ["front/shop/shop/stable 203.0.113.9 shop.example/p"],
  ],
  [
    "header injection: line breaks in a query",
    { route: `requestHeaders: { set: { x-a: "\${attribute.region}" } }`, target: "/?region=a%0d%0ax-b:%201" },
    [],
  ],
  [
    "a NUL in a query",
    { route: `requestHeaders: { add: { x-a: "\${attribute.region}" } }`, target: "/?region=a%00b" },
    [],
  ],
  [
    "letters above ASCII, as UTF-8",
    { route: `requestHeaders: { set: { x-a: "é \${attribute.region}" } }`, target: "/?region=%C3%BC" },
    ["\xc3\xa9 \xc3\xbc"],
  ],
  [
    "blanks around a value, which are trimmed",
    { route: `requestHeaders: { set: { x-a: " \${attribute.region} " } }`, target: "/?region=+a+" },
    ["a"],
  ],
  [
    "a version's edits after the route's",
    {
      route: "requestHeaders: { set: { x-a: route }, add: { x-a: more } }",
      version: "requestHeaders: { set: { x-a: version } }",
    },
    ["version"],
  ],
  [
    "a version adds to what the route set",
    {
      route: "requestHeaders: { set: { x-a: route } }",
      version: "requestHeaders: { add: { x-a: version } }",
    },
    ["route", "version"],
  ],
];

const api = "match: { path: { prefix: /api } }";

/** A route, a target, and the one that the upstream receives. */
const targets: readonly (readonly [string, string, string, string])[] = [
  ["a prefix, by segment", `${api}, rewrite: { prefix: /v2 }`, "/api/x?y=/api", "/v2/x?y=/api"],
  ["the prefix itself", `${api}, rewrite: { prefix: /v2 }`, "/api?y", "/v2?y"],
  ["the prefix and a slash", `${api}, rewrite: { prefix: /v2/ }`, "/api/", "/v2/"],
  ["a prefix taken away", `${api}, rewrite: { prefix: / }`, "/api/x", "/x"],
  ["all of it taken away", `${api}, rewrite: { prefix: / }`, "/api", "/"],
  ["a prefix put in front", "rewrite: { prefix: /app }", "/x", "/app/x"],
  ["the whole path", `${api}, rewrite: { path: /one }`, "/api/x?y=z", "/one?y=z"],
  [
    "by a pattern",
    'rewrite: { regex: { pattern: "^/u/([0-9]+)(/x)?", replacement: "/users/$1$2/$$" } }',
    "/u/17/y",
    "/users/17/$/y",
  ],
  ["by a pattern that is not found", 'rewrite: { regex: { pattern: "^/u/", replacement: "/v" } }', "/w/u/", "/w/u/"],
  ["a path in normal form", `${api}, rewrite: { prefix: /v2 }`, "/x/../api//%61", "/v2/a"],
];

/** A field of the response, and what the client receives of it, with the prefix /v2 for /api. */
const fieldsBack: readonly (readonly [string, string, string])[] = [
  ["a path below the prefix", "Location: /v2/y?z#f", "Location: /api/y?z#f"],
  ["the prefix itself", "Location: /v2", "Location: /api"],
  ["a path elsewhere", "Location: /v22/y", "Location: /v22/y"],
  ["a relative one", "Location: y/../z", "Location: y/../z"],
  [
    "an address by the host that the upstream got",
    "Location: http://Shop.example:81/v2/y",
    "Location: http://Shop.example:81/api/y",
  ],
  ["its scheme is kept", "Location: https://shop.example:81/v2/", "Location: https://shop.example:81/api/"],
  [
    "an address by the endpoint's own name",
    "Location: http://UPSTREAM/v2/y?a",
    "Location: http://shop.example:81/api/y?a",
  ],
  ["another host", "Location: http://other.example/v2/y", "Location: http://other.example/v2/y"],
  ["another host without a scheme", "Location: //other.example/v2/y", "Location: //other.example/v2/y"],
  ["Content-Location too", "Content-Location: /v2/y", "Content-Location: /api/y"],
  ["a cookie's path", "Set-Cookie: a=/v2/; Path=/v2/x; HttpOnly", "Set-Cookie: a=/v2/; Path=/api/x; HttpOnly"],
  ["a cookie's path elsewhere", "Set-Cookie: a=b; path=/", "Set-Cookie: a=b; path=/"],
];

describe.each(lanes)("header edits in the $lane lane", ({ fastLane }) => {
  it.each(requestCases)("of requests: %s", async (_what, setup, wanted) => {
    const { seen } = await passed(fastLane, setup);
    expect(lines(only(seen), "x-a")).toEqual(wanted);
    for (const name of ["x-b", "x_a", "x_a_b", "x-a.b"]) expect(lines(only(seen), name)).toEqual([]);
  });

  it("of responses: set, add, remove, by route and version", async () => {
    const setup = {
      route: `responseHeaders: { set: { x-a: "\${version}" }, add: { x-b: 2 }, remove: [server, x-c] }`,
      version: "responseHeaders: { add: { x-c: version } }",
    };
    const { text } = await passed(fastLane, setup, { "X-A": "1", "X-B": "1", Server: "x", "X-C": ["1", "2"] });
    const fields = text.split("\r\n").filter((line) => /^(?:x-|server)/i.test(line));
    expect(fields).toEqual(["X-B: 1", "x-a: stable", "x-b: 2", "x-c: version"]);
  });

  it("a pin keeps the response private, although the route sets Cache-Control", async () => {
    const setup: Setup = {
      release: "shop",
      route: 'responseHeaders: { set: { cache-control: "public, max-age=60", cdn-cache-control: max-age=9 } }',
    };
    const { text } = await passed(fastLane, setup, { "Cache-Control": "no-cache" });
    expect(text).toContain("\r\nCache-Control: max-age=60, private\r\nSet-Cookie: perch-shop=");
    expect(text.match(/cache-control/gi)).toHaveLength(1);
  });

  it("the upstream's Connection does not remove what a route sets", async () => {
    const setup = { route: "responseHeaders: { set: { x-a: perch } }" };
    const { text } = await passed(fastLane, setup, { Connection: "close, x-a", "X-A": "client" });
    expect(text.match(/x-a: .*/gi)).toEqual(["x-a: perch"]);
  });

  it("are those of the version that serves, also after a fallback", async () => {
    const stable = await upstream("stable");
    const { origin } = await perch(`
fastLane: ${fastLane}
services:
  shop:
    versions:
      stable: { endpoints: ["${stable.origin}"], requestHeaders: { set: { x-a: "\${version}" } } }
      canary: { endpoints: ["${await refusedOrigin()}"], requestHeaders: { set: { x-a: wrong, x-b: wrong } } }
releases: { shop: { split: { canary: 1 } } }
routes: [{ name: front, service: shop, release: shop }]`);
    await fetch(origin);
    const seen = only(stable.seen);
    expect([lines(seen, "x-a"), lines(seen, "x-b")]).toEqual([["stable"], []]);
  });

  it("do not apply to local replies", async () => {
    const { port } = await perch(`
fastLane: ${fastLane}
services: { shop: { versions: { stable: { endpoints: ["${await refusedOrigin()}"] } } } }
routes: [{ name: front, service: shop, responseHeaders: { set: { x-a: b } } }]`);
    const answer = await exchange(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect(answer).toContain("x-perch-error: ");
    expect(answer).not.toContain("x-a");
  });
});

describe.each(lanes)("rewrites in the $lane lane", ({ fastLane }) => {
  it.each(targets)("%s", async (_what, route, target, wanted) => {
    const { url, headers } = only((await passed(fastLane, { route, target })).seen);
    expect([url, headers["host"]]).toEqual([wanted, "shop.example:81"]);
  });

  it.each(fieldsBack)("back to the client: %s", async (_what, answered, wanted) => {
    const [name = "", value = ""] = answered.split(": ");
    const { text } = await passed(
      fastLane,
      { route: `${api}, rewrite: { prefix: /v2 }`, target: "/api/x" },
      { [name]: value },
    );
    expect(text).toContain(`\r\n${wanted}\r\n`);
  });

  it("path confusion: a pattern cannot make dot segments of what a client sent", async () => {
    const route = 'rewrite: { regex: { pattern: "/x[.]([^/]*)", replacement: "/.$1" } }';
    const { text, seen } = await passed(fastLane, { route, target: "/x../admin" });
    expect([text.slice(9, 12), seen]).toEqual(["400", []]);
  });

  it("the Host is another, and the client's goes in X-Forwarded-Host", async () => {
    const { headers, rawHeaders } = only(
      (await passed(fastLane, { route: "rewrite: { host: shop.internal:8080 }" })).seen,
    );
    expect(headers).toMatchObject({ host: "shop.internal:8080", "x-forwarded-host": "shop.example:81" });
    expect(rawHeaders[0]?.toLowerCase()).toBe("host");
  });

  it("the Host is the endpoint's own, and locations with it get the client's", async () => {
    const asked = { route: "rewrite: { host: upstream }", fields: "X-Forwarded-Proto: https\r\n" };
    const { seen, upstreamPort, text } = await passed(fastLane, asked, { Location: "http://UPSTREAM/y" });
    expect(only(seen).headers["host"]).toBe(`127.0.0.1:${upstreamPort}`);
    expect(text).toContain("\r\nLocation: https://shop.example:81/y\r\n");
  });

  it("a removed prefix is put back into cookie paths", async () => {
    const cookies = ["a=b; Path=/", "c=d; path = /x ; Secure", "e=f"];
    const { text } = await passed(
      fastLane,
      { route: `${api}, rewrite: { prefix: / }`, target: "/api/x" },
      { "Set-Cookie": cookies },
    );
    expect(text.match(/Set-Cookie: .*/gi)).toEqual([
      "Set-Cookie: a=b; Path=/api",
      "Set-Cookie: c=d; path=/api/x; Secure",
      "Set-Cookie: e=f",
    ]);
  });

  it("an application that knows its prefix keeps it in Location and in cookie paths", async () => {
    const { seen, text } = await passed(
      fastLane,
      {
        route: `${api}, rewrite: { prefix: / }, requestHeaders: { set: { x-forwarded-prefix: /api } }`,
        target: "/api/x",
      },
      { Location: "/api/login", "Set-Cookie": "sid=1; Path=/api" },
    );
    expect(text).toContain("\r\nLocation: /api/login\r\nSet-Cookie: sid=1; Path=/api\r\n");
    expect(lines(only(seen), "x-forwarded-prefix")).toEqual(["/api"]);
  });

  it("an application behind two prefixes keeps both", async () => {
    const { text } = await passed(
      fastLane,
      { route: `${api}, rewrite: { prefix: / }`, fields: "X-Forwarded-Prefix: /shop\r\n", target: "/api/x" },
      { Location: "/shop/api/login", Refresh: "5; url=/login", "Set-Cookie": "sid=1; Path=/shop/api" },
    );
    expect(text).toContain(
      "\r\nLocation: /shop/api/login\r\nRefresh: 5; url=/api/login\r\nSet-Cookie: sid=1; Path=/shop/api\r\n",
    );
  });

  it("an application keeps the prefix that the route's edits tell it", async () => {
    const { text } = await passed(
      fastLane,
      {
        route: `${api}, rewrite: { prefix: / }, requestHeaders: { set: { x-forwarded-prefix: /shop/api } }`,
        target: "/api/x",
      },
      { Location: "/shop/api/login" },
    );
    expect(text).toContain("\r\nLocation: /shop/api/login\r\n");
  });

  it.each([
    ["a prefix taken away", `${api}, rewrite: { prefix: / }`, "", ["/api"]],
    [
      "one more than a trusted proxy's",
      `${api}, rewrite: { prefix: / }`,
      "X-Forwarded-Prefix: /shop\r\n",
      ["/shop/api"],
    ],
    ["a prefix that is replaced", `${api}, rewrite: { prefix: /v2 }`, "X-Forwarded-Prefix: /shop\r\n", ["/shop"]],
    ["by a pattern", `rewrite: { regex: { pattern: "^/api(/|$)(.*)", replacement: "/$2" } }`, "", ["/api"]],
    [
      "removed by the route",
      `${api}, rewrite: { prefix: / }, requestHeaders: { remove: [x-forwarded-prefix] }`,
      "",
      [],
    ],
  ])("X-Forwarded-Prefix: %s", async (_what, route, fields, wanted) => {
    const { seen } = await passed(fastLane, { route, fields, target: "/api/x" });
    expect(lines(only(seen), "x-forwarded-prefix")).toEqual(wanted);
  });

  it("open redirect: a Location below the upstream's prefix stays on the client's host", async () => {
    for (const path of ["/app//evil.example/", "/app/\\evil.example/"]) {
      const { text } = await passed(fastLane, { route: "rewrite: { prefix: /app }" }, { Location: path });
      expect(text).toContain("\r\nLocation: /evil.example/\r\n");
    }
  });

  it("open redirect: the path in a response header names no other host", async () => {
    const route = `responseHeaders: { set: { location: "\${path}" } }`;
    for (const target of ["//evil.example", "/\\evil.example"]) {
      const { text } = await passed(fastLane, { route, target });
      expect(text).toMatch(/\r\nlocation: \/(?:%5C)?evil.example\r\n/);
    }
  });

  it.each([
    ["shop.example", ["Set-Cookie: a=b; Domain=shop.example; Path=/", "Set-Cookie: domain=x"]],
    ["none", ["Set-Cookie: a=b; Path=/", "Set-Cookie: domain=x"]],
  ])("the Domain of cookies becomes %s", async (domain, wanted) => {
    const cookies = { "Set-Cookie": ["a=b; Domain=internal.example; Path=/", "domain=x"] };
    const { text } = await passed(fastLane, { route: `rewrite: { cookieDomain: ${domain} }` }, cookies);
    expect(text.match(/Set-Cookie: .*/gi)).toEqual(wanted);
  });
});
