import { describe, expect, it } from "vitest";
import { perch, temporaryFolder } from "./captured-terminal.ts";

const file = temporaryFolder();
const config = file(
  "perch.yaml",
  `trustedProxies: [10.0.0.0/8]
attributes:
  userId: { type: string, from: [{ header: x-user-id }, { cookie: uid }] }
  region: { type: string, from: [{ header: x-user-region }] }
services:
  shop:
    versions:
      stable: { endpoints: ["http://shop-stable:80"] }
      canary: { endpoints: ["http://shop-canary:80"] }
releases:
  shop:
    sticky: { by: userId }
    rules: [{ name: east, when: { region: [cn-east, 北京] }, use: canary }]
    split: { stable: 100, canary: 0 }
routes:
  - { name: shop, match: { hosts: [shop.example.com], path: { prefix: / }, methods: [GET, POST] }, service: shop, release: shop }
  - { name: café, match: { hosts: [cafe.example.com], path: { exact: /caf%C3%A9 } }, service: shop }
`.replace("name: café", "name: cafe"),
);

async function explainJson(args: readonly string[]) {
  const { code, out, err } = await perch(["explain", "-c", config, "--json", ...args]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  return JSON.parse(out);
}

describe("perch explain", () => {
  it("prints the decision, then the reasons, in aligned columns without trailing blanks", async () => {
    const args = [
      "explain",
      "-c",
      config,
      "-H",
      "x-user-id: 42",
      "-H",
      "x-user-region: cn-east",
      "http://shop.example.com/cart",
    ];
    const { code, out, err } = await perch(args);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const lines = out.split("\n");
    expect(lines.slice(0, 8)).toEqual([
      "route       shop",
      "service     shop",
      "release     shop",
      "version     canary",
      "reason      rule east",
      'attributes  userId "42" from header x-user-id',
      '            region "cn-east" from header x-user-region',
      'unit        userId "42", aUJkzQsac2PI',
    ]);
    expect(lines[8]).toMatch(
      /^pin {9}cookie perch-shop: received none; sets perch-shop=1\.1\.\d+\.canary\.r-east\.aUJk\S+; Max-Age=/,
    );
    expect(lines).toContain('rule      matched  east: region: expected one of "cn-east", "北京", got "cn-east"');
    expect(lines.at(-2)).toBe("forward   served   service shop, version canary: http://shop-canary:80");
    expect(out).not.toMatch(/ \n/);
  });

  it("reports what a caller assigned, whether it is accepted, and what upstreams receive", async () => {
    const chained = file(
      "chained.yaml",
      `services:
  shop: { versions: { stable: { endpoints: ["http://shop-stable:80"] } } }
  pay: { external: true, versions: { v1: { endpoints: ["http://pay:80"] } } }
releases: { shop: { propagate: { acceptFrom: [10.0.0.0/8] } } }
routes:
  - { name: pay, match: { path: { prefix: /pay } }, service: pay, release: shop }
  - { name: shop, service: shop, release: shop }
`,
    );
    const stepsOf = async (client: string, url: string) => {
      const sent = ["-H", "x-perch-release: shop=canary", "-H", "baggage: a=1"];
      const { out } = await perch(["explain", "-c", chained, "--json", "--client", client, ...sent, url]);
      const { trail } = JSON.parse(out) as { trail: { stage: string; outcome: string; detail: string }[] };
      const steps = trail.filter(({ stage }) => stage === "propagated" || stage === "forward");
      return steps.map(({ stage, outcome, detail }) => `${stage} ${outcome}: ${detail}`);
    };
    expect(await stepsOf("10.0.0.1", "http://shop/")).toEqual([
      "propagated used: canary",
      "forward default-served: service shop has no version canary; its default stable serves: http://shop-stable:80",
      "forward told: x-perch-release: shop=canary",
      "forward told: baggage: a=1,perch.shop=canary",
    ]);
    expect(await stepsOf("192.0.2.1", "http://shop/pay")).toEqual([
      "propagated ignored: canary: 192.0.2.1 is not in acceptFrom",
      "forward served: service pay, version v1: http://pay:80",
      "forward not-told: service pay is external: the version is not propagated",
      "forward told: baggage: a=1",
    ]);
  });

  it("reports the response if no route matches, and the closest routes", async () => {
    const { code, out } = await perch(["explain", "-c", config, "--method", "PUT", "http://shop.example.com/"]);
    expect(code).toBe(0);
    expect(out).toContain("response  404 no-route\n");
    expect(out).toContain("shop requires method GET or POST, the request has PUT\n");
  });

  it.each<{ sentence: string; args: string[]; wanted: unknown }>([
    {
      sentence: "accepts headers, including repeated ones",
      args: ["-H", "x-user-id:1", "-H", "X-User-Id: 2", "http://shop.example.com/"],
      wanted: { attributes: { userId: null } },
    },
    {
      sentence: "accepts cookies in one option or several",
      args: ["--cookie", "a=b; uid=7", "--cookie", "c=d", "http://shop.example.com/"],
      wanted: { attributes: { userId: { value: "7", source: "cookie uid" } } },
    },
    {
      sentence: "accepts a method",
      args: ["--method", "POST", "http://shop.example.com/"],
      wanted: { route: "shop" },
    },
    {
      sentence: "prefers a Host header to the URL's host, like curl, and keeps the scheme",
      args: ["-H", "Host: shop.example.com", "https://127.0.0.1:8443"],
      wanted: { route: "shop", pin: { wouldSet: expect.stringContaining("; Secure;") } },
    },
    {
      sentence: "accepts a path with a Host header",
      args: ["-H", "Host: shop.example.com", "/cart"],
      wanted: { route: "shop" },
    },
    {
      sentence: "accepts headers in UTF-8",
      args: ["-H", "x-user-region: 北京", "http://shop.example.com/"],
      wanted: { version: "canary", attributes: { region: { value: "北京" } } },
    },
    {
      sentence: "sends headers unchanged, even if they look like UTF-8 decoded as Latin-1",
      args: ["-H", "x-user-region: Ã©", "http://shop.example.com/"],
      wanted: { attributes: { region: { value: "Ã©" } } },
    },
    {
      sentence: "percent-encodes non-ASCII letters of the path, like browsers",
      args: ["http://cafe.example.com/café"],
      wanted: { route: "cafe", release: null },
    },
    {
      sentence: "uses X-Forwarded-For from a trusted client",
      args: ["--client", "10.0.0.1", "-H", "x-forwarded-for: 203.0.113.9", "http://shop.example.com/"],
      wanted: {
        trail: expect.arrayContaining([expect.objectContaining({ detail: "the client's address is 203.0.113.9" })]),
      },
    },
  ])("$sentence", async ({ args, wanted }) => {
    expect(await explainJson(args)).toMatchObject(wanted as object);
  });

  it("prints one object with all documented keys", async () => {
    expect(Object.keys(await explainJson(["http://shop.example.com/"]))).toEqual(
      expect.arrayContaining([
        "route",
        "service",
        "release",
        "version",
        "reason",
        "rule",
        "attributes",
        "unit",
        "pin",
        "trail",
      ]),
    );
  });

  it("explains why a pin of a running Perch cannot be verified without a secretFile", async () => {
    const { wouldSet } = (await explainJson(["http://shop.example.com/"])).pin;
    const { code, err } = await perch([
      "explain",
      "-c",
      config,
      "--cookie",
      wouldSet.split(";")[0],
      "http://shop.example.com/",
    ]);
    expect(code).toBe(0);
    expect(err).toBe("Release shop has no secretFile, so pins of a running Perch cannot be verified here.\n");
  });

  it.each([
    { sentence: "no URL", args: [], message: "no URL to explain" },
    { sentence: "two URLs", args: ["/", "/b"], message: 'only one URL can be explained; unexpected argument "/b"' },
    { sentence: "an invalid URL", args: ["shop.example.com"], message: '"shop.example.com" is neither a path' },
    { sentence: "a header without a colon", args: ["-H", "x-user-id", "/"], message: '-H "x-user-id" is not a header' },
    { sentence: "an invalid header name", args: ["-H", "x user: 1", "/"], message: '"x user" is not a header' },
    {
      sentence: "a control character in a header",
      args: ["-H", "x: \u0007", "/"],
      message: "header x contains a control",
    },
    {
      sentence: "a client that is not an address",
      args: ["--client", "me", "/"],
      message: '"me" is not an IP address',
    },
    { sentence: "an invalid method", args: ["--method", "GET IT", "/"], message: '"GET IT" is not an HTTP method' },
    { sentence: "two hosts", args: ["-H", "Host: a", "-H", "host: b", "/"], message: "more than one Host header" },
  ])("exits with 2 and a clear message for $sentence", async ({ args, message }) => {
    const { code, out, err } = await perch(["explain", "-c", config, ...args]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain(`perch explain: `);
    expect(err).toContain(message);
  });

  it("exits with 2 and the problems of an invalid configuration", async () => {
    const { code, out, err } = await perch(["explain", "-c", file("bad.yaml", "routes: []\n"), "/"]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain("bad.yaml:1:");
  });
});
