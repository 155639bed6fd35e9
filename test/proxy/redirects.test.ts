/** @module-tag slow */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createOverrideToken } from "../../src/decide/override.ts";
import { explainRequest } from "../../src/proxy/explain/explain.ts";
import { routeRedirect } from "../../src/proxy/redirects.ts";
import type { RedirectSpec } from "../../src/route/route-spec.ts";
import { perch, rawClient, upstream } from "../kit/freed.ts";
import { exchange, lanes, shopAt } from "../kit/one-service.ts";
import { temporaryFolder } from "../kit/served.ts";
import { snapshotOf } from "../kit/snapshot.ts";
import { Visitor } from "../kit/visitor.ts";
import { upgradeHead } from "../kit/websocket.ts";

/** A route, a request, and the Location of its response. */
interface Case {
  readonly name: string;
  readonly redirect: string;
  readonly match?: string;
  readonly target?: string;
  readonly host?: string;
  readonly fields?: string;
  readonly location: string;
}

const cases: readonly Case[] = [
  {
    name: "another scheme, without the port",
    redirect: "{ scheme: https }",
    host: "Shop.example:8080",
    target: "/a?b=c",
    location: "https://shop.example/a?b=c",
  },
  {
    name: "another scheme and port",
    redirect: "{ scheme: https, port: 8443 }",
    location: "https://shop.example:8443/",
  },
  {
    name: "a scheme's default port is not written",
    redirect: "{ scheme: https, port: 443 }",
    location: "https://shop.example/",
  },
  {
    name: "another host: scheme and port stay",
    redirect: "{ host: WWW.Example.com }",
    host: "shop.example:8080",
    target: "/a/?x",
    location: "http://www.example.com:8080/a/?x",
  },
  {
    name: "the client's scheme, as a trusted proxy forwards it",
    redirect: "{ host: www.example.com }",
    fields: "X-Forwarded-Proto: https\r\n",
    location: "https://www.example.com/",
  },
  {
    name: "an IPv6 host",
    redirect: '{ scheme: https, host: "[2001:DB8::1]" }',
    location: "https://[2001:db8::1]/",
  },
  {
    name: "a whole path, on the same host",
    redirect: "{ path: /new }",
    match: "path: { exact: /old }",
    target: "/old?a=b",
    location: "/new?a=b",
  },
  {
    name: "a prefix, by segment",
    redirect: "{ prefix: /new/ }",
    match: "path: { prefix: /old/ }",
    target: "/old/x/y?z",
    location: "/new/x/y?z",
  },
  {
    name: "the prefix itself",
    redirect: "{ prefix: /new }",
    match: "path: { prefix: /old }",
    target: "/old",
    location: "/new",
  },
  {
    name: "a prefix taken away",
    redirect: "{ prefix: / }",
    match: "path: { prefix: /old }",
    target: "/old",
    location: "/",
  },
  {
    name: "open redirect: a path that browsers would take for a host",
    redirect: "{ prefix: / }",
    match: "path: { prefix: /old }",
    target: "/old//evil.example/x",
    location: "/evil.example/x",
  },
];

const fieldOf = (head: string, name: string) =>
  head
    .split("\r\n")
    .find((line) => line.startsWith(`${name}: `))
    ?.slice(name.length + 2);

const secret = Buffer.alloc(32, "t");
const older = Buffer.alloc(32, "o");
const hour = 3_600_000;
const token = (version = "canary", ttlMs = hour, key: Uint8Array = secret, release = "shop") =>
  createOverrideToken(key, release, version, Date.now() + ttlMs);

/** Perch with a release that takes override links, and a function that sends one request. */
async function withLinks(fastLane: "on" | "off", more = "") {
  const [stable, canary] = [await upstream("stable"), await upstream("canary")];
  const secretFile = join(await temporaryFolder(), "tokens");
  await writeFile(secretFile, `${secret}\n${older}\n`);
  const started = await perch(`
fastLane: ${fastLane}
${more}
services:
  shop: { versions: { stable: { endpoints: ["${stable.origin}"] }, canary: { endpoints: ["${canary.origin}"] } } }
releases:
  shop:
    override: { header: x-perch-version, cookie: tester, query: perch-version, secretFile: ${secretFile} }
    split: { stable: 100, canary: 0 }
routes:
  - { name: bare, match: { path: { prefix: /bare } }, service: shop }
  - { name: shop, service: shop, release: shop }`);
  const head = async (target: string, fields = "", method = "GET") => {
    const bytes = `${method} ${target} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n${fields}\r\n`;
    return exchange(started.port, bytes);
  };
  return { ...started, stable, canary, head };
}

