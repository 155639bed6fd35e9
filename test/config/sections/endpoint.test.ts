import { describe, expect, test } from "vitest";
import { describeSpec } from "../../../src/upstream/service-spec.ts";
import { changed, load, problemsOf } from "../valid-config.ts";

/** What is wrong, the thing replaced, its replacement, and every problem that is then told. */
const cases: readonly (readonly [string, string, string, readonly string[]])[] = [
  [
    "a balance that there is none of",
    "    timeouts:",
    "    balance: round_robin\n    timeouts:",
    [
      '18:14: error: expected p2c, round-robin, least-in-flight or hash, found "round_robin"; did you mean "round-robin"?',
    ],
  ],
  [
    "a socket's path that is relative",
    '"http://shop-stable:80"',
    "unix:shop.sock",
    ['16:29: error: "shop.sock" is not an absolute path; write it as in unix:/run/shop.sock'],
  ],
  [
    "a socket's path without its scheme",
    '"http://shop-stable:80"',
    "/run/shop.sock",
    ['16:29: error: "/run/shop.sock" has no scheme; write "unix:/run/shop.sock"'],
  ],
  [
    "a socket's path that the system has no room for",
    '"http://shop-stable:80"',
    `unix:/${"x".repeat(107)}`,
    [`16:29: error: "/${"x".repeat(59)}…" is too long: the maximum for a unix socket is 107 bytes`],
  ],
  [
    "a name for DNS without a port",
    '["http://shop-stable:80"]',
    "[{ dns: shop-headless }]",
    ["16:29: error: an endpoint by DNS needs a port, or the name of an SRV record such as _http._tcp.shop"],
  ],
  [
    "an address in place of a name",
    '["http://shop-stable:80"]',
    "[{ dns: 10.0.0.1, port: 8080 }]",
    ['16:36: error: "10.0.0.1" is an IP address, not a DNS name; write "http://10.0.0.1:8080"'],
  ],
  [
    "an origin in place of a name",
    '["http://shop-stable:80"]',
    '[{ dns: "http://shop", port: 80 }]',
    ['16:36: error: "http://shop" is not a DNS name: use letters, digits, dashes and underscores between dots'],
  ],
  [
    "a scheme that is none",
    '["http://shop-stable:80"]',
    "[{ dns: shop, port: 80, scheme: h2c }]",
    ['16:60: error: expected http or https, found "h2c"'],
  ],
  [
    "a name server by its name",
    "services:",
    "dns: { servers: [dns.example] }\nservices:",
    ['12:18: error: "dns.example" is not a name server\'s address; write it as in 10.0.0.10 or 10.0.0.10:53'],
  ],
  [
    "a name server's port that is none",
    "services:",
    'dns: { servers: ["10.0.0.10:70000"] }\nservices:',
    ["12:18: error: 70000 is not a valid port"],
  ],
  [
    "a floor above the ceiling",
    "services:",
    "dns: { minTtl: 1m, maxTtl: 30s }\nservices:",
    ["12:16: error: minTtl (1m) is above maxTtl (30s)"],
  ],
  [
    "a certificate to show without its key",
    "    timeouts:",
    "    tls: { cert: shop.pem }\n    timeouts:",
    [
      "18:10: warning: service shop has no https endpoint, so its tls has no effect",
      "18:12: error: cert and key must be set together",
    ],
  ],
  [
    "authorities that are not there",
    "    timeouts:",
    "    tls: { ca: none.pem }\n    timeouts:",
    [
      "18:10: warning: service shop has no https endpoint, so its tls has no effect",
      "18:16: error: the file <folder>/none.pem cannot be used: no such file",
    ],
  ],
  [
    "authorities that are something else",
    "    timeouts:",
    "    tls: { ca: users.txt }\n    timeouts:",
    [
      "18:10: warning: service shop has no https endpoint, so its tls has no effect",
      "18:16: error: the file <folder>/users.txt cannot be used: it contains no certificate (-----BEGIN CERTIFICATE-----)",
    ],
  ],
  [
    "an address as the name in certificates",
    "    timeouts:",
    "    tls: { serverName: 10.0.0.1 }\n    timeouts:",
    [
      "18:10: warning: service shop has no https endpoint, so its tls has no effect",
      '18:24: error: "10.0.0.1" is not a server name: a DNS name such as shop.example.com',
    ],
  ],
];

const good: readonly (readonly [string, string, unknown])[] = [
  ["a name with a port", "{ dns: Shop.Example., port: 8080 }", "http://shop.example.:8080 by DNS"],
  ["a name of SRV records", "{ dns: _http._tcp.shop, scheme: https }", "https://_http._tcp.shop by DNS"],
  ["a unix socket", "unix:/run/shop.sock", "unix:/run/shop.sock"],
  ["a unix socket as a URL", "unix:///run/shop.sock", "unix:/run/shop.sock"],
];

test.each(good)("%s is an endpoint", (_sentence, written, described) => {
  const loaded = load(changed('"http://shop-stable:80"', written));
  if (!loaded.ok) throw new Error(problemsOf(loaded).join("\n"));
  const endpoints = loaded.compiled.services[0]?.versions[0]?.endpoints ?? [];
  expect(endpoints.map(describeSpec)).toEqual([described]);
});

test("certificates that nobody looks at are warned of", () => {
  const https = changed('"http://shop-stable:80"', "https://shop-stable");
  const loaded = load(https.replace("    timeouts:", "    tls: { insecureSkipVerify: true }\n    timeouts:"));
  expect(problemsOf(loaded)).toEqual([
    "18:32: warning: service shop does not verify certificates: anyone on the network path can read and change its traffic; set ca instead",
  ]);
});

test("name servers are addresses, with or without a port", () => {
  const servers = '["10.0.0.10", "10.0.0.10:5353", "fd00::10", "[fd00::10]:5353"]';
  const loaded = load(changed("services:", `dns: { servers: ${servers} }\nservices:`));
  if (!loaded.ok) throw new Error(problemsOf(loaded).join("\n"));
  expect(loaded.compiled.dns).toEqual({ servers: JSON.parse(servers), minTtlMs: 5_000, maxTtlMs: 300_000 });
});

describe("endpoints", () => {
  test.each(cases)("%s", (_sentence, find, replacement, wanted) => {
    expect(problemsOf(load(changed(find, replacement)))).toEqual(wanted);
  });
});
