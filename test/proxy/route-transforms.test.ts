import { describe, expect, it } from "vitest";
import { perch, upstream } from "../kit/freed.ts";
import { exchange, lanes } from "../kit/one-service.ts";
import { refusedOrigin, type SeenRequest, type TestUpstream } from "../kit/upstream.ts";

const attributes = `
trustedProxies: [127.0.0.0/8]
attributes:
  region: { type: string, from: [{ header: x-user-region }, { query: region }] }
  since: { type: time, from: [{ header: x-since }] }`;

interface Setup {
  readonly route?: string;
  readonly version?: string;
  readonly canary?: string;
  readonly fields?: string;
  readonly target?: string;
}

/** What the upstream is asked, and what the client is answered, where the upstream answers with these fields. */
async function passed(fastLane: string, setup: Setup, answered: Record<string, string | string[]> = {}) {
  const answer: Parameters<typeof upstream>[1] = (_request, response) => response.writeHead(200, answered).end("ok");
  const stable = await upstream("stable", answer);
  const { port } = await perch(`
fastLane: ${fastLane}
${attributes}
services: { shop: { versions: { stable: { endpoints: ["${stable.origin}"], ${setup.version ?? ""} } } } }
releases: { shop: { split: { stable: 1 } } }
routes: [{ name: front, service: shop, release: shop, ${setup.route ?? ""} }]`);
  const { target = "/a", fields = "" } = setup;
  const text = await exchange(port, `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields}\r\n`);
  return { seen: onlyRequest(stable), text };
}

function onlyRequest({ seen }: TestUpstream): SeenRequest {
  const [only] = seen;
  if (only === undefined || seen.length !== 1) throw new Error(`the upstream saw ${seen.length} requests`);
  return only;
}

/** The values of a header as the upstream got them, line by line. */
function lines({ rawHeaders }: SeenRequest, name: string): string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name);
}