/** This route, and one that takes the rest. */
function configuration(fastLane: string, stable: string, route: string): string {
  const more = `fastLane: ${fastLane}\ntrustedProxies: [127.0.0.0/8]`;
  return shopAt(stable, more).replace("routes: [", `routes: [${route}, `);
}

describe.each(lanes)("redirects, in the $lane lane", ({ fastLane }) => {
  it.each(cases)(
    "$name",
    async ({ redirect, match = "", target = "/", host = "shop.example", fields = "", ...want }) => {
      const stable = await upstream("stable");
      const route = `{ name: moved, match: { ${match} }, redirect: ${redirect} }`;
      const { port } = await perch(configuration(fastLane, stable.origin, route));
      const client = await rawClient(port);
      client.send(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n`);
      const answer = await client.read((received) => received.endsWith("\r\n\r\n"));
      client.close();
      expect(answer).toMatch(/^HTTP\/1.1 302 Found\r\nConnection: keep-alive\r\nContent-Length: 0\r\nLocation: /);
      expect(fieldOf(answer, "Location")).toBe(want.location);
      expect(answer).not.toContain("x-perch-error");
      expect(stable.seen).toEqual([]);
    },
  );

  it.each([301, 302, 303, 307, 308])(
    "are answered with %i, counted once, and the connection goes on",
    async (status) => {
      const stable = await upstream("stable");
      const route = `{ name: moved, match: { path: { prefix: /old } }, redirect: { path: /new, status: ${status} } }`;
      const { port, metric } = await perch(configuration(fastLane, stable.origin, route));
      const client = await rawClient(port);
      const post = "POST /old HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
      client.send(`${post}GET /x HTTP/1.1\r\nHost: a\r\n\r\n`);
      const answers = await client.read((received) => received.includes("hello from stable"));
      client.close();
      expect(answers).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
      expect(stable.seen.map(({ url }) => url)).toEqual(["/x"]);
      const series = `route="moved",service="none",version="none",code="${status}",method="POST"`;
      expect(await metric(`perch_requests_total{${series}}`)).toBe(1);
      expect(await metric('perch_request_duration_seconds_count{route="moved",service="none",version="none"}')).toBe(1);
    },
  );

  it("honour Connection: close, also for HEAD", async () => {
    const stable = await upstream("stable");
    const { port } = await perch(configuration(fastLane, stable.origin, "{ name: moved, redirect: { path: /new } }"));
    const client = await rawClient(port);
    client.send("HEAD /old HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    const answer = await client.read();
    expect(answer).toMatch(/^HTTP\/1.1 302 Found\r\nConnection: close\r\n/);
    expect(fieldOf(answer, "Location")).toBe("/new");
  });

  it("may depend on the client's scheme", async () => {
    const stable = await upstream("stable");
    const route = "{ name: moved, match: { scheme: http }, redirect: { scheme: https, status: 301 } }";
    const { origin } = await perch(configuration(fastLane, stable.origin, route));
    const asked = (proto: string) =>
      fetch(origin, { redirect: "manual", headers: { "x-forwarded-proto": proto } }).then(({ status }) => status);
    expect([await asked("http"), await asked("https")]).toEqual([301, 200]);
  });

  it("answer during an upload, and read it to its end", async () => {
    const stable = await upstream("stable");
    const route = "{ name: moved, match: { path: { prefix: /old } }, redirect: { path: /new } }";
    const { port } = await perch(configuration(fastLane, stable.origin, route));
    const client = await rawClient(port);
    client.send("POST /old HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    await client.read((received) => received.includes("Location: /new"));
    client.send("3\r\ndef\r\n0\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.read((received) => received.includes("hello from stable"));
    client.close();
    expect(stable.seen.map(({ url }) => url)).toEqual(["/x"]);
  });
});

describe.each(lanes)("an override link, in the $lane lane", ({ fastLane }) => {
  it("sets the cookie and redirects to the same address without its parameter; the cookie then selects the version", async () => {
    const { origin, head, canary, metric } = await withLinks(fastLane);
    const signed = token();
    const answer = await head(`/any/path?x=1&perch-version=${signed}&y=%202`);
    expect(answer).toMatch(/^HTTP\/1\.1 302 Found\r\n/);
    expect(fieldOf(answer, "Location")).toBe("/any/path?x=1&y=%202");
    expect(fieldOf(answer, "Set-Cookie")).toMatch(
      new RegExp(`^tester=${signed}; Max-Age=(3600|3599); Path=/; HttpOnly; SameSite=Lax$`),
    );
    expect(fieldOf(answer, "Cache-Control")).toBe("no-store");
    expect(canary.seen).toHaveLength(0);

    const tester = new Visitor();
    await tester.get(`${origin}/?perch-version=${signed}`);
    const visit = await tester.get(`${origin}/any/path?x=1`);
    expect(visit.version).toBe("canary");
    expect(canary.seen[0]?.url).toBe("/any/path?x=1");
    expect(canary.seen[0]?.headers).not.toHaveProperty("cookie");
    const series = 'perch_requests_total{route="shop",service="shop",version="none",code="302",method="GET"}';
    expect(await metric(series)).toBe(2);
    expect(await metric('perch_decisions_total{release="shop",version="canary",reason="override"}')).toBe(1);
  });

  it.each(["none", "off"])("with the value %s ends an override, and has no effect without one", async (value) => {
    const { head, stable } = await withLinks(fastLane);
    const answer = await head(`/a?perch-version=${value}`, `Cookie: tester=${token()}\r\n`);
    expect(answer).toContain("302 Found");
    expect(fieldOf(answer, "Location")).toBe("/a");
    expect(fieldOf(answer, "Set-Cookie")).toBe("tester=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax");
    expect(await head(`/a?b&perch-version=${value}`)).toContain("200 OK");
    expect(stable.seen.map(({ url }) => url)).toEqual(["/a?b"]);
  });

  const refused: readonly [sentence: string, target: string, fields?: string, method?: string][] = [
    ["whose token expired", `/?perch-version=${token("canary", -1_000)}`],
    ["whose token another secret signed", `/?perch-version=${token("canary", hour, Buffer.alloc(32, "x"))}`],
    ["whose token is of another release", `/?perch-version=${token("canary", hour, secret, "blog")}`],
    ["whose token has an unknown version", `/?perch-version=${token("v9")}`],
    ["with a version's name, from an address outside allowFrom", "/?perch-version=canary"],
    ["without a value", "/?perch-version="],
    ["with POST", `/?perch-version=${token()}`, "Content-Length: 0\r\n", "POST"],
    ["of an image", `/?perch-version=${token()}`, "Sec-Fetch-Mode: no-cors\r\n"],
    ["of a script's fetch", `/?perch-version=${token()}`, "Sec-Fetch-Mode: cors\r\n"],
    ["on a route without the release", `/bare?perch-version=${token()}`],
    ["that would redirect to another host", `//evil.example/?perch-version=${token()}`],
    ["that browsers would take for another host", `/\\evil.example/?perch-version=${token()}`],
  ];
  it.each(refused)(
    "%s is ignored, and its parameter does not go upstream",
    async (_sentence, target, fields, method) => {
      const { head, stable } = await withLinks(fastLane, "pathNormalisation: off");
      const answer = await head(target, fields, method);
      expect(answer).toContain("200 OK");
      expect(answer).not.toContain("tester=");
      expect(stable.seen.map(({ url }) => url)).toEqual([target.slice(0, target.indexOf("?"))]);
    },
  );

  it.each([
    ["an escaped parameter", "a=1&perch%2dversion=x&b=2", "/?a=1&b=2"],
    ["a second parameter", "perch-version=x&a=1&perch-version=y", "/?a=1"],
  ])("with %s: the parameter does not go upstream", async (_sentence, query, wanted) => {
    const { head, stable } = await withLinks(fastLane);
    await head(`/?${query}`);
    expect(stable.seen[0]?.url).toBe(wanted);
  });

  it("sets a Secure cookie over https", async () => {
    const { head } = await withLinks(fastLane, "trustedProxies: [127.0.0.0/8]");
    const answer = await head(`/?perch-version=${token()}`, "X-Forwarded-Proto: https\r\n");
    expect(fieldOf(answer, "Set-Cookie")).toContain("; Path=/; Secure; HttpOnly;");
  });

  it("redirects to the normalised path, which names no other host", async () => {
    const { head } = await withLinks(fastLane);
    expect(fieldOf(await head(`//evil.example/?perch-version=${token()}`), "Location")).toBe("/evil.example/");
  });

  it("is valid with an older secret", async () => {
    const { head } = await withLinks(fastLane);
    expect(await head(`/?perch-version=${token("canary", hour, older)}`)).toContain("302 Found");
  });

  it("is answered to HEAD, without a body", async () => {
    const { head } = await withLinks(fastLane);
    const answer = await head(`/a?perch-version=${token()}`, "", "HEAD");
    expect(fieldOf(answer, "Location")).toBe("/a");
    expect(answer.endsWith("\r\n\r\n")).toBe(true);
  });
});

describe("the cookie that an override link sets", () => {
  const linkCookie = (cookie: string, scheme: string, value: string) => {
    const snapshot = snapshotOf(`
listeners: [{ name: web, address: 127.0.0.1:8080 }]
services: { shop: { versions: { stable: { endpoints: ["http://shop:80"] } } } }
releases:
  shop:
    sticky: { cookie: { ${cookie} } }
    override: { cookie: tester, query: t, allowFrom: [192.0.2.1] }
routes: [{ name: shop, service: shop, release: shop }]`);
    const request = {
      url: `${scheme}://shop.example/?t=${value}`,
      headers: { cookie: "tester=stable" },
      client: "192.0.2.1",
    };
    return explainRequest(snapshot, request, { nowMs: 0, random: { int32: () => 0 } }).redirect?.setCookie;
  };
  const embedded = "sameSite: none, partitioned: true";

  it.each([
    ["of an embedded site, by https", embedded, "https", "; Path=/; Secure; HttpOnly; SameSite=None; Partitioned"],
    ["of an embedded site, by http, which browsers would drop", embedded, "http", "; Path=/; HttpOnly; SameSite=Lax"],
    [
      "of an embedded site that is always Secure",
      `${embedded}, secure: always`,
      "http",
      "; Path=/; Secure; HttpOnly; SameSite=None; Partitioned",
    ],
    [
      "of a strict pin: links from other sites must work",
      "sameSite: strict",
      "http",
      "; Path=/; HttpOnly; SameSite=Lax",
    ],
  ])("%s", (_sentence, cookie, scheme, attributes) => {
    expect(linkCookie(cookie, scheme, "stable")).toBe(`tester=stable${attributes}`);
    expect(linkCookie(cookie, scheme, "off")).toBe(`tester=; Max-Age=0${attributes}`);
  });
});

it("open redirect: no path of a request leads to another host, whatever part of it is replaced (WHATWG URL)", () => {
  const piece = fc.constantFrom(..."/ \\ . .. ; : @ ? # % %2f %5c old evil.example * \t".split(" "), "//", "é");
  const changes = fc.constantFrom(
    undefined,
    { kind: "prefix", from: "/old", to: "" },
    { kind: "prefix", from: "", to: "/a" },
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), changes, (pieces, path) => {
      const head = { path: pieces.join(""), query: "", authority: "shop.example" };
      const spec = { status: 302, scheme: undefined, host: undefined, port: undefined, path } as RedirectSpec;
      const facts = { isHttps: true };
      const { location } = routeRedirect(spec, { head, facts });
      expect(new URL(location, "https://shop.example/x").origin, location).toBe("https://shop.example");
      const moved = routeRedirect({ ...spec, host: "www.example" }, { head, facts }).location;
      expect(new URL(moved).origin, moved).toBe("https://www.example");
    }),
    { numRuns: 2_000 },
  );
});

describe("a redirect of an upgrade", () => {
  it("answers the handshake", async () => {
    const stable = await upstream("stable");
    const { port } = await perch(configuration("on", stable.origin, "{ name: moved, redirect: { path: /new } }"));
    const client = await rawClient(port);
    client.send(
      "GET /old HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    );
    expect(fieldOf(await client.read(), "Location")).toBe("/new");
  });

  it("answers the handshake of an override link", async () => {
    const { port } = await withLinks("off");
    const bytes = upgradeHead([], `GET /?perch-version=${token()} HTTP/1.1`);
    expect(await exchange(port, bytes)).toMatch(/^HTTP\/1\.1 302 Found\r\n/);
  });
});
