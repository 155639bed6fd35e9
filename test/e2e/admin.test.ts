import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { perch, upstream } from "../kit/freed.ts";
import type { TestPerch } from "../kit/perch.ts";
import { Visitor } from "../kit/visitor.ts";

/** A shop with every kind of decision, pages without a canary, assets without a release. */
async function shop() {
  const [stable, canary] = [await upstream("stable"), await upstream("canary")];
  const started = await perch(`
trustedProxies: [127.0.0.0/8]
exposeVersion: true
attributes:
  userId: { type: string, from: [{ header: x-user-id }, { cookie: uid }] }
  region: { type: string, from: [{ header: x-region }, { query: region }] }
  registeredAt: { type: time, from: [{ header: x-registered-at }] }
  appVersion: { type: semver, from: [{ header: x-app-version }] }
services:
  shop: { versions: { stable: { endpoints: ["${stable.origin}"] }, canary: { endpoints: ["${canary.origin}"] } } }
  pages: { versions: { stable: { endpoints: ["${stable.origin}"] } } }
releases:
  shop:
    sticky: { by: userId, whenWeightsChange: hold }
    override: { header: x-perch-version, cookie: tester, allowFrom: [192.0.2.0/24] }
    rules:
      - { name: new-in-the-east, when: { region: cn-east, registeredAt: { after: 2026-01-01 } }, use: canary }
      - { name: some-old-apps, when: { appVersion: { semver: "<4" } }, use: { canary: 50, stable: 50 } }
    split: { stable: 60, canary: 40 }
routes:
  - { name: api, match: { hosts: ["*.example.com"], path: { prefix: /api }, methods: [GET] }, service: shop, release: shop }
  - { name: pages, match: { hosts: [shop.example.com], path: { prefix: /pages } }, service: pages, release: shop }
  - { name: assets, match: { hosts: [shop.example.com], path: { regex: "/assets/.+\\\\.css" } }, service: shop }
`);
  return { perch: started, stable, canary };
}

/** The keys of `/api/explain` that are used here. */
interface Explained {
  readonly route: string | null;
  readonly version: string | null;
  readonly served: string | null;
  readonly reason: string | null;
  readonly rule: string | null;
  readonly pin: { readonly received: string; readonly wouldSet: string | null } | null;
  readonly error: { readonly code: string; readonly status: number } | null;
}

interface Asked {
  readonly path: string;
  readonly host: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly cookie?: string | undefined;
  readonly client?: string | undefined;
}

async function explain(perch: TestPerch, { path, host, headers, cookie, client }: Asked): Promise<Explained> {
  const query = new URLSearchParams({ url: `http://${host}${path}` });
  for (const [name, value] of Object.entries(headers)) query.append("header", `${name}: ${value}`);
  if (cookie !== undefined) query.append("cookie", cookie);
  if (client !== undefined) query.append("client", client);
  const answer = await perch.admin(`/api/explain?${query}`);
  expect(answer.status).toBe(200);
  return (await answer.json()) as Explained;
}

/** The same request, sent from a trusted proxy that forwards the client's address. */
function send(perch: TestPerch, { path, host, headers, cookie, client }: Asked, visitor = new Visitor()) {
  const forwarded: Record<string, string> = client === undefined ? {} : { "x-forwarded-for": client };
  const cookies: Record<string, string> = cookie === undefined ? {} : { cookie };
  return visitor.get(perch.origin + path, { host, ...headers, ...forwarded, ...cookies });
}

const api = { path: "/api/cart", host: "shop.example.com" };
/** Without the time of a pin and its signature, which may differ by a second between explanation and request. */
const timeless = (setCookie: string | null | undefined) =>
  setCookie?.replace(/^(perch-shop=1\.\d+)\.\d+(\..+)\.(?:[\w-]{22}|<signature>);/, "$1$2;") ?? null;

