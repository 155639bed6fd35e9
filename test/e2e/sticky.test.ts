/** @module-tag slow */
import { createHmac } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createOverrideToken } from "../../src/decide/override.ts";
import { perch, rawClient, upstream } from "../kit/freed.ts";
import { changeablePerch, freePorts, renameOver, temporaryFolder } from "../kit/served.ts";
import { Visitor } from "../kit/visitor.ts";

const secretA = "a".repeat(32);
const secretB = "b".repeat(40);
const crowdSize = 40;

/** Both versions of a shop, and its configuration for a release. */
async function shop() {
  const [stable, canary] = [await upstream("stable"), await upstream("canary")];
  const config = (release: string, more = "") => `${freePorts}${more}
attributes: { userId: { type: string, from: [{ header: x-user-id }] } }
services:
  shop: { versions: { stable: { endpoints: ["${stable.origin}"] }, canary: { endpoints: ["${canary.origin}"] } } }
releases: { shop: { ${release} } }
routes: [{ name: shop, service: shop, release: shop }]
`;
  return { stable, canary, config };
}

async function secretFile(text: string): Promise<string> {
  const file = join(await temporaryFolder(), "pins.secret");
  await writeFile(file, text);
  return file;
}

/** The cookie's value as documented, made without Perch's code. */
function signedPin(secret: string, body: string, release = "shop"): string {
  const digest = createHmac("sha256", secret).update(`${release}.${body}`).digest();
  return `${body}.${digest.subarray(0, 16).toString("base64url")}`;
}

const crowd = () => Array.from({ length: crowdSize }, () => new Visitor());

/** The versions that the visitors get, in their order. */
async function versions(visitors: readonly Visitor[], url: string, headers?: (i: number) => Record<string, string>) {
  const seen: string[] = [];
  for (const [i, visitor] of visitors.entries()) seen.push((await visitor.get(url, headers?.(i))).version);
  return seen;
}

const pinOf = ({ jar }: Visitor) => {
  const [, epoch, issuedAt, version, how, unit] = (jar.get("perch-shop") ?? "").split(".");
  return { epoch, issuedAt, version, how, unit };
};

