import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  deriveClientAddress,
  type ForwardedHeaders,
  forwardedHeaders,
  isForwardingHeader,
  isHttps,
  isWellFormed,
} from "../../src/http/forwarded.ts";
import type { Caller } from "../../src/http/request-head.ts";
import { expectLinearTime, nothingBut } from "../kit/linear-time.ts";
import { address, callerOf, type Headers, headOf, ranges } from "./heads.ts";

const trusted = ranges("10.0.0.0/8", "2001:db8:1::/48");

function derived(headers: Headers, caller = callerOf()): string | undefined {
  return deriveClientAddress(headOf(headers), caller, trusted)?.text;
}

describe("behind a trusted caller, X-Forwarded-For", () => {
  const cases: readonly [sentence: string, value: string | readonly string[], wanted: string][] = [
    ["with one address names the client", "192.0.2.1", "192.0.2.1"],
    ["is read from its end, so that a client's own entries are ignored", "198.51.100.7, 192.0.2.1", "192.0.2.1"],
    ["is followed past trusted proxies", "192.0.2.1, 10.0.0.1, 10.0.0.2", "192.0.2.1"],
    ["with only trusted addresses names the leftmost", "10.0.0.3, 10.0.0.2", "10.0.0.3"],
    ["in several lines is one list", ["198.51.100.7", "192.0.2.1, 10.0.0.1", "10.0.0.2"], "192.0.2.1"],
    ["may have empty elements", ", 192.0.2.1 ,, 10.0.0.1,", "192.0.2.1"],
    ["may have no blanks, or tabs", "192.0.2.1,10.0.0.1,\t10.0.0.2\t", "192.0.2.1"],
    ["may name an IPv6 client", "2001:db8:2::1, 2001:db8:1::5", "2001:db8:2::1"],
    ["may put IPv6 in brackets", "[2001:db8:2::1]", "2001:db8:2::1"],
    ["may have a port", "192.0.2.1:50123, 10.0.0.1:80", "192.0.2.1"],
    ["may have a port after IPv6 in brackets", "[2001:db8:2::1]:443", "2001:db8:2::1"],
    ["with an IPv4-mapped address names the IPv4 client", "::ffff:192.0.2.1", "192.0.2.1"],
    ["is followed to the last valid entry before a malformed one", "192.0.2.1, unknown, 10.0.0.2", "10.0.0.2"],
    ["with garbage names the caller", "not an address", "10.0.0.9"],
    ["that is empty names the caller", "", "10.0.0.9"],
    ["with a leading zero, which some programs read as octal, is malformed", "010.0.0.1", "10.0.0.9"],
    ["with a zone identifier is malformed", "fe80::1%eth0", "10.0.0.9"],
    ["is followed for at most 32 entries", `192.0.2.1${", 10.0.0.2".repeat(31)}`, "192.0.2.1"],
    ["is not followed any further", `192.0.2.1${", 10.0.0.2".repeat(32)}`, "10.0.0.2"],
  ];
  test.each(cases)("%s", (_sentence, value, wanted) => {
    expect(derived({ "x-forwarded-for": value })).toBe(wanted);
  });

  test("takes precedence over Forwarded", () => {
    expect(derived({ "x-forwarded-for": "192.0.2.1", forwarded: "for=192.0.2.2" })).toBe("192.0.2.1");
  });
});

describe("behind a trusted caller without X-Forwarded-For, Forwarded", () => {
  const cases: readonly [sentence: string, value: string | readonly string[], wanted: string][] = [
    ["names the client", "for=192.0.2.1", "192.0.2.1"],
    ["may have other parameters", "proto=https;For=192.0.2.1;by=10.0.0.1", "192.0.2.1"],
    ["is read from its end", "for=198.51.100.7, for=192.0.2.1", "192.0.2.1"],
    ["is followed past trusted proxies", "for=192.0.2.1;proto=https, for=10.0.0.1", "192.0.2.1"],
    ["in several lines is one list", ["for=192.0.2.1", "for=10.0.0.1"], "192.0.2.1"],
    ["may quote an IPv6 address with a port", 'for="[2001:db8:2::1]:4711"', "2001:db8:2::1"],
    ["may obfuscate the port", 'for="[2001:db8:2::1]:_p-1"', "2001:db8:2::1"],
    ["may escape characters in quotes", 'for="192\\.0.2.1"', "192.0.2.1"],
    ["may have an unquoted port, as many proxies write it", "for=192.0.2.1:80", "192.0.2.1"],
    ["may have blanks around semicolons", "for=192.0.2.1 ; proto=http ", "192.0.2.1"],
    ["may have commas in quotes", 'for=192.0.2.1;host="a,b"', "192.0.2.1"],
    ["is followed up to an obfuscated name", "for=192.0.2.1, for=_hidden, for=10.0.0.2", "10.0.0.2"],
    ["is followed up to unknown", "for=unknown", "10.0.0.9"],
    ["is followed up to an element without an address", "for=192.0.2.1, proto=http", "10.0.0.9"],
    ["is followed up to an element with two addresses", "for=192.0.2.1;for=192.0.2.2", "10.0.0.9"],
    ["is followed up to a malformed element", "for=192.0.2.1, for=;=, for=10.0.0.3", "10.0.0.3"],
    ["is followed up to a quote that is never opened", 'for=192.0.2.1", for=10.0.0.3', "10.0.0.3"],
  ];
  test.each(cases)("%s", (_sentence, value, wanted) => {
    expect(derived({ forwarded: value })).toBe(wanted);
  });
});

