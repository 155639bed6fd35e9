import { describe, expect, test } from "vitest";
import { describeSpec } from "../../../src/upstream/service-spec.ts";
import { changed, load, problemsOf } from "../valid-config.ts";

/** The case, the text to replace, its replacement, and all problems that are reported. */
const cases: readonly (readonly [string, string, string, readonly string[]])[] = [
  [
    "an unknown balance",
    "    timeouts:",
    "    balance: round_robin\n    timeouts:",
    [
      '18:14: error: expected p2c, round-robin, least-in-flight or hash, found "round_robin"; did you mean "round-robin"?',
    ],
  ],
  [
    "a relative socket path",
    '"http://shop-stable:80"',
    "unix:shop.sock",
    ['16:29: error: "shop.sock" is not an absolute path; write it as in unix:/run/shop.sock'],
  ],
  [
    "a socket path without a scheme",
    '"http://shop-stable:80"',
    "/run/shop.sock",
    ['16:29: error: "/run/shop.sock" has no scheme; write "unix:/run/shop.sock"'],
  ],
  [
    "a socket path that is too long",
    '"http://shop-stable:80"',
    `unix:/${"x".repeat(107)}`,
    [`16:29: error: "/${"x".repeat(59)}…" is too long: the maximum for a unix socket is 107 bytes`],
  ],
  [
    "a DNS name without a port",
    '["http://shop-stable:80"]',
    "[{ dns: shop-headless }]",
    ["16:29: error: an endpoint by DNS needs a port, or the name of an SRV record such as _http._tcp.shop"],
  ],
  [
    "an address instead of a name",
    '["http://shop-stable:80"]',
    "[{ dns: 10.0.0.1, port: 8080 }]",
    ['16:36: error: "10.0.0.1" is an IP address, not a DNS name; write "http://10.0.0.1:8080"'],
  ],
  [
    "an origin instead of a name",
    '["http://shop-stable:80"]',
    '[{ dns: "http://shop", port: 80 }]',
    ['16:36: error: "http://shop" is not a DNS name: use letters, digits, dashes and underscores between dots'],
  ],
  [
    "an invalid scheme",
    '["http://shop-stable:80"]',
    "[{ dns: shop, port: 80, scheme: h2c }]",
    ['16:60: error: expected http or https, found "h2c"'],
  ],
  [
    "a Kubernetes Service beside a DNS name",
    '["http://shop-stable:80"]',
    "[{ dns: shop, port: 80, kubernetes: { service: shop } }]",
    ['16:52: error: "dns" and "kubernetes" cannot be used together in an endpoint by DNS or Kubernetes'],
  ],
  [
    "neither a DNS name nor a Kubernetes Service",
    '["http://shop-stable:80"]',
    "[{ port: 80 }]",
    ["16:29: error: an endpoint by DNS or Kubernetes needs one of the keys dns, kubernetes"],
  ],
  [
    "a port beside a Kubernetes Service",
    '["http://shop-stable:80"]',
    "[{ kubernetes: { service: shop }, port: 80 }]",
    ["16:68: error: port is for endpoints by DNS; write { kubernetes: { service: shop, port: 80 } }"],
  ],
  [
    "a Kubernetes Service by its DNS name",
    '["http://shop-stable:80"]',
    "[{ kubernetes: { service: shop.default.svc } }]",
    ['16:54: error: "shop.default.svc" is not the name of a Service: use a-z, 0-9 and dashes, at most 63 characters'],
  ],
  [
    "no Service",
    '["http://shop-stable:80"]',
    "[{ kubernetes: { namespace: shop } }]",
    ['16:43: error: a Kubernetes Service needs the key "service"'],
  ],
  [
    "a port that no Service has",
    '["http://shop-stable:80"]',
    "[{ kubernetes: { service: shop, port: 70000 } }]",
    ["16:66: error: 70000 is not a valid port"],
  ],
  [
    "a port's name that no Service has",
    '["http://shop-stable:80"]',
    "[{ kubernetes: { service: shop, port: HTTP } }]",
    ['16:66: error: "HTTP" is not a port\'s name or number; write it as in port: http, or port: 8080'],
  ],
  [
    "a name server given by name",
    "services:",
    "dns: { servers: [dns.example] }\nservices:",
    ['12:18: error: "dns.example" is not a name server\'s address; write it as in 10.0.0.10 or 10.0.0.10:53'],
  ],
  [
    "an invalid port of a name server",
    "services:",
    'dns: { servers: ["10.0.0.10:70000"] }\nservices:',
    ["12:18: error: 70000 is not a valid port"],
  ],
  [
    "a minimum above the maximum",
    "services:",
    "dns: { minTtl: 1m, maxTtl: 30s }\nservices:",
    ["12:16: error: minTtl (1m) is above maxTtl (30s)"],
  ],
  [
    "a client certificate without its key",
    "    timeouts:",
    "    tls: { cert: shop.pem }\n    timeouts:",
    [
      "18:12: error: cert and key must be set together",
      "18:10: warning: service shop has no https endpoint, so its tls has no effect",
    ],
  ],
  [
    "a missing CA file",
    "    timeouts:",
    "    tls: { ca: none.pem }\n    timeouts:",
    [
      "18:16: error: the file <folder>/none.pem cannot be used: no such file",
      "18:10: warning: service shop has no https endpoint, so its tls has no effect",
    ],
  ],
  [
    "a CA file without certificates",
    "    timeouts:",
    "    tls: { ca: users.txt }\n    timeouts:",
    [
      "18:16: error: the file <folder>/users.txt cannot be used: it contains no certificate (-----BEGIN CERTIFICATE-----)",
      "18:10: warning: service shop has no https endpoint, so its tls has no effect",
    ],
  ],
  [
    "an address as the server name",
    "    timeouts:",
    "    tls: { serverName: 10.0.0.1 }\n    timeouts:",
    [
      '18:24: error: "10.0.0.1" is not a server name: a DNS name such as shop.example.com',
      "18:10: warning: service shop has no https endpoint, so its tls has no effect",
    ],
  ],
];

const good: readonly (readonly [string, string, unknown])[] = [
  ["a name with a port", "{ dns: Shop.Example., port: 8080 }", "http://shop.example.:8080 by DNS"],
  ["a name of SRV records", "{ dns: _http._tcp.shop, scheme: https }", "https://_http._tcp.shop by DNS"],
  ["a Service", "{ kubernetes: { service: shop } }", "http://shop by EndpointSlices"],
  [
    "a Service's port by name",
    "{ kubernetes: { service: shop, namespace: web, port: https }, scheme: https }",
    "https://shop.web:https by EndpointSlices",
  ],
  ["a Service's port by number", "{ kubernetes: { service: shop, port: 8080 } }", "http://shop:8080 by EndpointSlices"],
  ["a unix socket", "unix:/run/shop.sock", "unix:/run/shop.sock"],
  ["a unix socket as a URL", "unix:///run/shop.sock", "unix:/run/shop.sock"],
];

test.each(good)("%s is an endpoint", (_sentence, written, described) => {
  const loaded = load(changed('"http://shop-stable:80"', written));
  if (!loaded.ok) throw new Error(problemsOf(loaded).join("\n"));
  const endpoints = loaded.compiled.services[0]?.versions[0]?.endpoints ?? [];
  expect(endpoints.map(describeSpec)).toEqual([described]);
});

test("insecureSkipVerify gives a warning", () => {
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
