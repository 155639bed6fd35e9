import { describe, expect, it } from "vitest";
import { perch, upstream } from "../kit/freed.ts";
import { exchange, lanes } from "../kit/one-service.ts";

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