describe("an untrusted caller is the client", () => {
  const untrusted = callerOf({ address: address("203.0.113.5"), trusted: false });
  const cases: readonly [sentence: string, headers: Headers][] = [
    ["without headers", {}],
    ["whatever X-Forwarded-For it sends", { "x-forwarded-for": "10.0.0.1" }],
    ["whatever Forwarded it sends", { forwarded: "for=10.0.0.1" }],
  ];
  test.each(cases)("%s", (_sentence, headers) => {
    expect(derived(headers, untrusted)).toBe("203.0.113.5");
  });
});

describe("a caller on a unix socket", () => {
  const local = callerOf({ address: undefined });
  test("leaves the client unknown without headers", () => {
    expect(derived({}, local)).toBeUndefined();
  });
  test("is trusted like any trusted proxy", () => {
    expect(derived({ "x-forwarded-for": "192.0.2.1" }, local)).toBe("192.0.2.1");
  });
});

test("a trusted caller that sends neither header is the client", () => {
  expect(derived({})).toBe("10.0.0.9");
});

/**
 * If the header were read from its start, a quote that the client opens would swallow what its proxy appended. The
 * client would then have the proxy's address, which overrides may be allowed from.
 */
describe("nothing that a client sends before the element of a trusted proxy changes its address", () => {
  const sent = fc.oneof(
    fc.string({
      unit: fc.constantFrom('"', "\\", ",", ";", "=", "for", "10.0.0.1", " ", "a", "[", "é"),
      maxLength: 30,
    }),
    fc.constantFrom('for="', "for=10.0.0.1", 'for="\\', 'for="10.0.0.1', '"'),
  );
  const appended = fc.constantFrom(
    "for=192.0.2.1",
    'for="192.0.2.1:80";proto=https',
    'for="192.0.2.1";host="a\\"b,c";proto=http',
    "proto=https;for=192.0.2.1",
  );
  test("in Forwarded", () => {
    fc.assert(
      fc.property(sent, appended, (before, element) => {
        expect(derived({ forwarded: `${before}, ${element}` })).toBe("192.0.2.1");
        expect(derived({ forwarded: `${before},${element}, for=10.0.0.1` })).toBe("192.0.2.1");
        expect(derived({ forwarded: [before, element] })).toBe("192.0.2.1");
      }),
      { numRuns: 2000 },
    );
  });
  test("in X-Forwarded-For", () => {
    fc.assert(
      fc.property(sent, (before) => {
        expect(derived({ "x-forwarded-for": `${before}, 192.0.2.1` })).toBe("192.0.2.1");
        expect(derived({ "x-forwarded-for": [before, "192.0.2.1, 10.0.0.1"] })).toBe("192.0.2.1");
      }),
      { numRuns: 500 },
    );
  });
});

test.each(["\\", '"', ",", 'a="', 'a="\\"', "for=10.0.0.1,", "10.0.0.1, ", "a", "a;", "a=b;", " "])(
  "a header of nothing but %j takes linear time",
  (unit) => {
    const value = nothingBut(unit);
    expectLinearTime(() => {
      for (const text of [value, `"${value}`, `${value}"`, `a="${value}"`]) {
        derived({ forwarded: text });
        derived({ "x-forwarded-for": text });
      }
    });
  },
);

interface Case {
  readonly caller?: Partial<Caller>;
  readonly headers?: Headers;
  readonly wanted: Partial<ForwardedHeaders>;
}

const forged: Headers = {
  "x-forwarded-for": "10.0.0.1",
  "x-forwarded-proto": "https",
  "x-forwarded-host": "evil.example",
  "x-forwarded-port": "1",
  forwarded: "for=10.0.0.1;proto=https",
};