describe("/api/explain agrees with the request", () => {
  const users = Array.from({ length: 20 }, (_, i): Asked & { sentence: string } => {
    const headers = { "x-user-id": `user-${i}` };
    return { sentence: `the split for user-${i}`, ...api, headers };
  });
  it.each<Asked & { sentence: string }>([
    {
      sentence: "a rule",
      ...api,
      headers: { "x-region": "cn-east", "x-registered-at": "2026-03-01", "x-user-id": "7" },
    },
    {
      sentence: "a rule by query",
      ...api,
      path: "/api?region=cn-east",
      headers: { "x-registered-at": "1772323200", "x-user-id": "7" },
    },
    {
      sentence: "a rule that does not match by a day",
      ...api,
      headers: { "x-region": "cn-east", "x-registered-at": "2026-01-01", "x-user-id": "7" },
    },
    { sentence: "a rule's draw", ...api, headers: { "x-app-version": "v3.2", "x-user-id": "8" } },
    { sentence: "a user by cookie", ...api, headers: {}, cookie: "a=1; uid=12" },
    {
      sentence: "an override",
      ...api,
      headers: { "x-perch-version": "canary", "x-user-id": "1" },
      client: "192.0.2.7",
    },
    {
      sentence: "an override outside allowFrom",
      ...api,
      headers: { "x-perch-version": "canary", "x-user-id": "1" },
      client: "203.0.113.7",
    },
    {
      sentence: "a forged pin",
      ...api,
      headers: { "x-user-id": "2" },
      cookie: "perch-shop=1.1.1.canary.s.rAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA",
    },
    {
      sentence: "a service without the version",
      path: "/pages",
      host: "shop.example.com",
      headers: { "x-region": "cn-east", "x-registered-at": "2026-03-01", "x-user-id": "7" },
    },
    { sentence: "a route without a release", path: "/assets/a.css", host: "shop.example.com", headers: {} },
    { sentence: "no route for the host", path: "/api", host: "example.com", headers: {} },
    { sentence: "no route for the path", path: "/apis", host: "shop.example.com", headers: {} },
    { sentence: "a prefix with escapes", ...api, path: "/%61pi", headers: { "x-user-id": "9" } },
    ...users,
  ])("$sentence", async (asked) => {
    const { perch: started, stable, canary } = await shop();
    const explained = await explain(started, asked);
    expect([...stable.seen, ...canary.seen]).toEqual([]);
    const sent = await send(started, asked);
    if (explained.error !== null) {
      expect([sent.status, sent.headers["x-perch-error"]]).toEqual([explained.error.status, explained.error.code]);
      return;
    }
    expect([sent.status, sent.headers["x-perch-version"]]).toEqual([200, explained.served]);
    // Both services have their stable version at the same address.
    expect(sent.version).toBe(explained.served);
    expect(timeless(sent.setCookie[0])).toBe(timeless(explained.pin?.wouldSet));
    if (explained.pin === null) return;
    const series = `perch_decisions_total{release="shop",version="${explained.version}",reason="${explained.reason}"}`;
    expect(await started.metric(series)).toBe(1);
    if (explained.rule !== null) {
      expect(await started.metric(`perch_rule_hits_total{release="shop",rule="${explained.rule}"}`)).toBe(1);
    }
  });

  it("a pin that was set", async () => {
    const { perch: started } = await shop();
    const visitor = new Visitor();
    const first = await send(started, { ...api, headers: {} }, visitor);
    const explained = await explain(started, { ...api, headers: {}, cookie: visitor.cookie });
    expect(explained).toMatchObject({
      version: first.version,
      reason: "pin",
      pin: { received: "valid", wouldSet: null },
    });
    const again = await send(started, { ...api, headers: {} }, visitor);
    expect([again.version, again.setCookie]).toEqual([first.version, []]);
  });
});

describe("the admin server", () => {
  it("answers ok to /livez and /readyz", async () => {
    const { perch: started } = await shop();
    for (const path of ["/livez", "/readyz"]) {
      const answer = await started.admin(path);
      expect([answer.status, await answer.text()]).toEqual([200, "ok\n"]);
    }
  });

  it("has the active configuration in /api/config", async () => {
    const { perch: started } = await shop();
    const { active, lastError } = (await (await started.admin("/api/config")).json()) as Record<string, unknown>;
    expect(lastError).toBeNull();
    expect(active).toMatchObject({ hash: expect.stringMatching(/^[0-9a-f]{64}$/), warnings: expect.any(Array) });
  });

  it("has configured and observed shares in /api/releases", async () => {
    const { perch: started } = await shop();
    const served: string[] = [];
    for (let i = 0; i < 50; i++) {
      served.push((await send(started, { ...api, headers: { "x-user-id": `user-${i}` } })).version);
    }
    const onCanary = served.filter((version) => version === "canary").length;
    const { releases } = (await (await started.admin("/api/releases")).json()) as { releases: unknown[] };
    const observed = { decisions: onCanary, placed: 0, share: onCanary / 50, expectedShare: 0.4 };
    expect(releases).toEqual([
      expect.objectContaining({
        release: "shop",
        versions: [
          { version: "canary", configuredShare: 0.4, lastMinute: observed, lastFiveMinutes: observed },
          expect.objectContaining({ version: "stable", configuredShare: 0.6 }),
        ],
        pinFlips: 0,
      }),
    ]);
  });

  it("refuses other methods", async () => {
    const { perch: started } = await shop();
    const answer = await fetch(`${started.adminOrigin}/api/config`, { method: "POST", body: "routes: []" });
    expect(answer.status).toBe(403);
  });
});

const hasPromtool = spawnSync("promtool", ["--version"]).status === 0;
if (!hasPromtool) console.info("skipped: no promtool to check /metrics with");

it.skipIf(!hasPromtool)("/metrics passes promtool, after every kind of request", async () => {
  const { perch: started } = await shop();
  await send(started, { ...api, headers: { "x-region": "cn-east", "x-registered-at": "2026-03-01" } });
  await send(started, { ...api, headers: { "x-registered-at": "never" }, cookie: "perch-shop=forged" });
  await send(started, { path: "/nowhere", host: "a", headers: {} });
  const exposition = await (await started.admin("/metrics")).text();
  expect(exposition).toContain('perch_pins_rejected_total{release="shop",cause="malformed"} 1');
  expect(exposition).toContain('perch_requests_total{route="none"');
  const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], {
    input: exposition,
    encoding: "utf8",
  });
  expect([status, stdout, stderr]).toEqual([0, "", ""]);
});
