/** @module-tag slow */
import { describe, expect, it } from "vitest";
import { perch, upstream } from "../kit/freed.ts";
import { exchange, lanes } from "../kit/one-service.ts";
import { fieldLines, type SeenRequest } from "../kit/upstream.ts";

/** Values of trustedProxies, without and with the callers of these tests. */
const nobody = "";
const everybody = "127.0.0.0/8";

/** What the upstream receives of a request with these fields. */
async function passedOn(trustedProxies: string, target: string, headers: Record<string, string>): Promise<SeenRequest> {
  const stable = await upstream("stable");
  const { origin } = await perch(`
trustedProxies: [${trustedProxies}]
attributes:
  region: { type: string, from: [{ header: x-user-region, trust: proxies }, { query: region, trust: proxies }] }
  plan: { type: string, from: [{ cookie: plan, trust: proxies }] }
services: { shop: { versions: { stable: { endpoints: ["${stable.origin}"] } } } }
releases: { shop: { rules: [{ name: east, when: { region: east, plan: gold }, use: stable }] } }
routes: [{ name: all, service: shop, release: shop }]`);
  await fetch(origin + target, { headers });
  const [seen] = stable.seen;
  if (seen === undefined) throw new Error("nothing reached the upstream");
  return seen;
}

/** Perch with sources of every kind that only trusted proxies may set, each read by a rule for the canary. */
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
  /** The version that a request with this query and these field lines reached, and what it received. */
  return async (query: string, fields: string) => {
    await exchange(port, `GET /${query} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n${fields}\r\n`);
    const [version, seen] = stable.seen.length > 0 ? ["stable", stable.seen[0]] : ["canary", canary.seen[0]];
    const { rawHeaders = [], url } = seen ?? {};
    const own = /^(?:host|connection|x-forwarded-|x-request-id|via)/i;
    return { version, url, fields: fieldLines(rawHeaders).filter((line) => !own.test(line)) };
  };
}

const spoofed = {
  "x-user-region": "east",
  "x-forwarded-for": "203.0.113.9",
  "x-forwarded-proto": "https",
  "x-forwarded-host": "evil.example",
  "x-forwarded-prefix": "/admin",
  "x-real-ip": "203.0.113.9",
  forwarded: "for=203.0.113.9",
  "x-request-id": "chosen-by-the-client",
  X_User_Region: "east",
  X_Forwarded_For: "10.0.0.1",
  x_request_id: "imitated",
  cookie: "a=1; plan=gold; b=2",
  via: "1.0 front",
};