describe("an untrusted caller's request", () => {
  const untrusted: Partial<Caller> = { address: address("203.0.113.5"), trusted: false };
  const cases: readonly [sentence: string, given: Case][] = [
    [
      "gets new forwarding headers, whatever it sent",
      {
        headers: forged,
        wanted: {
          for: "203.0.113.5",
          proto: "http",
          host: "shop.example.com",
          port: "80",
          forwarded: undefined,
        },
      },
    ],
    ["over https has the port 443", { caller: { scheme: "https" }, wanted: { proto: "https", port: "443" } }],
    ["has its host's port", { headers: { host: "a.example:8443" }, wanted: { host: "a.example:8443", port: "8443" } }],
    ["without a host has the listener's port", { headers: { host: "" }, wanted: { host: undefined, port: "8080" } }],
    ["keeps its host as sent", { headers: { host: "Shop.Example.com." }, wanted: { host: "Shop.Example.com." } }],
    ["has no forwarded host if its host is invalid", { headers: { host: "a\r\nb: c" }, wanted: { host: undefined } }],
    [
      "has an IPv6 address without brackets",
      { caller: { address: address("2001:db8::1") }, wanted: { for: "2001:db8::1" } },
    ],
    ["from a unix socket has the address unknown", { caller: { address: undefined }, wanted: { for: "unknown" } }],
  ];
  test.each(cases)("%s", (_sentence, { caller, headers = {}, wanted }) => {
    expect(forwardedHeaders(headOf(headers), callerOf({ ...untrusted, ...caller }))).toMatchObject(wanted);
  });
});

describe("a trusted caller's", () => {
  const cases: readonly [sentence: string, given: Case][] = [
    ["X-Forwarded-For is created if it is missing", { wanted: { for: "10.0.0.9" } }],
    [
      "X-Forwarded-For is extended by its address",
      { headers: { "x-forwarded-for": "192.0.2.1" }, wanted: { for: "192.0.2.1, 10.0.0.9" } },
    ],
    [
      "X-Forwarded-For in several lines is joined in order",
      {
        headers: { "x-forwarded-for": ["192.0.2.1, 10.0.0.1", "", "10.0.0.2"] },
        wanted: { for: "192.0.2.1, 10.0.0.1, 10.0.0.2, 10.0.0.9" },
      },
    ],
    [
      "X-Forwarded-For with a control character is dropped",
      { headers: { "x-forwarded-for": "192.0.2.1\r\nx: y" }, wanted: { for: "10.0.0.9" } },
    ],
    [
      "X-Forwarded-For is unchanged over a unix socket, which has no address",
      { caller: { address: undefined }, headers: { "x-forwarded-for": "192.0.2.1" }, wanted: { for: "192.0.2.1" } },
    ],
    [
      "X-Forwarded-Proto is kept, and determines the port",
      { headers: { "x-forwarded-proto": "https" }, wanted: { proto: "https", port: "443" } },
    ],
    [
      "X-Forwarded-Proto is case-insensitive",
      { headers: { "x-forwarded-proto": "HTTPS" }, wanted: { proto: "https" } },
    ],
    ["X-Forwarded-Proto wss becomes https", { headers: { "x-forwarded-proto": "wss" }, wanted: { proto: "https" } }],
    [
      "X-Forwarded-Proto is replaced if it is not a known scheme",
      { headers: { "x-forwarded-proto": "gopher" }, wanted: { proto: "http" } },
    ],
    [
      "X-Forwarded-Proto is replaced if it is a list",
      { headers: { "x-forwarded-proto": "https, http" }, wanted: { proto: "http" } },
    ],
    [
      "X-Forwarded-Proto is replaced if it was sent twice",
      { headers: { "x-forwarded-proto": ["https", "https"] }, wanted: { proto: "http" } },
    ],
    [
      "X-Forwarded-Host is kept, and determines the port",
      { headers: { "x-forwarded-host": "a.example:81" }, wanted: { host: "a.example:81", port: "81" } },
    ],
    [
      "X-Forwarded-Host is replaced if it is invalid",
      { headers: { "x-forwarded-host": "a b" }, wanted: { host: "shop.example.com" } },
    ],
    [
      "X-Forwarded-Host is replaced if it is a list",
      { headers: { "x-forwarded-host": "a.example,b.example" }, wanted: { host: "shop.example.com" } },
    ],
    ["X-Forwarded-Port is kept", { headers: { "x-forwarded-port": "8443" }, wanted: { port: "8443" } }],
    ["X-Forwarded-Port above 65535 is replaced", { headers: { "x-forwarded-port": "65536" }, wanted: { port: "80" } }],
    [
      "X-Forwarded-Port is replaced if it is not a number",
      { headers: { "x-forwarded-port": "80x" }, wanted: { port: "80" } },
    ],
    ["Forwarded is not created", { headers: { "x-forwarded-for": "192.0.2.1" }, wanted: { forwarded: undefined } }],
    [
      "Forwarded is extended by an element for its connection",
      {
        headers: { forwarded: "for=192.0.2.1;proto=https", "x-forwarded-proto": "https" },
        wanted: { forwarded: "for=192.0.2.1;proto=https, for=10.0.0.9;host=shop.example.com;proto=http" },
      },
    ],
    [
      "Forwarded is extended with quotes if the grammar requires them",
      {
        caller: { address: address("2001:db8::9"), scheme: "https" },
        headers: { forwarded: ["for=_a", 'for="[2001:db8::1]:80"'], host: "a.example:8443" },
        wanted: {
          forwarded: 'for=_a, for="[2001:db8::1]:80", for="[2001:db8::9]";host="a.example:8443";proto=https',
        },
      },
    ],
    [
      "Forwarded is extended with for=unknown over a unix socket, and without host if there is none",
      {
        caller: { address: undefined },
        headers: { forwarded: "for=192.0.2.1", host: "" },
        wanted: { forwarded: "for=192.0.2.1, for=unknown;proto=http" },
      },
    ],
    [
      "Forwarded with a quote that is never opened is removed",
      { headers: { forwarded: 'a", for=192.0.2.1' }, wanted: { forwarded: undefined } },
    ],
    ["malformed Forwarded is removed", { headers: { forwarded: 'for="192.0.2.1' }, wanted: { forwarded: undefined } }],
  ];
  test.each(cases)("%s", (_sentence, { caller, headers = {}, wanted }) => {
    expect(forwardedHeaders(headOf(headers), callerOf(caller))).toMatchObject(wanted);
  });
});