describe("pin cookies", () => {
  it.each([
    { sticky: "", https: false, attributes: "; Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax" },
    { sticky: "", https: true, attributes: "; Max-Age=2592000; Path=/; Secure; HttpOnly; SameSite=Lax" },
    {
      sticky: "maxAge: 1h, path: /shop, domain: shop.example, secure: always, sameSite: none, ",
      https: false,
      attributes: "; Max-Age=3600; Path=/shop; Domain=shop.example; Secure; HttpOnly; SameSite=None",
    },
    // A load balancer that ends TLS and is not a trusted proxy: browsers drop SameSite=None without Secure.
    { sticky: "sameSite: none, ", https: false, attributes: "; Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax" },
    {
      sticky: "sameSite: none, partitioned: true, maxAge: session, ",
      https: true,
      attributes: "; Path=/; Secure; HttpOnly; SameSite=None; Partitioned",
    },
    {
      sticky: "secure: never, sameSite: strict, ",
      https: true,
      attributes: "; Max-Age=2592000; Path=/; HttpOnly; SameSite=Strict",
    },
  ])("with { $sticky} by https $https", async ({ sticky, https, attributes }) => {
    const { config } = await shop();
    const cookie = `cookie: { ${sticky}secretFile: ${await secretFile(`${secretA}\n`)} }`;
    const release = `sticky: { by: userId, epoch: 7, ${cookie} }, split: { canary: 1, stable: 0 }`;
    const { origin } = await perch("", {
      source: { kind: "text", name: "perch.yaml", text: config(release, "trustedProxies: [127.0.0.0/8]") },
    });
    const proto: Record<string, string> = https ? { "x-forwarded-proto": "https" } : {};
    const visitor = new Visitor();
    const from = Math.floor(Date.now() / 1000);
    const { setCookie } = await visitor.get(origin, { "x-user-id": "42", ...proto });
    const until = Math.floor(Date.now() / 1000);

    const { issuedAt, unit } = pinOf(visitor);
    expect(Number(issuedAt)).toBeGreaterThanOrEqual(from);
    expect(Number(issuedAt)).toBeLessThanOrEqual(until);
    expect(unit).toMatch(/^a[\w-]{11}$/);
    const value = signedPin(secretA, `1.7.${issuedAt}.canary.s.${unit}`);
    expect(setCookie).toEqual([`perch-shop=${value}${attributes}`]);
    expect((await visitor.get(origin, { "x-user-id": "42", ...proto })).setCookie).toEqual([]);
  });

  it("are not Secure for an untrusted X-Forwarded-Proto: https", async () => {
    const { config } = await shop();
    const { perch: started } = await changeablePerch(config("split: { stable: 1 }"));
    const { setCookie } = await new Visitor().get(started.origin, { "x-forwarded-proto": "https" });
    expect(setCookie).toEqual([
      expect.stringMatching(/^perch-shop=[^;]+; Max-Age=2592000; Path=\/; HttpOnly; SameSite=Lax$/),
    ]);
  });

  it("come with Cache-Control: private, and so do later responses: shared caches store neither", async () => {
    const cached = await upstream("cached", (_, response) =>
      response.writeHead(200, { "x-version": "stable", "Cache-Control": "public, max-age=60" }).end(),
    );
    const { origin } = await perch(`
services: { shop: { versions: { stable: { endpoints: ["${cached.origin}"] } } } }
releases: { shop: { split: { stable: 1 } } }
routes: [{ name: shop, service: shop, release: shop }]
`);
    const visitor = new Visitor();
    expect((await visitor.get(origin)).headers["cache-control"]).toBe("max-age=60, private");
    expect((await visitor.get(origin)).headers["cache-control"]).toBe("max-age=60, private");
  });
});

describe("when weights change", () => {
  const half = "split: { stable: 50, canary: 50 }";
  it.each([
    { sticky: "follow", split: "{ stable: 10, canary: 90 }", moves: ["stable → canary"] },
    { sticky: "follow", split: "{ stable: 100, canary: 0 }", moves: ["canary → stable"] },
    { sticky: "hold", split: "{ stable: 10, canary: 90 }", moves: [] },
    { sticky: "hold", split: "{ stable: 100, canary: 0 }", moves: ["canary → stable"] },
    { sticky: "hold, onWeightZero: drain", split: "{ stable: 100, canary: 0 }", moves: [] },
  ])("$sticky, then $split: $moves", async ({ sticky, split, moves }) => {
    const { config } = await shop();
    const release = (weights: string) => config(`sticky: { whenWeightsChange: ${sticky} }, ${weights}`);
    const { perch: started, change } = await changeablePerch(release(half));
    const visitors = crowd();
    const before = await versions(visitors, started.origin);
    expect(new Set(before).size).toBe(2);
    expect(await versions(visitors, started.origin)).toEqual(before);

    await change(release(`split: ${split}`));
    const after = await versions(visitors, started.origin);
    const moved = after.flatMap((version, i) => (version === before[i] ? [] : [`${before[i]} → ${version}`]));
    expect([...new Set(moved)]).toEqual(moves);
    expect(await started.metric('perch_pin_flips_total{release="shop"}')).toBe(moved.length);
    if (split.includes("canary: 0")) expect((await new Visitor().get(started.origin)).version).toBe("stable");
  });

  it("a higher epoch invalidates held versions at once, and keeps the units", async () => {
    const { config } = await shop();
    const release = (epoch: number, split: string) =>
      config(`sticky: { whenWeightsChange: hold, onWeightZero: drain, epoch: ${epoch} }, split: ${split}`);
    const { perch: started, change } = await changeablePerch(release(1, "{ canary: 1 }"));
    const visitors = crowd();
    const onCanary = visitors.map(() => "canary");
    expect(await versions(visitors, started.origin)).toEqual(onCanary);
    const units = visitors.map((visitor) => pinOf(visitor).unit);
    await change(release(1, "{ canary: 0, stable: 1 }"));
    expect(await versions(visitors, started.origin)).toEqual(onCanary);

    await change(release(2, "{ canary: 0, stable: 1 }"));
    expect(await versions(visitors, started.origin)).toEqual(visitors.map(() => "stable"));
    expect(visitors.map((visitor) => pinOf(visitor).unit)).toEqual(units);
    expect(new Set(visitors.map((visitor) => pinOf(visitor).epoch))).toEqual(new Set(["2"]));
  });
});