describe("claims of an untrusted client", () => {
  it("are not passed on: forwarding headers, request id, and sources reserved to trusted proxies", async () => {
    const { url, headers } = await passedOn(nobody, "/x?a=1&region=east&b=2", spoofed);
    expect(url).toBe("/x?a=1&b=2");
    expect(headers["x-forwarded-for"]).toBe("127.0.0.1");
    expect(headers["x-forwarded-proto"]).toBe("http");
    expect(headers["x-forwarded-host"]).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(headers["x-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
    expect(headers["cookie"]).toBe("a=1; b=2");
    expect(headers["via"]).toBe("1.0 front, 1.1 perch");
    for (const name of [
      "x-user-region",
      "x_user_region",
      "x_forwarded_for",
      "x_request_id",
      "x-forwarded-prefix",
      "x-real-ip",
      "forwarded",
    ])
      expect(headers).not.toHaveProperty(name);
  });

  it("leave no question mark behind where they are the only parameter", async () => {
    expect((await passedOn(nobody, "/x?region=east", {})).url).toBe("/x");
  });
});

describe("fields of a trusted proxy", () => {
  it("are trusted and extended", async () => {
    const { url, headers } = await passedOn(everybody, "/x?a=1&region=east", spoofed);
    expect(url).toBe("/x?a=1&region=east");
    expect(headers).toMatchObject({
      "x-user-region": "east",
      "x-forwarded-for": "203.0.113.9, 127.0.0.1",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "evil.example",
      "x-forwarded-prefix": "/admin",
      "x-real-ip": "203.0.113.9",
      "x-request-id": "chosen-by-the-client",
      cookie: "a=1; plan=gold; b=2",
    });
    expect(headers["forwarded"]).toMatch(/^for=203\.0\.113\.9, for=127\.0\.0\.1;host="127\.0\.0\.1:\d+";proto=http$/);
  });

  it("have no request id that could harm a log or a header", async () => {
    const { headers } = await passedOn(everybody, "/", { "x-request-id": 'a"} {"level":"error' });
    expect(headers["x-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe.each(lanes)("sources with trust: proxies, in the $lane lane", ({ fastLane }) => {
  const claims: readonly [sentence: string, query: string, fields: string, left: readonly string[], url?: string][] = [
    ["a header", "", "X-Staff: true\r\n", []],
    ["a header in other letter case", "", "x-STAFF: true\r\n", []],
    ["a header twice", "", "X-Staff: true\r\nA: 1\r\nx-staff: true\r\n", ["A: 1"]],
    ["a header with an underscore", "", "X_Staff: true\r\nx_staff: 1\r\nB: 2\r\n", ["B: 2"]],
    [
      "a header with other characters that CGI reads as a dash",
      "",
      "x.staff: true\r\nX~Staff: 1\r\nB: 2\r\n",
      ["B: 2"],
    ],
    ["look-alikes of framing", "", "content_length: 1\r\nTransfer_Encoding: chunked\r\nB: 2\r\n", ["B: 2"]],
    ["a header with the name as its prefix", "", "X-Staff-Id: 7\r\n", ["X-Staff-Id: 7"]],
    ["a header that Connection names", "", "X-Staff: true\r\nConnection: x-staff\r\n", []],
    ["a cookie", "", "Cookie: a=1; plan=gold\r\n", ["Cookie: a=1"]],
    ["a cookie twice", "", "Cookie: plan=gold; a=1; plan=gold\r\n", ["Cookie: a=1"]],
    ["a cookie in two lines", "", "Cookie: plan=gold\r\nCookie: b=2; plan=x\r\n", ["Cookie: b=2"]],
    ["a cookie with blanks and quotes", "", 'Cookie: plan = "gold" ;a=1\r\n', ["Cookie: a=1"]],
    ["the only cookie", "", "Cookie: plan=gold\r\n", []],
    ["a parameter", "?a=1&region=east", "", [], "/?a=1"],
    ["a parameter twice", "?region=east&a=1&region=east", "", [], "/?a=1"],
    ["an escaped parameter", "?%72egion=east&re%67ion", "", [], "/"],
    ["a parameter after a plus sign", "?+region=east", "", [], "/"],
    ["a parameter after an escaped blank", "?a=1&%20region=east", "", [], "/?a=1"],
    ["a parameter after a semicolon", "?a=1;region=east", "", [], "/?a=1"],
    ["a parameter in a list", "?region[]=east&Region=east", "", [], "/"],
    ["a quoted cookie name", "", 'Cookie: a=1; "plan"=gold\r\n', ["Cookie: a=1"]],
    ["a cookie after a comma", "", "Cookie: a=1,plan=gold\r\n", ["Cookie: a=1"]],
    ["a cookie in other letter case alone", "", "Cookie: Plan=gold\r\n", []],
  ];
  it.each(claims)(
    "of an untrusted client are ignored and removed: %s",
    async (_sentence, query, fields, left, url = "/") => {
      const passed = await guarded(fastLane, nobody);
      expect(await passed(query, fields)).toEqual({ version: "stable", url, fields: left });
    },
  );

  const trustedClaims: readonly [sentence: string, query: string, fields: string, left: readonly string[]][] = [
    ["a header", "", "X-Staff: true\r\n", ["X-Staff: true"]],
    ["a header that Connection names", "", "X-Staff: true\r\nConnection: x-staff\r\n", ["X-Staff: true"]],
    ["a cookie", "", "Cookie: plan=gold\r\n", ["Cookie: plan=gold"]],
    ["a parameter", "?region=east", "", []],
  ];
  it.each(trustedClaims)("of a trusted proxy count and go upstream: %s", async (_sentence, query, fields, left) => {
    const passed = await guarded(fastLane, everybody);
    expect(await passed(query, fields)).toEqual({ version: "canary", url: `/${query}`, fields: left });
  });

  it("of a trusted proxy may look like others, but not like framing", async () => {
    const passed = await guarded(fastLane, everybody);
    const { url, fields } = await passed("?+region=a", "content_length: 1\r\ntransfer.encoding: x\r\nx_staff: 1\r\n");
    expect([url, fields]).toEqual(["/?+region=a", ["x_staff: 1"]]);
  });

  it("of a trusted proxy count as absent where they are repeated", async () => {
    const passed = await guarded(fastLane, everybody);
    const { version } = await passed("", "X-Staff: true\r\nX-Staff: true\r\n");
    expect(version).toBe("stable");
  });
});