describe("the client used https", () => {
  const cases: readonly [sentence: string, caller: Partial<Caller>, headers: Headers, wanted: boolean][] = [
    ["if the caller did", { scheme: "https" }, {}, true],
    ["not if the caller did not", {}, {}, false],
    ["if a trusted caller sends https", {}, { "x-forwarded-proto": "https" }, true],
    [
      "not if a trusted caller sends http, even over https",
      { scheme: "https" },
      { "x-forwarded-proto": "http" },
      false,
    ],
    ["not if an untrusted caller sends https", { trusted: false }, { "x-forwarded-proto": "https" }, false],
    ["if the caller did and sends an invalid scheme", { scheme: "https" }, { "x-forwarded-proto": "?" }, true],
  ];
  test.each(cases)("%s", (_sentence, caller, headers, wanted) => {
    expect(isHttps(headOf(headers), callerOf(caller))).toBe(wanted);
  });
});

test.each([
  ["x-forwarded-for", true],
  ["x-forwarded-prefix", true],
  ["forwarded", true],
  ["x-real-ip", true],
  ["x-forwarded", false],
  ["x-request-id", false],
])("%s is a forwarding header: %s", (name, wanted) => {
  expect(isForwardingHeader(name)).toBe(wanted);
});

test("whatever a caller sends, only printable and well-formed values go upstream", () => {
  const bytes = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });
  const nearly = fc.string({
    unit: fc.constantFrom("for", "=", ";", ",", '"', "\\", "10.0.0.1", "a", ":80", " ", "\r\n"),
  });
  const value = fc.oneof(bytes, nearly, fc.constantFrom("https", "a.example:80", "443", "for=a"));
  const lines = fc.oneof(value, fc.array(value, { minLength: 1, maxLength: 3 }));
  const headers = fc.dictionary(fc.constantFrom(...Object.keys(forged), "host"), lines);
  fc.assert(
    fc.property(headers, fc.boolean(), (sent, trusted) => {
      const forwarded = forwardedHeaders(headOf(sent), callerOf({ trusted }));
      for (const text of Object.values(forwarded)) expect(text ?? "").toMatch(/^[\t\x20-\x7e]*$/);
      expect(forwarded.port).toMatch(/^\d{1,5}$/);
      expect(forwarded.host ?? "a").toMatch(/^[\w.:[\]~-]+$/);
      expect(isWellFormed(forwarded.forwarded ?? "")).toBe(true);
      expect(forwarded.for).toMatch(/(?:^|, )10\.0\.0\.9$/);
    }),
    { numRuns: 2000 },
  );
});