describe("login and logout", () => {
  const named = (prefix: string) => (i: number) => ({ "x-user-id": `${prefix}-${i}` });

  it("hold: neither moves a user; another user is drawn anew", async () => {
    const { config } = await shop();
    const release = "sticky: { by: userId, whenWeightsChange: hold }, split: { stable: 50, canary: 50 }";
    const { perch: started } = await changeablePerch(config(release));
    const visitors = crowd();
    const anonymous = await versions(visitors, started.origin);
    const loggedIn = await versions(crowd(), started.origin, named("login"));
    expect(loggedIn).not.toEqual(anonymous);
    expect(await versions(visitors, started.origin, named("login"))).toEqual(anonymous);
    expect(visitors.every((visitor) => pinOf(visitor).unit?.startsWith("a"))).toBe(true);
    expect(await versions(visitors, started.origin)).toEqual(anonymous);

    const others = await versions(crowd(), started.origin, named("other"));
    expect(await versions(visitors, started.origin, named("other"))).toEqual(others);
    expect(await started.metric('perch_pin_flips_total{release="shop"}')).toBe(0);
  });

  it("follow: a logout moves no user", async () => {
    const { config } = await shop();
    const { perch: started } = await changeablePerch(
      config("sticky: { by: userId }, split: { stable: 50, canary: 50 }"),
    );
    const visitors = crowd();
    const loggedIn = await versions(visitors, started.origin, named("user"));
    expect(await versions(visitors, started.origin)).toEqual(loggedIn);
    expect(await versions(crowd(), started.origin, named("user"))).toEqual(loggedIn);
  });
});

describe("cookies beside the pin", () => {
  it("pins of several releases coexist, and none goes upstream on any route", async () => {
    const [one, two] = [await upstream("one"), await upstream("two")];
    const { origin } = await perch(`
services:
  shop: { versions: { stable: { endpoints: ["${one.origin}"] } } }
  blog: { versions: { stable: { endpoints: ["${two.origin}"] } } }
releases:
  shop: { split: { stable: 1 }, override: { cookie: tester, allowFrom: [127.0.0.0/8] } }
  blog: { split: { stable: 1 } }
routes:
  - { name: blog, match: { path: { prefix: /blog } }, service: blog, release: blog }
  - { name: plain, match: { path: { prefix: /plain } }, service: blog }
  - { name: shop, service: shop, release: shop }
`);
    const visitor = new Visitor();
    await visitor.get(origin);
    await visitor.get(`${origin}/blog`);
    expect([...visitor.jar.keys()]).toEqual(["perch-shop", "perch-blog"]);
    const cookie = `theme=dark; ${visitor.cookie}; lang=de;tester=stable; theme=light; perch-shopper="a b"`;
    for (const path of ["/", "/blog", "/plain"]) {
      expect((await visitor.get(origin + path, { cookie })).setCookie).toEqual([]);
      const seen = (path === "/" ? one : two).seen.at(-1);
      expect(seen?.headers["cookie"]).toBe('theme=dark; lang=de; theme=light; perch-shopper="a b"');
    }
    await visitor.get(origin);
    expect(one.seen.at(-1)?.rawHeaders.map((name) => name.toLowerCase())).not.toContain("cookie");
  });

  const long = "x".repeat(8_192 - 7);
  it.each([
    { what: "an empty header", sent: "", upstream: "" },
    { what: "8 KiB", sent: `long=${long}; PIN; b=2`, upstream: `long=${long}; b=2` },
    { what: "duplicate names", sent: "a=1; PIN; a=2; a=1; PIN", upstream: "a=1; a=2; a=1" },
    { what: "quoted values", sent: 'a="1; 2"; PIN; b=""', upstream: 'a="1; 2"; b=""' },
    { what: "a missing equals sign", sent: "flag; PIN; =; x", upstream: "flag; =; x" },
    { what: "bytes above ASCII", sent: "naïve=café; PIN; ü=\xff\x80", upstream: "naïve=café; ü=\xff\x80" },
    { what: "odd blanks", sent: " a=1 ;;PIN ;  b = 2", upstream: "a=1 ;;  b = 2" },
  ])("$what: only the pin, which counts, is removed", async ({ sent, upstream: wanted }) => {
    const { config, stable, canary } = await shop();
    const release = `sticky: { whenWeightsChange: hold, cookie: { secretFile: ${await secretFile(secretA)} } }`;
    const { perch: started } = await changeablePerch(config(`${release}, split: { stable: 1000000, canary: 1 }`));
    const now = Math.floor(Date.now() / 1000);
    const pin = `perch-shop=${signedPin(secretA, `1.1.${now}.canary.s.rAAAAAAAAAAA`)}`;
    const client = await rawClient(started.port);
    client.send(`GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: ${sent.replaceAll("PIN", pin)}\r\n\r\n`);
    const answer = await client.read();
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    const hasPin = sent.includes("PIN");
    expect(answer.includes("Set-Cookie: perch-shop=")).toBe(!hasPin);
    expect((hasPin ? canary : stable).seen.map(({ headers }) => headers["cookie"])).toEqual([wanted]);
  });
});

