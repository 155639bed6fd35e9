import { describe, expect, test } from "vitest";
import { converted, to, virtualService } from "./istio-manifests.ts";

function destinationRule(spec: string, host = "shop"): string {
  return `
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ${host.split(".")[0]}, namespace: shop }
spec: { host: ${host}, ${spec} }
`;
}

const shop = virtualService({ routes: [`{ route: [${to("shop")}] }`] });
const split = virtualService({
  routes: [
    "{ route: [{ destination: { host: shop, subset: v1 }, weight: 50 }, { destination: { host: shop, subset: v2 }, weight: 50 }] }",
  ],
});

describe("a DestinationRule", () => {
  test.each([
    [
      "consecutiveErrors, of the gateway",
      "outlierDetection: { consecutiveErrors: 7 }",
      /consecutiveFailures: 7\s+failures: gateway/,
    ],
    [
      "the default of ejections, 10 %",
      "outlierDetection: { consecutive5xxErrors: 3 }",
      /consecutiveFailures: 3\s+maxEjected: 10%/,
    ],
    [
      "maxRequestsPerConnection",
      "connectionPool: { http: { maxRequestsPerConnection: 1 } }",
      /limits:\s+maxRequestsPerConnection: 1/,
    ],
    [
      "idleTimeout",
      "connectionPool: { http: { idleTimeout: 90s } }",
      /timeouts:\s+connect: 10s\s+responseHeaders: 24d\s+idle: 24d\s+keepAlive: 90s/,
    ],
    ["connectTimeout", "connectionPool: { tcp: { connectTimeout: 30ms } }", /timeouts:\s+connect: 30ms/],
    [
      "a time limit that is longer than Perch's longest",
      "connectionPool: { http: { idleTimeout: 1000h } }",
      /timeouts:\s+connect: 10s\s+responseHeaders: 24d\s+idle: 24d\s+keepAlive: 24d/,
    ],
    [
      "the other limits beside one that Perch does not take",
      "connectionPool: { tcp: { maxConnections: 0 }, http: { http2MaxRequests: 5 } }",
      /limits:\s+maxInFlight: 5/,
    ],
    [
      "ejections, but for a duration that Perch does not take",
      "outlierDetection: { consecutive5xxErrors: 3, baseEjectionTime: 48h }",
      /outlier:\s+consecutiveFailures: 3\s+maxEjected: 10%/,
    ],
    ["HTTP/2 to the upstream", "connectionPool: { http: { h2UpgradePolicy: UPGRADE } }", /protocol: http2/],
    [
      "TLS to the upstream",
      "tls: { mode: SIMPLE, sni: shop.example }",
      /https:\/\/shop\.shop:80[\s\S]*tls:\s+serverName: shop\.example/,
    ],
    [
      "a hash of a header",
      "loadBalancer: { consistentHash: { httpHeaderName: X-User } }",
      /by-header-x-user:\s+type: string\s+from:\s+- header: x-user[\s\S]*balance: hash[\s\S]*sticky:\s+by: by-header-x-user[\s\S]*release: shop/,
    ],
    [
      "a hash of a query parameter",
      "loadBalancer: { consistentHash: { httpQueryParameterName: u } }",
      /from:\s+- query: u[\s\S]*balance: hash[\s\S]*by: by-query-u/,
    ],
    [
      "a hash of a cookie of the application",
      "loadBalancer: { consistentHash: { httpCookie: { name: uid } } }",
      /from:\s+- cookie: uid[\s\S]*balance: hash[\s\S]*by: by-cookie-uid/,
    ],
    [
      "a hash of a cookie that the gateway sets",
      "loadBalancer: { consistentHash: { httpCookie: { name: uid, ttl: 0s } } }",
      /balance: hash[\s\S]*cookie:\s+maxAge: session[\s\S]*release: shop/,
    ],
    [
      "a hash of the client's address",
      "loadBalancer: { consistentHash: { useSourceIp: true } }",
      /balance: hash\n[\s\S]*service: shop\n$/,
    ],
    ["no verification", "tls: { mode: SIMPLE, insecureSkipVerify: true }", /tls:\s+insecureSkipVerify: true/],
  ])("%s", (_what, policy, wanted) => {
    expect(converted(shop + destinationRule(`trafficPolicy: { ${policy} }`)).config).toMatch(wanted);
  });

  test.each([
    ["interval", "outlierDetection: { interval: 5s }", "trafficPolicy.outlierDetection.interval: not imported"],
    [
      "maxRetries",
      "connectionPool: { http: { maxRetries: 1 } }",
      "trafficPolicy.connectionPool.http.maxRetries: not imported",
    ],
    [
      "idleTimeout of tcp",
      "connectionPool: { tcp: { idleTimeout: 1s } }",
      "connectionPool.tcp.idleTimeout: not imported",
    ],
    ["localityLbSetting", "loadBalancer: { localityLbSetting: { enabled: true } }", "localityLbSetting: not imported"],
    ["TLS of the mesh", "tls: { mode: ISTIO_MUTUAL }", "trafficPolicy.tls (ISTIO_MUTUAL) is not imported"],
    [
      "a client certificate",
      "tls: { mode: MUTUAL, credentialName: client }",
      "mount the Secret client, and set `tls.cert` and `tls.key`",
    ],
    ["a CA", "tls: { mode: SIMPLE, caCertificates: /ca.pem }", "mount /ca.pem, and set `tls.ca`"],
    ["names of the server", "tls: { mode: SIMPLE, subjectAltNames: [a] }", "tls.subjectAltNames: not imported"],
    [
      "another port's settings",
      "portLevelSettings: [{ port: { number: 9 }, loadBalancer: { simple: RANDOM } }]",
      "portLevelSettings[0]",
    ],
  ])("%s is named", (_what, policy, note) => {
    expect(converted(shop + destinationRule(`trafficPolicy: { ${policy} }`)).notes.join("\n")).toContain(note);
  });

  test("settings of the port replace the others, and what they leave out is the default", () => {
    const { config } = converted(
      shop +
        destinationRule(
          "trafficPolicy: { loadBalancer: { simple: ROUND_ROBIN }, outlierDetection: { consecutive5xxErrors: 9 }, portLevelSettings: [{ port: { number: 80 }, loadBalancer: { simple: LEAST_REQUEST } }] }",
        ),
    );
    expect(config).toContain("balance: least-in-flight");
    expect(config).not.toContain("outlier:");
  });

  test("a policy of the subset replaces that of the rule, section by section", () => {
    const one = virtualService({ routes: ["{ route: [{ destination: { host: shop, subset: v1 } }] }"] });
    const { config } = converted(
      one +
        destinationRule(
          "trafficPolicy: { loadBalancer: { simple: ROUND_ROBIN }, outlierDetection: { consecutive5xxErrors: 9 } }, subsets: [{ name: v1, trafficPolicy: { loadBalancer: { simple: LEAST_REQUEST } } }]",
        ),
    );
    expect(config).toMatch(/balance: least-in-flight\s+outlier:\s+consecutiveFailures: 9/);
  });

  test("what differs between the versions of a service is named, and written for none", () => {
    const { config, notes } = converted(
      split +
        destinationRule(
          "trafficPolicy: { outlierDetection: { consecutive5xxErrors: 9 } }, subsets: [{ name: v1, trafficPolicy: { loadBalancer: { simple: LEAST_REQUEST } } }, { name: v2 }]",
        ),
    );
    expect(config).not.toContain("balance:");
    expect(config).toContain("consecutiveFailures: 9");
    expect(notes.join("\n")).toContain('balance differs (v1 "least-in-flight", v2 none)');
  });

  test("rules of two hosts with the same first label are told apart", () => {
    const external = virtualService({ routes: [`{ route: [${to("api.example.com")}] }`] });
    const { config } = converted(
      external +
        destinationRule("trafficPolicy: { loadBalancer: { simple: ROUND_ROBIN } }", "api.example.com") +
        destinationRule("trafficPolicy: { loadBalancer: { simple: LEAST_REQUEST } }", "api.example.org"),
    );
    expect(config).toContain("balance: round-robin");
  });
});

test.each([
  ["{ name: grpc-web, port: 80 }", true],
  ["{ name: http2, port: 80 }", true],
  ["{ name: web, port: 80, appProtocol: kubernetes.io/h2c }", true],
  ["{ name: http, port: 80 }", false],
  ["{ name: grpc, port: 81 }", false],
])("a Service with the port %s: HTTP/2 is %s", (port, isHttp2) => {
  const service = `---
apiVersion: v1
kind: Service
metadata: { name: shop, namespace: shop }
spec: { ports: [${port}] }
`;
  expect(converted(shop + service).config.includes("protocol: http2")).toBe(isHttp2);
});
