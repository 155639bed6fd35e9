import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createOverrideToken } from "../../src/decide/override.ts";
import { perch, upstream } from "../kit/freed.ts";
import { exchange, lanes } from "../kit/one-service.ts";
import { temporaryFolder } from "../kit/served.ts";
import { Visitor } from "../kit/visitor.ts";
import { upgradeHead } from "../kit/websocket.ts";

const secret = Buffer.alloc(32, "t");
const older = Buffer.alloc(32, "o");
const hour = 3_600_000;
const token = (version = "canary", ttlMs = hour, key: Uint8Array = secret, release = "shop") =>
  createOverrideToken(key, release, version, Date.now() + ttlMs);

async function shop(fastLane: "on" | "off", more = "") {
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
    const octets = `${method} ${target} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n${fields}\r\n`;
    return exchange(started.port, octets);
  };
  return { ...started, stable, canary, head };
}

const fieldOf = (head: string, name: string) =>
  head
    .split("\r\n")
    .find((line) => line.startsWith(`${name}: `))
    ?.slice(name.length + 2);

describe.each(lanes)("a link for testers, $lane lane", ({ fastLane }) => {
  it("sets the cookie and leads to the same address without its parameter; the cookie then gives the version", async () => {
    const { origin, head, canary, metric } = await shop(fastLane);
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

  it.each(["none", "off"])("with the value %s ends the override, and is nothing where there is none", async (value) => {
    const { head, stable } = await shop(fastLane);
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
    ["whose token names no version of ours", `/?perch-version=${token("v9")}`],
    ["with a mere name, from an address that may not", "/?perch-version=canary"],
    ["with nothing", "/?perch-version="],
    ["with POST", `/?perch-version=${token()}`, "Content-Length: 0\r\n", "POST"],
    ["of an image", `/?perch-version=${token()}`, "Sec-Fetch-Mode: no-cors\r\n"],
    ["of a script's fetch", `/?perch-version=${token()}`, "Sec-Fetch-Mode: cors\r\n"],
    ["on a route without the release", `/bare?perch-version=${token()}`],
    ["that would lead to another host", `//evil.example/?perch-version=${token()}`],
    ["that browsers would read as another host", `/\\evil.example/?perch-version=${token()}`],
  ];
  it.each(refused)("%s is ignored, and its parameter stays with Perch", async (_sentence, target, fields, method) => {
    const { head, stable } = await shop(fastLane, "pathNormalisation: off");
    const answer = await head(target, fields, method);
    expect(answer).toContain("200 OK");
    expect(answer).not.toContain("tester=");
    expect(stable.seen.map(({ url }) => url)).toEqual([target.slice(0, target.indexOf("?"))]);
  });

  it.each([
    ["an escape", "a=1&perch%2dversion=x&b=2", "/?a=1&b=2"],
    ["a copy", "perch-version=x&a=1&perch-version=y", "/?a=1"],
  ])("its parameter is taken out of what goes upstream in %s too", async (_sentence, query, wanted) => {
    const { head, stable } = await shop(fastLane);
    await head(`/?${query}`);
    expect(stable.seen[0]?.url).toBe(wanted);
  });

  it("is for https alone where it came by https", async () => {
    const { head } = await shop(fastLane, "trustedProxies: [127.0.0.0/8]");
    const answer = await head(`/?perch-version=${token()}`, "X-Forwarded-Proto: https\r\n");
    expect(fieldOf(answer, "Set-Cookie")).toContain("; Path=/; Secure; HttpOnly;");
  });

  it("leads to the path as routes see it, which names no other host", async () => {
    const { head } = await shop(fastLane);
    expect(fieldOf(await head(`//evil.example/?perch-version=${token()}`), "Location")).toBe("/evil.example/");
  });

  it("counts with an older secret too", async () => {
    const { head } = await shop(fastLane);
    expect(await head(`/?perch-version=${token("canary", hour, older)}`)).toContain("302 Found");
  });

  it("is answered to HEAD, and leaves no octet for whoever reads on", async () => {
    const { head } = await shop(fastLane);
    const answer = await head(`/a?perch-version=${token()}`, "", "HEAD");
    expect(fieldOf(answer, "Location")).toBe("/a");
    expect(answer.endsWith("\r\n\r\n")).toBe(true);
  });
});

it("a link opened by a WebSocket leads away as well: nothing was decided", async () => {
  const { port } = await shop("off");
  const octets = upgradeHead([], `GET /?perch-version=${token()} HTTP/1.1`);
  expect(await exchange(port, octets)).toMatch(/^HTTP\/1\.1 302 Found\r\n/);
});