describe("secrets of pins", () => {
  it("are rotated without moving a user; pins of a removed one are rejected", { tags: ["slow"] }, async () => {
    const { config } = await shop();
    const secrets = await secretFile(`${secretA}\n`);
    const sticky = `sticky: { whenWeightsChange: hold, cookie: { secretFile: ${secrets} } }`;
    const { perch: started, reloadedBy } = await changeablePerch(
      config(`${sticky}, split: { stable: 50, canary: 50 }`),
    );
    const signedBy = (visitor: Visitor) => {
      const value = visitor.jar.get("perch-shop") ?? "";
      const body = value.slice(0, value.lastIndexOf("."));
      return [secretA, secretB].findIndex((secret) => signedPin(secret, body) === value);
    };
    const visitors = crowd();
    const before = await versions(visitors, started.origin);
    const cookies = visitors.map(({ cookie }) => cookie);
    const forged = () => started.metric('perch_pins_rejected_total{release="shop",cause="forged"}');

    for (const text of [`${secretA}\n${secretB}\n`, `${secretB}\n${secretA}\n`]) {
      await reloadedBy(() => renameOver(secrets, text));
      expect(await versions(visitors, started.origin)).toEqual(before);
      expect(visitors.map(({ cookie }) => cookie)).toEqual(cookies);
    }
    const late = new Visitor();
    await late.get(started.origin);
    expect([signedBy(visitors[0] ?? late), signedBy(late)]).toEqual([0, 1]);
    expect(await forged()).toBe(0);

    await reloadedBy(() => renameOver(secrets, secretB));
    expect((await late.get(started.origin)).setCookie).toEqual([]);
    await versions(visitors, started.origin);
    expect(await forged()).toBe(crowdSize);
    expect(visitors.map(signedBy)).toEqual(visitors.map(() => 1));
  });

  it.each([
    { cause: "forged", pin: (now: number) => signedPin(secretB, `1.1.${now}.canary.s.rAAAAAAAAAAA`) },
    { cause: "forged", pin: (now: number) => signedPin(secretA, `1.1.${now}.canary.s.rAAAAAAAAAAA`, "blog") },
    { cause: "expired", pin: (now: number) => signedPin(secretA, `1.1.${now - 3_700}.canary.s.rAAAAAAAAAAA`) },
    { cause: "oversized", pin: (now: number) => signedPin(secretA, `1.1.${now}.canary.s.${"r".repeat(300)}`) },
    { cause: "malformed", pin: () => "canary" },
  ])("reject a $cause pin, and count it", async ({ cause, pin }) => {
    const { config } = await shop();
    const cookie = `cookie: { maxAge: 1h, secretFile: ${await secretFile(secretA)} }`;
    const release = `sticky: { whenWeightsChange: hold, ${cookie} }, split: { stable: 1000000, canary: 1 }`;
    const { perch: started } = await changeablePerch(config(release));
    const visitor = new Visitor();
    visitor.jar.set("perch-shop", pin(Math.floor(Date.now() / 1000)));
    const first = await visitor.get(started.origin);
    expect([first.version, first.setCookie.length]).toEqual(["stable", 1]);
    expect((await visitor.get(started.origin)).setCookie).toEqual([]);
    const causes = ["forged", "expired", "oversized", "malformed"];
    const counted = causes.map((name) => started.metric(`perch_pins_rejected_total{release="shop",cause="${name}"}`));
    expect(await Promise.all(counted)).toEqual(causes.map((name) => (name === cause ? 1 : 0)));
  });
});

