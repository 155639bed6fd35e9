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