/** What is configured, what the client sends, and what the upstream gets of the header x-a. */
const requestCases: readonly (readonly [string, Setup, readonly string[]])[] = [
  [
    "set: the client's own goes",
    { route: "requestHeaders: { set: { X-A: ours } }", fields: "x-a: theirs\r\n" },
    ["ours"],
  ],
  [
    "add: the client's own stays",
    { route: "requestHeaders: { add: { x-a: [b, c] } }", fields: "X-A: a\r\n" },
    ["a", "b", "c"],
  ],
  ["remove", { route: "requestHeaders: { remove: [x-a] }", fields: "x-a: 1\r\nX-A: 2\r\n" }, []],
  [
    "an attribute",
    { route: `requestHeaders: { set: { x-a: "\${attribute.region}" } }`, fields: "x-user-region: east\r\n" },
    ["east"],
  ],
  [
    "a time is written as RFC 3339 does",
    { route: `requestHeaders: { set: { x-a: "\${attribute.since}" } }`, fields: "x-since: 2026-01-02\r\n" },
    ["2026-01-02T00:00:00.000Z"],
  ],
  [
    "spoofing: an attribute that is absent leaves nothing of the client's",
    { route: `requestHeaders: { set: { x-a: "r=\${attribute.region}" } }`, fields: "x-a: theirs\r\n" },
    [],
  ],
  [
    "facts of the request",
    {
      route: `requestHeaders: { set: { x-a: "\${route}/\${service}/\${release}/\${version} \${clientAddress} \${host}\${path}" } }`,
      fields: "X-Forwarded-For: 203.0.113.9\r\n",
      target: "/p?q",
    },
    ["front/shop/shop/stable 203.0.113.9 a/p"],
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
    "letters beyond ASCII go as UTF-8",
    { route: `requestHeaders: { set: { x-a: "é \${attribute.region}" } }`, target: "/?region=%C3%BC" },
    ["\xc3\xa9 \xc3\xbc"],
  ],
  [
    "blanks around a value are not part of it",
    { route: `requestHeaders: { set: { x-a: " \${attribute.region} " } }`, target: "/?region=+a+" },
    ["a"],
  ],
  [
    "a version's edits come after the route's",
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

describe.each(lanes)("header edits in the $lane lane", ({ fastLane }) => {
  it.each(requestCases)("of requests: %s", async (_what, setup, wanted) => {
    const { seen } = await passed(fastLane, setup);
    expect(lines(seen, "x-a")).toEqual(wanted);
    expect(lines(seen, "x-b")).toEqual([]);
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

  it("a pin keeps an answer private, whatever the route says to caches", async () => {
    const setup = {
      route: 'responseHeaders: { set: { cache-control: "public, max-age=60", cdn-cache-control: max-age=9 } }',
    };
    const { text } = await passed(fastLane, setup, { "Cache-Control": "no-cache" });
    expect(text).toContain("\r\nCache-Control: max-age=60, private\r\nSet-Cookie: perch-shop=");
    expect(text.match(/cache-control/gi)).toHaveLength(1);
  });

  it("what an upstream's Connection names is not what a route sets", async () => {
    const setup = { route: "responseHeaders: { set: { x-a: ours } }" };
    const { text } = await passed(fastLane, setup, { Connection: "close, x-a", "X-A": "theirs" });
    expect(text.match(/x-a: .*/gi)).toEqual(["x-a: ours"]);
  });

  it("belong to the version that serves, also where it is another than the one assigned", async () => {
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
    const seen = onlyRequest(stable);
    expect([lines(seen, "x-a"), lines(seen, "x-b")]).toEqual([["stable"], []]);
  });

  it("are not made on Perch's own answers", async () => {
    const { port } = await perch(`
fastLane: ${fastLane}
services: { shop: { versions: { stable: { endpoints: ["${await refusedOrigin()}"] } } } }
routes: [{ name: front, service: shop, responseHeaders: { set: { x-a: b } } }]`);
    const answer = await exchange(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect(answer).toContain("x-perch-error: ");
    expect(answer).not.toContain("x-a");
  });
});

interface Asked {
  readonly route: string;
  readonly target?: string;
  readonly fields?: string;
}

async function rewritten(fastLane: string, asked: Asked, answered: Record<string, string | string[]> = {}) {
  const stable = await upstream("stable", (_request, response) => {
    const { port } = stable;
    const own = (value: string) => value.replace("UPSTREAM", `127.0.0.1:${port}`);
    const fields = Object.entries(answered).map(([name, value]) => [name, Array.isArray(value) ? value : own(value)]);
    response.writeHead(200, Object.fromEntries(fields)).end("ok");
  });
  const { port, metric } = await perch(`
fastLane: ${fastLane}
trustedProxies: [127.0.0.0/8]
services: { shop: { versions: { stable: { endpoints: ["${stable.origin}"] } } } }
routes: [{ name: front, service: shop, ${asked.route} }]`);
  const { target = "/api/x", fields = "" } = asked;
  const text = await exchange(
    port,
    `GET ${target} HTTP/1.1\r\nHost: shop.example:81\r\nConnection: close\r\n${fields}\r\n`,
  );
  return { seen: stable.seen.at(-1), upstreamPort: stable.port, text, metric };
}

const api = "match: { path: { prefix: /api } }";

/** What is configured, what is asked, and the target that the upstream gets. */
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

/** What the upstream answers, and what of it the client gets, for a prefix /v2 in place of /api. */
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

describe.each(lanes)("rewrites in the $lane lane", ({ fastLane }) => {
  it.each(targets)("%s", async (_what, route, target, wanted) => {
    const { seen } = await rewritten(fastLane, { route, target });
    expect(seen?.url).toBe(wanted);
    expect(seen?.headers["host"]).toBe("shop.example:81");
  });

  it.each(fieldsBack)("back to the client: %s", async (_what, answered, wanted) => {
    const [name = "", value = ""] = answered.split(": ");
    const { text } = await rewritten(fastLane, { route: `${api}, rewrite: { prefix: /v2 }` }, { [name]: value });
    expect(text).toContain(`\r\n${wanted}\r\n`);
  });

  it("path confusion: a pattern can not make dot segments of what a client sent", async () => {
    const route = 'rewrite: { regex: { pattern: "/x[.]([^/]*)", replacement: "/.$1" } }';
    const { text, seen } = await rewritten(fastLane, { route, target: "/x../admin" });
    expect([text.slice(9, 12), seen]).toEqual(["400", undefined]);
  });

  it("the Host is another, and the client's is told", async () => {
    const { seen } = await rewritten(fastLane, { route: "rewrite: { host: shop.internal:8080 }" });
    expect(seen?.headers).toMatchObject({ host: "shop.internal:8080", "x-forwarded-host": "shop.example:81" });
    expect(seen?.rawHeaders[0]?.toLowerCase()).toBe("host");
  });

  it("the Host is the endpoint's own, and addresses by it lead back to the client's", async () => {
    const asked = { route: "rewrite: { host: upstream }", fields: "X-Forwarded-Proto: https\r\n" };
    const { seen, upstreamPort, text } = await rewritten(fastLane, asked, { Location: "http://UPSTREAM/y" });
    expect(seen?.headers["host"]).toBe(`127.0.0.1:${upstreamPort}`);
    expect(text).toContain("\r\nLocation: https://shop.example:81/y\r\n");
  });

  it("a prefix taken away is given back, to cookies of the root without its slash", async () => {
    const cookies = ["a=b; Path=/", "c=d; path = /x ; Secure", "e=f"];
    const { text } = await rewritten(fastLane, { route: `${api}, rewrite: { prefix: / }` }, { "Set-Cookie": cookies });
    expect(text.match(/Set-Cookie: .*/gi)).toEqual([
      "Set-Cookie: a=b; Path=/api",
      "Set-Cookie: c=d; path=/api/x; Secure",
      "Set-Cookie: e=f",
    ]);
  });

  it.each([
    ["shop.example", ["Set-Cookie: a=b; Domain=shop.example; Path=/", "Set-Cookie: domain=x"]],
    ["none", ["Set-Cookie: a=b; Path=/", "Set-Cookie: domain=x"]],
  ])("the Domain of cookies becomes %s where told", async (domain, wanted) => {
    const cookies = { "Set-Cookie": ["a=b; Domain=internal.example; Path=/", "domain=x"] };
    const { text } = await rewritten(fastLane, { route: `rewrite: { cookieDomain: ${domain} }` }, cookies);
    expect(text.match(/Set-Cookie: .*/gi)).toEqual(wanted);
  });
});
