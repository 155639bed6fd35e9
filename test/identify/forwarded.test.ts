import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type ForwardedHeaders,
  forwardedHeaders,
  isForwardingHeader,
  isHttps,
  isWellFormed,
} from "../../src/http/forwarded.ts";
import type { Caller } from "../../src/http/request-head.ts";
import { address, callerOf, type Headers, headOf } from "./heads.ts";

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
  const octets = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });
  const nearly = fc.string({
    unit: fc.constantFrom("for", "=", ";", ",", '"', "\\", "10.0.0.1", "a", ":80", " ", "\r\n"),
  });
  const value = fc.oneof(octets, nearly, fc.constantFrom("https", "a.example:80", "443", "for=a"));
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
