import { describe, expect, it } from "vitest";
import { perch, upstream } from "../kit/freed.ts";
import { exchange, lanes } from "../kit/one-service.ts";

const trustedRange = "127.0.0.0/8";

/** Perch with sources of every kind that only proxies may set, of which a canary rule reads one each. */
async function guarded(fastLane: "on" | "off", trustedProxies: string) {
  const [stable, canary] = [await upstream("stable"), await upstream("canary")];
  const { port } = await perch(`
fastLane: ${fastLane}
trustedProxies: [${trustedProxies}]
attributes:
  staff: { type: boolean, from: [{ header: X-Staff, trust: proxies }] }
  plan: { type: string, from: [{ cookie: plan, trust: proxies }] }
  region: { type: string, from: [{ query: region, trust: proxies }] }
  careless: { type: boolean, from: [{ header: x-staff }] }
services:
  shop: { versions: { stable: { endpoints: ["${stable.origin}"] }, canary: { endpoints: ["${canary.origin}"] } } }
releases:
  shop:
    rules:
      - { name: attributes, when: { any: [{ staff: true }, { plan: gold }, { region: east }, { careless: true }] }, use: canary }
      - { name: raw-facts, when: { any: [header: { x-staff: { exists: true } }, cookie: { plan: gold }, query: { region: east }] }, use: canary }
    split: { stable: 100, canary: 0 }
routes: [{ name: shop, service: shop, release: shop }]`);
  /** What reached which version of a request with this query and these field lines. */
  return async (query: string, fields: string) => {
    await exchange(port, `GET /${query} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n${fields}\r\n`);
    const [version, seen] = stable.seen.length > 0 ? ["stable", stable.seen[0]] : ["canary", canary.seen[0]];
    const { rawHeaders = [], url } = seen ?? {};
    const sent = rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${rawHeaders[at + 1]}`] : []));
    const own = /^(?:host|connection|x-forwarded-|x-request-id|via)/i;
    return { version, url, fields: sent.filter((line) => !own.test(line)) };
  };
}

describe.each(lanes)("what only proxies may say, $lane lane", ({ fastLane }) => {
  const claims: readonly [sentence: string, query: string, fields: string, left: readonly string[], url?: string][] = [
    ["a header", "", "X-Staff: true\r\n", []],
    ["a header in other letter case", "", "x-STAFF: true\r\n", []],
    ["a header twice", "", "X-Staff: true\r\nA: 1\r\nx-staff: true\r\n", ["A: 1"]],
    ["a header with an underscore", "", "X_Staff: true\r\nx_staff: 1\r\nB: 2\r\n", ["B: 2"]],
    ["a header that merely begins alike", "", "X-Staff-Id: 7\r\n", ["X-Staff-Id: 7"]],
    ["a header that Connection hides", "", "X-Staff: true\r\nConnection: x-staff\r\n", []],
    ["a cookie", "", "Cookie: a=1; plan=gold\r\n", ["Cookie: a=1"]],
    ["a cookie twice", "", "Cookie: plan=gold; a=1; plan=gold\r\n", ["Cookie: a=1"]],
    ["a cookie in two lines", "", "Cookie: plan=gold\r\nCookie: b=2; plan=x\r\n", ["Cookie: b=2"]],
    ["a cookie with blanks and quotes", "", 'Cookie: plan = "gold" ;a=1\r\n', ["Cookie: a=1"]],
    ["a cookie with nothing beside it", "", "Cookie: plan=gold\r\n", []],
    ["a parameter", "?a=1&region=east", "", [], "/?a=1"],
    ["a parameter twice", "?region=east&a=1&region=east", "", [], "/?a=1"],
    ["a parameter in an escape", "?%72egion=east&re%67ion", "", [], "/"],
  ];
  it.each(claims)(
    "from a stranger neither counts nor goes upstream: %s",
    async (_sentence, query, fields, left, url = "/") => {
      const passed = await guarded(fastLane, "");
      expect(await passed(query, fields)).toEqual({ version: "stable", url, fields: left });
    },
  );

  const said: readonly [sentence: string, query: string, fields: string, left: readonly string[]][] = [
    ["a header", "", "X-Staff: true\r\n", ["X-Staff: true"]],
    ["a header that Connection names", "", "X-Staff: true\r\nConnection: x-staff\r\n", ["X-Staff: true"]],
    ["a cookie", "", "Cookie: plan=gold\r\n", ["Cookie: plan=gold"]],
    ["a parameter", "?region=east", "", []],
  ];
  it.each(said)("from a trusted proxy counts and goes upstream: %s", async (_sentence, query, fields, left) => {
    const passed = await guarded(fastLane, trustedRange);
    expect(await passed(query, fields)).toEqual({ version: "canary", url: `/${query}`, fields: left });
  });

  it("from a trusted proxy twice is no value", async () => {
    const passed = await guarded(fastLane, trustedRange);
    const { version } = await passed("", "X-Staff: true\r\nX-Staff: true\r\n");
    expect(version).toBe("stable");
  });
});
