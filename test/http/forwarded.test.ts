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
    ["is read from its end: what a client put in front counts for nothing", "198.51.100.7, 192.0.2.1", "192.0.2.1"],
    ["is followed past trusted proxies", "192.0.2.1, 10.0.0.1, 10.0.0.2", "192.0.2.1"],
    ["of trusted addresses alone names the leftmost", "10.0.0.3, 10.0.0.2", "10.0.0.3"],
    ["in several lines is one list", ["198.51.100.7", "192.0.2.1, 10.0.0.1", "10.0.0.2"], "192.0.2.1"],
    ["may have empty elements", ", 192.0.2.1 ,, 10.0.0.1,", "192.0.2.1"],
    ["may have no blanks, or tabs", "192.0.2.1,10.0.0.1,\t10.0.0.2\t", "192.0.2.1"],
    ["may name an IPv6 client", "2001:db8:2::1, 2001:db8:1::5", "2001:db8:2::1"],
    ["may put IPv6 into brackets", "[2001:db8:2::1]", "2001:db8:2::1"],
    ["may add a port", "192.0.2.1:50123, 10.0.0.1:80", "192.0.2.1"],
    ["may add a port to IPv6 in brackets", "[2001:db8:2::1]:443", "2001:db8:2::1"],
    ["with an IPv4-mapped address names the IPv4 client", "::ffff:192.0.2.1", "192.0.2.1"],
    ["ends the walk at a malformed entry, with the last good one", "192.0.2.1, unknown, 10.0.0.2", "10.0.0.2"],
    ["of garbage leaves the caller", "not an address", "10.0.0.9"],
    ["that is empty leaves the caller", "", "10.0.0.9"],
    ["with numbers in octal, as some programs read them, is malformed", "010.0.0.1", "10.0.0.9"],
    ["with a zone identifier is malformed", "fe80::1%eth0", "10.0.0.9"],
    ["is followed past 32 proxies at most", `192.0.2.1${", 10.0.0.2".repeat(31)}`, "192.0.2.1"],
    ["is given up after that", `192.0.2.1${", 10.0.0.2".repeat(32)}`, "10.0.0.2"],
  ];
  test.each(cases)("%s", (_sentence, value, wanted) => {
    expect(derived({ "x-forwarded-for": value })).toBe(wanted);
  });

  test("outranks Forwarded", () => {
    expect(derived({ "x-forwarded-for": "192.0.2.1", forwarded: "for=192.0.2.2" })).toBe("192.0.2.1");
  });
});

describe("behind a trusted caller without X-Forwarded-For, Forwarded", () => {
  const cases: readonly [sentence: string, value: string | readonly string[], wanted: string][] = [
    ["names the client", "for=192.0.2.1", "192.0.2.1"],
    ["names it among other parameters", "proto=https;For=192.0.2.1;by=10.0.0.1", "192.0.2.1"],
    ["is read from its end", "for=198.51.100.7, for=192.0.2.1", "192.0.2.1"],
    ["is followed past trusted proxies", "for=192.0.2.1;proto=https, for=10.0.0.1", "192.0.2.1"],
    ["in several lines is one list", ["for=192.0.2.1", "for=10.0.0.1"], "192.0.2.1"],
    ["may quote an IPv6 address with a port", 'for="[2001:db8:2::1]:4711"', "2001:db8:2::1"],
    ["may obfuscate the port", 'for="[2001:db8:2::1]:_p-1"', "2001:db8:2::1"],
    ["may escape characters in quotes", 'for="192\\.0.2.1"', "192.0.2.1"],
    ["may have a port unquoted, as many write it", "for=192.0.2.1:80", "192.0.2.1"],
    ["may have blanks around semicolons", "for=192.0.2.1 ; proto=http ", "192.0.2.1"],
    ["may have commas in quotes", 'for=192.0.2.1;host="a,b"', "192.0.2.1"],
    ["ends the walk at an obfuscated name", "for=192.0.2.1, for=_hidden, for=10.0.0.2", "10.0.0.2"],
    ["ends the walk at unknown", "for=unknown", "10.0.0.9"],
    ["ends the walk where no address is named", "for=192.0.2.1, proto=http", "10.0.0.9"],
    ["ends the walk where one is named twice", "for=192.0.2.1;for=192.0.2.2", "10.0.0.9"],
    ["ends the walk at a malformed element", "for=192.0.2.1, for=;=, for=10.0.0.3", "10.0.0.3"],
    ["ends the walk at a quote never opened", 'for=192.0.2.1", for=10.0.0.3', "10.0.0.3"],
  ];
  test.each(cases)("%s", (_sentence, value, wanted) => {
    expect(derived({ forwarded: value })).toBe(wanted);
  });
});

