import { describe, expect, it } from "vitest";
import { perch, upstream } from "../kit/freed.ts";
import { exchange, lanes } from "../kit/one-service.ts";

/** Names of object properties in JavaScript, which must be ordinary names here. */
const objectNames = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty"];

describe.each(lanes)("trust, in the $lane lane", ({ fastLane }) => {
  async function guarded(trusted: string) {
    const stable = await upstream("stable");
    const canary = await upstream("canary");
    const { port } = await perch(`
fastLane: ${fastLane}
trustedProxies: [${trusted}]
attributes:
  region: { type: string, from: [{ header: x-user-region, trust: proxies }] }
  odd: { type: string, from: [{ header: __proto__ }, { cookie: constructor }, { query: __proto__ }] }
services: { shop: { versions: { stable: { endpoints: [${stable.origin}] }, canary: { endpoints: [${canary.origin}] } } } }
releases:
  shop:
    rules: [{ name: east, when: { any: [{ region: east }, { odd: polluted }] }, use: canary }]
    split: { stable: 100, canary: 0 }
    propagate: { header: x-perch-release, baggage: true }
routes: [{ name: all, service: shop, release: shop }]`);
    return async (fields: string, target = "/") => {
      await exchange(port, `GET ${target} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n${fields}\r\n`);
      const [version, seen] = stable.seen.length > 0 ? ["stable", stable.seen.pop()] : ["canary", canary.seen.pop()];
      return { version, headers: seen?.headers ?? {} };
    };
  }

  it("Connection removes no field that Perch sets or relies on (CVE-2026-33805)", async () => {
    const ask = await guarded("127.0.0.1");
    const named =
      "Connection: x-user-region, x-forwarded-for, x-forwarded-proto, x-forwarded-host, x-request-id, x-perch-release, baggage, via, host, cookie\r\n";
    const { version, headers } = await ask(`${named}X-User-Region: east\r\nX-Forwarded-For: 192.0.2.1\r\n`);
    expect(version).toBe("canary");
    expect(headers).toMatchObject({
      host: "shop.example",
      "x-forwarded-for": expect.stringContaining("127.0.0.1"),
      "x-forwarded-proto": "http",
      "x-forwarded-host": "shop.example",
      "x-request-id": expect.any(String),
      "x-perch-release": "shop=canary",
      baggage: expect.stringContaining("perch.shop=canary"),
      via: "1.1 perch",
    });
  });

  it("an untrusted client's identity, pins, overrides and propagation are ignored and removed", async () => {
    const ask = await guarded("");
    const claims = `X-User-Region: east\r\nX_User_Region: east\r\nx-user-region : east\r\n`.split("\r\n").slice(0, 2);
    const { version, headers } = await ask(
      `${claims.join("\r\n")}\r\nX-Perch-Release: shop=canary\r\nBaggage: perch.shop=canary, other=1\r\nX-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\nX-Real-IP: 192.0.2.1\r\nX-Perch-Version: canary\r\nCookie: perch-shop=1.1.1.canary.s.u.forged; perch-version=canary; mine=1\r\n`,
    );
    expect(version).toBe("stable");
    expect(headers).toMatchObject({
      "x-perch-release": "shop=stable",
      "x-forwarded-for": "127.0.0.1",
      baggage: expect.stringMatching(/perch\.shop=stable/),
      cookie: expect.stringMatching(/^(?!.*perch-shop=).*mine=1$/),
    });
    expect(JSON.stringify(headers)).not.toMatch(/east|192\.0\.2\.1|forged|perch\.shop=canary/);
  });

  it.each([
    ["a header", "__proto__: polluted\r\n", "/"],
    ["a cookie", "Cookie: __proto__=x; constructor=polluted\r\n", "/"],
    ["a parameter", "", "/?constructor=x&__proto__=polluted"],
  ])("names of object properties are ordinary names (CVE-2026-21710): %s", async (_what, fields, target) => {
    const ask = await guarded("");
    const others = objectNames.slice(1).map((name) => `${name}: 1\r\n`);
    const { version } = await ask(fields + others.join(""), target);
    expect(version).toBe("canary");
    expect(Object.keys(Object.prototype)).toEqual([]);
  });
});
