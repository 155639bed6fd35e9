import { describe, expect, test } from "vitest";
import { changed, load, problemsOf } from "./valid-config.ts";

/** What is wrong, the thing replaced, its replacement, and every problem that is then told. */
const cases: readonly (readonly [string, string, string, readonly string[]])[] = [
  ["a negative weight", "canary: 5 }", "canary: -5 }", ["32:34: error: -5 is too small: a weight is 0 at least"]],
  [
    "weights that are all zero",
    "{ stable: 95, canary: 5 }",
    "{ stable: 0, canary: 0 }",
    ["32:12: error: at least one weight must be above zero"],
  ],
  ["a weight that is no number", "canary: 5 }", "canary: five }", ['32:34: error: expected a weight, found "five"']],
  [
    "a weight in quotes",
    "canary: 5 }",
    'canary: "5" }',
    ['32:34: error: expected a weight, found the text "5"; remove the quotes'],
  ],
  ["a weight without end", "canary: 5 }", "canary: .inf }", ['32:34: error: expected a weight, found ".inf"']],
  ["no weights", "{ stable: 95, canary: 5 }", "{}", ["32:12: error: the map of weights is empty"]],
  [
    "a list where weights are wanted",
    "{ stable: 95, canary: 5 }",
    "[stable]",
    ["32:12: error: expected a map of weights, found a list"],
  ],
  [
    "a map where a text is wanted",
    "default: stable",
    "default: { stable: 1 }",
    ["14:14: error: expected a name, found a map"],
  ],
  [
    "a scalar where a map is wanted",
    "{ prefix: /api }",
    "/api",
    ['35:47: error: expected a path (a map), found "/api"'],
  ],
  [
    "nothing where a list is wanted",
    "trustedProxies: [10.0.0.0/8]",
    "trustedProxies:",
    ["4:1: error: expected a list of address ranges, found nothing; write a value, or leave the key out"],
  ],
  [
    "null where a text is wanted",
    "default: stable",
    "default: null",
    ["14:14: error: expected a name, found nothing; write a value, or leave the key out"],
  ],
  [
    "an empty list where one item is needed",
    "[{ query: orders }]",
    "[]",
    ["7:33: error: the list of sources is empty"],
  ],
  [
    "yes where a boolean is wanted",
    "services:",
    "exposeVersion: yes\nservices:",
    ['12:16: error: expected true or false, found "yes"'],
  ],
  [
    "a duration without a unit",
    "connect: 2s",
    "connect: 2",
    ['18:26: error: "2" is not a duration; write a unit, as in 2s'],
  ],
  [
    "a duration in no known unit",
    "connect: 2s",
    "connect: 2 sec",
    ['18:26: error: "2 sec" is not a duration; the units are ms, s, m, h, d'],
  ],
  [
    "a duration longer than a timer can be",
    "connect: 2s",
    "connect: 30d",
    ["18:26: error: 30d is not between 1ms and 24d"],
  ],
  [
    "a size in no known unit",
    "services:",
    "limits: { headers: 32kb }\nservices:",
    ['12:20: error: "32kb" is not a size; write it as in 64KiB or 10MiB'],
  ],
  [
    "a size below what works",
    "services:",
    "limits: { headers: 1B }\nservices:",
    ["12:20: error: 1B is not between 1024 and 1048576 octets"],
  ],
  [
    "a share above one",
    "services:",
    "accessLog: { sample: 1.5 }\nservices:",
    ["12:22: error: 1.5 is too large: a share is 1 at most"],
  ],
  [
    "an epoch below one",
    "by: userId",
    "by: userId\n      epoch: 0",
    ["23:14: error: 0 is too small: an epoch is 1 at least"],
  ],
  [
    "an epoch that is no whole number",
    "by: userId",
    "by: userId\n      epoch: 1.5",
    ["23:14: error: 1.5 is not a whole number"],
  ],
  [
    "a word that is none of those known",
    "by: userId",
    "by: userId\n      whenWeightsChange: folow",
    ['23:26: error: expected follow or hold, found "folow"; did you mean "follow"?'],
  ],
  [
    "an unknown type of attribute",
    "type: number",
    "type: int",
    ['7:19: error: expected string, number, boolean, time, semver or ip, found "int"'],
  ],
  [
    "a listener on a host name",
    "0.0.0.0:8080",
    "localhost:8080",
    ['3:14: error: "localhost" is not an IP address; write 127.0.0.1:8080'],
  ],
  [
    "a listener without a host",
    "0.0.0.0:8080",
    "8080",
    ['3:14: error: "8080" has no host; write 0.0.0.0:8080 or 127.0.0.1:8080'],
  ],
  [
    "a listener on a port that can not be",
    "0.0.0.0:8080",
    "0.0.0.0:99999",
    ["3:14: error: 99999 is not a port: ports end at 65535"],
  ],
  [
    "a listener on IPv6 without brackets",
    "0.0.0.0:8080",
    "::1:8080",
    ['3:14: error: "::1:8080" is not an address such as 0.0.0.0:8080 or [::]:8080'],
  ],
  [
    "a trusted proxy that is no address",
    "[10.0.0.0/8]\nattr",
    "[10.0.0.0/8, localhost]\nattr",
    ['4:30: error: "localhost" is not an address or a CIDR range; write it as in 10.0.0.0/8 or fd00::/8'],
  ],
  [
    "an endpoint without a scheme",
    "http://shop-stable:80",
    "shop-stable:80",
    ['16:29: error: "shop-stable:80" has no scheme; write "http://shop-stable:80"'],
  ],
  [
    "an endpoint that is neither http nor https",
    "http://shop-stable:80",
    "ftp://shop-stable",
    [
      '16:29: error: "ftp://shop-stable" is neither http nor https; an endpoint is http://host:port or https://host:port',
    ],
  ],
  [
    "an endpoint with a path",
    "http://shop-stable:80",
    "http://shop-stable:80/x",
    ['16:29: error: "http://shop-stable:80/x" holds more than a host and a port; write "http://shop-stable"'],
  ],
  [
    "an endpoint with a query",
    "http://shop-stable:80",
    "http://shop-stable?x",
    ['16:29: error: "http://shop-stable?x" holds more than a host and a port; write "http://shop-stable"'],
  ],
  [
    "an endpoint with credentials, which are not repeated",
    "http://shop-stable:80",
    "http://u:secret@shop-stable",
    ['16:29: error: "http://…@shop-stable" holds credentials; an endpoint can not'],
  ],
  [
    "an endpoint with a blank",
    "http://shop-stable:80",
    "http://shop stable",
    ['16:29: error: "http://shop stable" is not a URL such as http://shop:80'],
  ],
  [
    "an endpoint on port 0",
    "http://shop-stable:80",
    "http://shop-stable:0",
    ['16:29: error: "http://shop-stable:0": 0 is not a port that can be connected to'],
  ],
  ["no endpoints", '["http://shop-stable:80"]', "[]", ["16:28: error: the list of endpoints is empty"]],
  [
    "a path that does not begin with a slash",
    "/api }",
    "api }",
    ['35:57: error: "api" is not a path: it must begin with /; percent-encode ?, # and all but visible ASCII'],
  ],
  [
    "a path with a query",
    "/api }",
    "/api?x }",
    ['35:57: error: "/api?x" is not a path: it must begin with /; percent-encode ?, # and all but visible ASCII'],
  ],
  [
    "a host with a port",
    "[shop.example.com]",
    "[shop.example.com:80]",
    ['35:22: error: "shop.example.com:80" is not a host; leave the port out'],
  ],
  [
    "a host that is only a wildcard",
    "[shop.example.com]",
    '["*"]',
    ['35:22: error: "*" is not a host; leave hosts out to match every host'],
  ],
  [
    "a wildcard inside a host",
    "[shop.example.com]",
    '["shop.*.com"]',
    ['35:22: error: "shop.*.com" is not a host such as shop.example.com or *.example.com'],
  ],
  [
    "a host in Unicode",
    "[shop.example.com]",
    '["商店.cn"]',
    ['35:22: error: "商店.cn" is not a host; write it in punycode (xn--…)'],
  ],
  [
    "a method with a blank",
    "match: {",
    "match: { methods: [GE T],",
    ['35:24: error: "GE T" is not a method: as in GET'],
  ],
  [
    "a header name with a blank",
    "header: X-User-Id",
    "header: x user",
    ['6:44: error: "x user" is not a header name: use letters, digits and !#$%&\'*+-.^_`|~, at most 128 characters'],
  ],
  [
    "a query parameter's name that is empty",
    "{ query: orders }",
    "{ query: '' }",
    ["7:43: error: expected a query parameter's name, found an empty text"],
  ],
  [
    "clientAddress that is not true",
    "{ clientAddress: true }",
    "{ clientAddress: false }",
    ['11:45: error: expected true, found "false"'],
  ],
  [
    "clientAddress for a type that is no address",
    "{ query: orders }",
    "{ clientAddress: true }",
    ["7:36: error: clientAddress gives an address, which is no value of type number; use type ip or string"],
  ],
  [
    "a trusted source that would remove a header no request can miss",
    "header: x-staff",
    "header: content-length",
    ['8:67: error: the header "content-length" can not be removed from requests, as trust: proxies would'],
  ],
  [
    "an override's header that no request can miss",
    "header: x-version",
    "header: Host",
    ['24:25: error: "host" can not be an override\'s header: it is taken out of what goes upstream'],
  ],
  [
    "a secret file that is missing",
    "pins.secret",
    "none.secret",
    ["23:49: error: the file <folder>/none.secret can not be used: there is no such file"],
  ],
  [
    "a secret that is too short",
    "pins.secret",
    "short.secret",
    ["23:49: error: the file <folder>/short.secret can not be used: line 1 has 9 bytes; a secret needs at least 32"],
  ],
  [
    "a secret file without a secret",
    "pins.secret",
    "empty.secret",
    ["23:49: error: the file <folder>/empty.secret can not be used: it holds no secret"],
  ],
  [
    "a variable that is not set",
    "0.0.0.0:8080",
    `0.0.0.0:\${NOPE}`,
    [`3:14: error: the environment variable NOPE is not set; set it, or give a default: \${NOPE:-default}`],
  ],
  [
    "a variable that gives no number",
    "canary: 5 }",
    `canary: "\${WORD}" }`,
    ['32:34: error: expected a weight, found "word"'],
  ],
  [
    "a text with a control character",
    "default: stable",
    'default: "sta\\u001bble"',
    ['14:14: error: "sta\\u001bble" holds a control character'],
  ],
];

describe("values", () => {
  test.each(cases)("%s", (_sentence, find, replacement, wanted) => {
    expect(problemsOf(load(changed(find, replacement)))).toEqual(wanted);
  });
});