describe("an untrusted caller is the client", () => {
  const stranger = callerOf({ address: address("203.0.113.5"), trusted: false });
  const cases: readonly [sentence: string, headers: Headers][] = [
    ["with nothing sent", {}],
    ["whatever X-Forwarded-For it sends", { "x-forwarded-for": "10.0.0.1" }],
    ["whatever Forwarded it sends", { forwarded: "for=10.0.0.1" }],
  ];
  test.each(cases)("%s", (_sentence, headers) => {
    expect(derived(headers, stranger)).toBe("203.0.113.5");
  });
});

describe("a caller on a unix socket", () => {
  const local = callerOf({ address: undefined });
  test("leaves the client unknown where it says nothing", () => {
    expect(derived({}, local)).toBeUndefined();
  });
  test("is believed like any trusted one", () => {
    expect(derived({ "x-forwarded-for": "192.0.2.1" }, local)).toBe("192.0.2.1");
  });
});

test("a trusted caller that sends neither is the client itself", () => {
  expect(derived({})).toBe("10.0.0.9");
});

/**
 * A client that opens a quote would, in a reading from the start, swallow what its proxy appended, and pass for that
 * proxy: an internal address, for which overrides may be allowed.
 */
describe("nothing that a client sends before what a trusted proxy appended changes who it is", () => {
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
  const stranger: Partial<Caller> = { address: address("203.0.113.5"), trusted: false };
  const cases: readonly [sentence: string, given: Case][] = [
    [
      "is told of anew, whatever it said itself",
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
    ["over https has https's port", { caller: { scheme: "https" }, wanted: { proto: "https", port: "443" } }],
    ["has its host's port", { headers: { host: "a.example:8443" }, wanted: { host: "a.example:8443", port: "8443" } }],
    ["without a host has the listener's port", { headers: { host: "" }, wanted: { host: undefined, port: "8080" } }],
    ["keeps its host as sent", { headers: { host: "Shop.Example.com." }, wanted: { host: "Shop.Example.com." } }],
    ["tells nothing of a host that is none", { headers: { host: "a\r\nb: c" }, wanted: { host: undefined } }],
    ["names an IPv6 caller bare", { caller: { address: address("2001:db8::1") }, wanted: { for: "2001:db8::1" } }],
    ["from a unix socket is from unknown", { caller: { address: undefined }, wanted: { for: "unknown" } }],
  ];
  test.each(cases)("%s", (_sentence, { caller, headers = {}, wanted }) => {
    expect(forwardedHeaders(headOf(headers), callerOf({ ...stranger, ...caller }))).toMatchObject(wanted);
  });
});

describe("a trusted caller's", () => {
  const cases: readonly [sentence: string, given: Case][] = [
    ["X-Forwarded-For is begun where it sent none", { wanted: { for: "10.0.0.9" } }],
    [
      "X-Forwarded-For is extended by its address",
      { headers: { "x-forwarded-for": "192.0.2.1" }, wanted: { for: "192.0.2.1, 10.0.0.9" } },
    ],
    [
      "X-Forwarded-For of several lines is joined in order",
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
      "X-Forwarded-For stays as it is where a unix socket has no address to add",
      { caller: { address: undefined }, headers: { "x-forwarded-for": "192.0.2.1" }, wanted: { for: "192.0.2.1" } },
    ],
    [
      "X-Forwarded-Proto is kept, and tells the port",
      { headers: { "x-forwarded-proto": "https" }, wanted: { proto: "https", port: "443" } },
    ],
    [
      "X-Forwarded-Proto is read in any case",
      { headers: { "x-forwarded-proto": "HTTPS" }, wanted: { proto: "https" } },
    ],
    [
      "X-Forwarded-Proto of a WebSocket is its request's",
      { headers: { "x-forwarded-proto": "wss" }, wanted: { proto: "https" } },
    ],
    [
      "X-Forwarded-Proto that is no scheme is set anew",
      { headers: { "x-forwarded-proto": "gopher" }, wanted: { proto: "http" } },
    ],
    [
      "X-Forwarded-Proto that is a list is set anew",
      { headers: { "x-forwarded-proto": "https, http" }, wanted: { proto: "http" } },
    ],
    [
      "X-Forwarded-Proto that came twice is set anew",
      { headers: { "x-forwarded-proto": ["https", "https"] }, wanted: { proto: "http" } },
    ],
    [
      "X-Forwarded-Host is kept, and tells the port",
      { headers: { "x-forwarded-host": "a.example:81" }, wanted: { host: "a.example:81", port: "81" } },
    ],
    [
      "X-Forwarded-Host that is none is set anew",
      { headers: { "x-forwarded-host": "a b" }, wanted: { host: "shop.example.com" } },
    ],
    [
      "X-Forwarded-Host that is a list is set anew",
      { headers: { "x-forwarded-host": "a.example,b.example" }, wanted: { host: "shop.example.com" } },
    ],
    ["X-Forwarded-Port is kept", { headers: { "x-forwarded-port": "8443" }, wanted: { port: "8443" } }],
    ["X-Forwarded-Port above 65535 is set anew", { headers: { "x-forwarded-port": "65536" }, wanted: { port: "80" } }],
    [
      "X-Forwarded-Port that is no number is set anew",
      { headers: { "x-forwarded-port": "80x" }, wanted: { port: "80" } },
    ],
    ["Forwarded is not begun", { headers: { "x-forwarded-for": "192.0.2.1" }, wanted: { forwarded: undefined } }],
    [
      "Forwarded is extended by how its request came to us",
      {
        headers: { forwarded: "for=192.0.2.1;proto=https", "x-forwarded-proto": "https" },
        wanted: { forwarded: "for=192.0.2.1;proto=https, for=10.0.0.9;host=shop.example.com;proto=http" },
      },
    ],
    [
      "Forwarded is extended with quotes where the grammar asks for them",
      {
        caller: { address: address("2001:db8::9"), scheme: "https" },
        headers: { forwarded: ["for=_a", 'for="[2001:db8::1]:80"'], host: "a.example:8443" },
        wanted: {
          forwarded: 'for=_a, for="[2001:db8::1]:80", for="[2001:db8::9]";host="a.example:8443";proto=https',
        },
      },
    ],
    [
      "Forwarded is extended by unknown for a unix socket and without a host where there is none",
      {
        caller: { address: undefined },
        headers: { forwarded: "for=192.0.2.1", host: "" },
        wanted: { forwarded: "for=192.0.2.1, for=unknown;proto=http" },
      },
    ],
    [
      "Forwarded with a quote never opened is removed",
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
    ["where the caller did", { scheme: "https" }, {}, true],
    ["not where the caller did not", {}, {}, false],
    ["where a trusted caller says so", {}, { "x-forwarded-proto": "https" }, true],
    [
      "not where a trusted caller says http, though it uses https itself",
      { scheme: "https" },
      { "x-forwarded-proto": "http" },
      false,
    ],
    ["not because an untrusted caller says so", { trusted: false }, { "x-forwarded-proto": "https" }, false],
    ["where the caller did, whatever nonsense it sends", { scheme: "https" }, { "x-forwarded-proto": "?" }, true],
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
])("%s tells of the way a request came: %s", (name, wanted) => {
  expect(isForwardingHeader(name)).toBe(wanted);
});

test("whatever comes in, only printable and well-formed values go on", () => {
  const bytes = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });
  const nearly = fc.string({
    unit: fc.constantFrom("for", "=", ";", ",", '"', "\\", "10.0.0.1", "a", ":80", " ", "\r\n"),
  });
  const value = fc.oneof(bytes, nearly, fc.constantFrom("https", "a.example:80", "443", "for=a"));
  const lines = fc.oneof(value, fc.array(value, { minLength: 1, maxLength: 3 }));
  const headers = fc.dictionary(fc.constantFrom(...Object.keys(forged), "host"), lines);
  fc.assert(
    fc.property(headers, fc.boolean(), (sent, trusted) => {
      const told = forwardedHeaders(headOf(sent), callerOf({ trusted }));
      for (const text of Object.values(told)) expect(text ?? "").toMatch(/^[\t\x20-\x7e]*$/);
      expect(told.port).toMatch(/^\d{1,5}$/);
      expect(told.host ?? "a").toMatch(/^[\w.:[\]~-]+$/);
      expect(isWellFormed(told.forwarded ?? "")).toBe(true);
      expect(told.for).toMatch(/(?:^|, )10\.0\.0\.9$/);
    }),
    { numRuns: 2000 },
  );
});