describe("an override", () => {
  const hourMs = 3_600_000;
  const token = (expiresInMs: number, secret = secretB) =>
    createOverrideToken(Buffer.from(secret), "shop", "canary", Date.now() + expiresInMs);
  const outside = { "x-forwarded-for": "203.0.113.9" };
  it.each<{ sentence: string; headers: () => Record<string, string>; version: string }>([
    {
      sentence: "by header from an allowed address",
      headers: () => ({ "x-perch-version": "canary" }),
      version: "canary",
    },
    {
      sentence: "by cookie from an allowed address",
      headers: () => ({ cookie: "a=1; tester=canary" }),
      version: "canary",
    },
    {
      sentence: "not from another client address behind an allowed caller",
      headers: () => ({ ...outside, "x-perch-version": "canary" }),
      version: "stable",
    },
    {
      sentence: "from anywhere with a token",
      headers: () => ({ ...outside, "x-perch-version": token(hourMs) }),
      version: "canary",
    },
    {
      sentence: "with a token in the cookie",
      headers: () => ({ ...outside, cookie: `tester=${token(hourMs)}` }),
      version: "canary",
    },
    {
      sentence: "not with an expired token",
      headers: () => ({ ...outside, "x-perch-version": token(-1_000) }),
      version: "stable",
    },
    {
      sentence: "not with a token of another secret",
      headers: () => ({ ...outside, "x-perch-version": token(hourMs, secretA) }),
      version: "stable",
    },
    { sentence: "not for an unknown version", headers: () => ({ "x-perch-version": "v9" }), version: "stable" },
  ])("$sentence", async ({ headers, version }) => {
    const { config, stable, canary } = await shop();
    const override = `{ header: x-perch-version, cookie: tester, allowFrom: [127.0.0.0/8], secretFile: ${await secretFile(secretB)} }`;
    const { perch: started } = await changeablePerch(
      config(`override: ${override}, split: { stable: 1 , canary: 0 }`, "trustedProxies: [127.0.0.0/8]"),
    );
    const sent = headers();
    const visit = await new Visitor().get(started.origin, sent);
    expect(visit.version).toBe(version);
    // An override writes no pin, and its header and cookie are not sent upstream.
    expect(visit.setCookie.length).toBe(version === "canary" ? 0 : 1);
    const [seen] = [...stable.seen, ...canary.seen];
    expect(seen?.headers["x-perch-version"]).toBeUndefined();
    expect(seen?.headers["cookie"]).toBe(sent["cookie"]?.startsWith("a=1") ? "a=1" : undefined);
    const counted = `perch_decisions_total{release="shop",version="canary",reason="override"}`;
    expect((await started.metric(counted)) ?? 0).toBe(version === "canary" ? 1 : 0);
  });
});
