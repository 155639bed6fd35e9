import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ConfigError, createEngine, type Engine, type EngineOptions, type EngineRequest } from "../src/index.ts";
import { loadedBy } from "./kit/loaded-packages.ts";
import { startPerch } from "./kit/perch.ts";
import { secretToken } from "./kit/tokens.ts";

const folder = mkdtempSync(join(tmpdir(), "perch-engine-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, "perch.yaml");

const nowMs = Date.UTC(2026, 5, 1);
const shop = `
trustedProxies: [10.0.0.0/8]
attributes:
  userId: { type: string, from: [{ header: x-user-id }] }
  registeredAt: { type: time, from: [{ header: x-registered-at }] }
  appVersion: { type: semver, from: [{ header: x-app-version }] }
services:
  shop:
    versions:
      stable: { endpoints: ["http://127.0.0.1:1"] }
      canary: { endpoints: ["http://127.0.0.1:2"] }
  pages: { versions: { stable: { endpoints: ["http://127.0.0.1:3"] }, old: { endpoints: ["http://127.0.0.1:4"] } } }
releases:
  shop:
    sticky: { by: userId }
    override: { header: x-perch-version, allowFrom: [192.0.2.0/24, "fe80::/16"] }
    rules: [{ name: new-users, when: { registeredAt: { after: 2026-01-01 } }, use: canary }]
    split: { stable: 50, canary: 50 }
routes:
  - { name: pages, match: { path: { prefix: /pages } }, service: pages, release: shop }
  - { name: plain, match: { path: { prefix: /plain } }, service: shop }
  - { name: shop, match: { hosts: [shop.example.com] }, service: shop, release: shop }
`;

/** Always the same units and secrets. */
const options: EngineOptions = { env: {}, nowMs: () => nowMs, randomBytes: (size) => new Uint8Array(size).fill(7) };
const host = "shop.example.com";
const newUser = { host, "x-user-id": "42", "x-registered-at": "2026-02-01" };

describe("an engine decides", () => {
  const engine = createEngine(shop, options);

  it.each<{ sentence: string; request: EngineRequest; wanted: object }>([
    {
      sentence: "by a rule, with everything that there is to know",
      request: { method: "GET", url: "/cart?x=1", headers: newUser },
      wanted: {
        route: "shop",
        service: "shop",
        release: "shop",
        version: "canary",
        served: "canary",
        reason: "rule",
        rule: "new-users",
        unit: "aUJkzQsac2PI",
        setCookie: expect.stringMatching(/^perch-shop=1\.1\.1780272000\.canary\.r-new-users\.aUJkzQsac2PI\.\S{22}; /),
        attributes: { userId: "42", registeredAt: "2026-02-01T00:00:00.000Z", appVersion: null },
      },
    },
    {
      sentence: "by the default where the route has no release",
      request: { url: "/plain" },
      wanted: { route: "plain", release: null, version: "stable", served: "stable", reason: "default", unit: null },
    },
    {
      sentence: "that the default serves where the service lacks the version",
      request: { url: "/pages", headers: newUser },
      wanted: { service: "pages", version: "canary", served: "stable" },
    },
    {
      sentence: "as a tester asks",
      request: { url: "/", headers: { host, "x-perch-version": "canary" }, remoteAddress: "192.0.2.1" },
      wanted: { version: "canary", reason: "override", unit: null, setCookie: undefined },
    },
    {
      sentence: "by the address that a trusted proxy forwards, which Node writes as an IPv6 one",
      request: {
        url: "/",
        headers: { host, "x-perch-version": "canary", "x-forwarded-for": "192.0.2.1" },
        remoteAddress: "::ffff:10.0.0.1",
      },
      wanted: { reason: "override" },
    },
    {
      sentence: "by a link-local address, to which Node adds its zone",
      request: { url: "/", headers: { host, "x-perch-version": "canary" }, remoteAddress: "fe80::1%eth0" },
      wanted: { reason: "override" },
    },
    {
      sentence: "without an address for a socket's path",
      request: { url: "/", headers: { host, "x-perch-version": "canary" }, remoteAddress: "/run/shop.sock" },
      wanted: { reason: "split" },
    },
    {
      sentence: "nothing where no route takes the request",
      request: { url: "/", headers: { "x-app-version": "v4" } },
      wanted: { route: null, version: null, reason: null, setCookie: undefined, attributes: { appVersion: "4.0.0" } },
    },
    { sentence: "nothing for a malformed request", request: { url: "*" }, wanted: { route: null, attributes: {} } },
  ])("$sentence", ({ request, wanted }) => {
    expect(engine.decide(request)).toMatchObject(wanted);
  });

  it("secure pins for https", () => {
    expect(engine.decide({ url: "/", headers: newUser, scheme: "https" }).setCookie).toContain("; Secure;");
  });

  it("as its explanation says", () => {
    const { trail, pin, unit, error, redirect, attributes, ...explained } = engine.explain({
      url: "/",
      headers: newUser,
    });
    expect(engine.decide({ url: "/", headers: newUser })).toMatchObject(explained);
    expect(pin?.wouldSet).toBe(engine.decide({ url: "/", headers: newUser }).setCookie);
    expect(trail.length).toBeGreaterThan(5);
  });
});

describe("an engine keeps users where they are", () => {
  const answerOf = (engine: Engine, cookie?: string) => engine.decide({ url: "/", headers: { host, cookie } });
  const cookieOf = (setCookie: string | undefined) => setCookie?.split(";")[0];

  it("by the pin that it set, across a reload", () => {
    const engine = createEngine(shop, { env: {}, nowMs: () => nowMs });
    const users = Array.from({ length: 50 }, () => answerOf(engine));
    engine.reload(shop.replace("stable: 50, canary: 50", "stable: 1, canary: 1"));
    for (const { version, unit, setCookie } of users) {
      expect(answerOf(engine, cookieOf(setCookie))).toMatchObject({ version, unit, setCookie: undefined });
    }
    expect(new Set(users.map(({ version }) => version)).size).toBe(2);
    expect(new Set(users.map(({ unit }) => unit)).size).toBe(50);
  });

  it("and says what its own calls should carry, as a gateway would tell an upstream", () => {
    const chained = createEngine(
      shop.replace("sticky: {", "propagate: { acceptFrom: [192.0.2.0/24] }\n    sticky: {"),
      options,
    );
    const headers = { host, baggage: "a=1,perch.other=v2", "x-perch-release": "shop=canary, other=v2" };
    expect(chained.decide({ url: "/pages/", headers, remoteAddress: "192.0.2.1" })).toMatchObject({
      version: "canary",
      served: "stable",
      reason: "propagated",
      setCookie: undefined,
      propagate: { "x-perch-release": "shop=canary, other=v2", baggage: "a=1,perch.other=v2,perch.shop=canary" },
    });
    expect(chained.decide({ url: "/", headers: { ...newUser, ...headers } }).propagate).toEqual({
      "x-perch-release": "shop=canary",
      baggage: "a=1,perch.shop=canary",
    });
    expect(chained.decide({ url: "/plain", headers }).propagate).toEqual({ baggage: "a=1" });
    expect(chained.decide({ url: "no url", headers }).propagate).toEqual({});
  });

  it("as the gateway itself would: both decide alike, pin for pin", async () => {
    const upstream = createServer((_request, response) => void response.end("ok")).listen(0, "127.0.0.1");
    await once(upstream, "listening");
    const { port } = upstream.address() as AddressInfo;
    writeFileSync(join(folder, "secret"), "s".repeat(40));
    const yaml = shop
      .replaceAll(/127\.0\.0\.1:\d/g, `127.0.0.1:${port}`)
      .replace("{ by: userId }", `{ by: userId, cookie: { secretFile: ${join(folder, "secret")} } }`);
    const gateway = await startPerch(`exposeVersion: true\n${yaml}`.replace("hosts: [shop.example.com]", ""));
    try {
      const engine = createEngine(yaml.replace("hosts: [shop.example.com]", ""));
      for (let user = 0; user < 30; user++) {
        const headers = { "x-user-id": `user-${user}`, ...(user % 5 === 0 ? { "x-registered-at": "2026-03-01" } : {}) };
        const answer = await fetch(`${gateway.origin}/cart`, { headers });
        await answer.text();
        const cookie = cookieOf(answer.headers.get("set-cookie") ?? undefined);
        const version = answer.headers.get("x-perch-version");
        expect(engine.decide({ url: "/cart", headers })).toMatchObject({ served: version });
        // The gateway's pin is the engine's own: nothing is left to write.
        expect(engine.decide({ url: "/cart", headers: { cookie } })).toMatchObject({
          served: version,
          setCookie: undefined,
        });
      }
    } finally {
      await gateway.stop();
      upstream.close();
    }
  });
});

describe("a configuration of an engine", () => {
  it("is read from a file, and read again by a reload that names none", () => {
    writeFileSync(file, shop);
    const engine = createEngine({ file }, options);
    expect(engine.decide({ url: "/", headers: newUser }).version).toBe("canary");
    writeFileSync(file, shop.replace("use: canary", "use: stable"));
    engine.reload();
    expect(engine.decide({ url: "/", headers: newUser }).version).toBe("stable");
    engine.reload(shop);
    engine.reload();
    expect(engine.decide({ url: "/", headers: newUser }).version).toBe("canary");
  });

  it("is refused with every problem and its place", () => {
    const make = () => createEngine("services: []\nroutes: []\nx: 1\n", { ...options, file: "shop.yaml" });
    expect(make).toThrow(ConfigError);
    try {
      make();
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      const { problems, message } = error as ConfigError;
      expect(problems.map(({ line }) => line)).toEqual([1, 2, 3]);
      for (const line of problems) expect(message).toContain(`shop.yaml:${line.line}:${line.column}: error: `);
    }
  });

  it("stays where a reload is refused", () => {
    const engine = createEngine(shop, options);
    expect(() => engine.reload("routes: []")).toThrow(ConfigError);
    expect(engine.decide({ url: "/", headers: newUser }).version).toBe("canary");
    expect(() => engine.reload()).not.toThrow();
  });

  it("has warnings, and those of the new one after a reload", () => {
    const engine = createEngine(shop, options);
    const messages = () => engine.warnings.map(({ message }) => message);
    expect(messages()).toContain("no release uses attribute appVersion");
    engine.reload(shop.replace(/ {2}appVersion:.*\n/, ""));
    expect(messages()).not.toContain("no release uses attribute appVersion");
  });

  it("verifies tokens by keys in files; it fetches none, so where they are published is refused", async () => {
    const secret = Buffer.alloc(32, "s");
    const secretFile = join(folder, "secret");
    writeFileSync(secretFile, secret);
    const withKeys = (keys: string) =>
      shop
        .replace("[{ header: x-registered-at }]", "[{ jwt: since }]")
        .replace("services:", `jwt: { keys: [${keys}] }\nservices:`);
    const engine = createEngine(withKeys(`{ secretFile: ${secretFile} }`), options);
    const authorization = `Bearer ${await secretToken(secret, { since: "2026-02-01" })}`;
    expect(engine.decide({ url: "/", headers: { host, authorization } }).version).toBe("canary");
    const decided = (headers: Record<string, string>) => engine.decide({ url: "/", headers: { host, ...headers } });
    expect(decided({ authorization: `${authorization}x` }).attributes).toMatchObject({ registeredAt: null });
    const published = withKeys('{ jwksUrl: "https://id.example.com/jwks.json" }');
    expect(() => createEngine(published, options)).toThrow("the engine does not fetch keys; use jwksFile");
  });

  it("takes variables from the environment that is given", () => {
    const yaml = shop.replace("use: canary", `use: "\${NEW}"`);
    expect(
      createEngine(yaml, { ...options, env: { NEW: "stable" } }).decide({ url: "/", headers: newUser }).version,
    ).toBe("stable");
  });
});

it("the library loads no server and no client, nor anything that listens or logs", async () => {
  const script = `
    const { createEngine } = await import("./src/index.ts");
    createEngine(${JSON.stringify(shop)}, { env: {} }).decide({ url: "/plain" });`;
  expect(await loadedBy(script)).toEqual({ packages: ["ipaddr.js", "mmdb-lib", "re2js", "yaml"], network: [] });
});
