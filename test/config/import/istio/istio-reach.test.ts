import { describe, expect, test } from "vitest";
import { importManifests } from "../../../../src/config/import/import-manifests.ts";
import { converted, gateway, to, virtualService } from "./istio-manifests.ts";

const object = (kind: string, name: string, spec: string, namespace = "shop") => `
---
apiVersion: networking.istio.io/v1
kind: ${kind}
metadata: { name: ${name}, namespace: ${namespace} }
spec: ${spec}
`;

const shop = (destination: string) => virtualService({ routes: [`{ route: [{ destination: ${destination} }] }`] });
const lostIn = (yaml: string) =>
  importManifests([{ file: "cluster.yaml", text: yaml }]).notes.flatMap((note) =>
    note.lostProtection ? [note.what] : [],
  );

describe("DestinationRules of many hosts", () => {
  const inShop = object(
    "DestinationRule",
    "shop",
    '{ host: "*.shop.svc.cluster.local", trafficPolicy: { tls: { mode: SIMPLE, sni: shop } } }',
  );
  const inMesh = object(
    "DestinationRule",
    "mesh",
    '{ host: "*.local", trafficPolicy: { tls: { mode: ISTIO_MUTUAL } } }',
    "istio-system",
  );

  test("the longest pattern counts where no rule has the host itself", () => {
    const yaml = shop("{ host: web, port: { number: 80 } }") + inMesh + inShop;
    expect(converted(yaml).config).toMatch(/https:\/\/web\.shop:80[\s\S]*serverName: shop/);
    expect(lostIn(yaml)).toEqual([]);
  });

  test("a rule of the host itself counts alone", () => {
    const own = object(
      "DestinationRule",
      "web",
      "{ host: web.shop.svc.cluster.local, trafficPolicy: { connectionPool: { tcp: { connectTimeout: 2s } } } }",
    );
    const { config } = converted(shop("{ host: web, port: { number: 80 } }") + inShop + own);
    expect(config).toContain("http://web.shop:80");
    expect(config).toContain("connect: 2s");
  });

  test("TLS of the mesh is named first", () => {
    expect(lostIn(shop("{ host: web, port: { number: 80 } }") + inMesh).join()).toContain(
      "trafficPolicy.tls (ISTIO_MUTUAL)",
    );
  });

  test("of other namespaces they do not count", () => {
    const { config } = converted(shop("{ host: web.other.svc.cluster.local, port: { number: 80 } }") + inShop);
    expect(config).toContain("http://web.other:80");
  });
});

test("the settings of a port count for a destination without one, if its Service has one port", () => {
  const service =
    "---\napiVersion: v1\nkind: Service\nmetadata: { name: web, namespace: shop }\nspec: { ports: [{ port: 8443 }] }\n";
  const rule = object(
    "DestinationRule",
    "web",
    "{ host: web, trafficPolicy: { portLevelSettings: [{ port: { number: 8443 }, tls: { mode: SIMPLE, sni: web } }] } }",
  );
  expect(converted(service + shop("{ host: web }") + rule).config).toContain("https://web.shop:8443");
});

test("a single destination has all requests, whatever its weight is", () => {
  const { config, notes } = converted(virtualService({ routes: [`{ route: [${to("web", ", weight: 0")}] }`] }));
  expect(config).toContain("http://web.shop:80");
  expect(notes.join()).not.toContain("left out");
});

describe("HTTP/2 without TLS", () => {
  const bound = (destination: string) =>
    virtualService({ gateways: "[web]", routes: [`{ route: [{ destination: ${destination} }] }`] });
  const server = (protocol: string) =>
    gateway("web", [`{ port: { number: 80, protocol: ${protocol} }, hosts: ["*"] }`]);
  const grpc =
    "---\napiVersion: v1\nkind: Service\nmetadata: { name: api, namespace: shop }\nspec: { ports: [{ port: 80, name: grpc }] }\n";

  test.each([
    ["a server for gRPC", server("GRPC"), "web"],
    ["a server for HTTP/2", server("HTTP2"), "web"],
    ["a server for HTTP in front of gRPC", server("HTTP") + grpc, "api"],
  ])("%s", (_what, yaml, host) => {
    expect(converted(yaml + bound(`{ host: ${host}, port: { number: 80 } }`)).config).toContain("h2c: true");
  });

  test("other servers for HTTP have none", () => {
    expect(converted(server("HTTP") + grpc + bound("{ host: web, port: { number: 80 } }")).config).not.toContain("h2c");
  });

  test("without the Gateways a note says where it is needed", () => {
    const { notes } = converted(grpc + shop("{ host: api, port: { number: 80 } }"));
    expect(notes.join("\n")).toContain("clients that speak gRPC without TLS need `h2c: true` on their listener");
  });
});

test("a header that the gateway filled in is removed where its value has no equivalent: clients could send it", () => {
  const headers = `{ request: { set: { x-user: "%DYNAMIC_METADATA(jwt:sub)%", x-env: "$\{env}", x-kind: web } } }`;
  const { config, notes } = converted(virtualService({ routes: [`{ headers: ${headers}, route: [${to("web")}] }`] }));
  expect(config).toMatch(/set:\s+x-kind: web\s+remove:\s+- x-user\s+- x-env/);
  expect(notes.filter((note) => note.includes("it is removed, or clients could send it"))).toHaveLength(2);
});

describe("ServiceEntries", () => {
  test.each([
    [
      "addresses and their ports",
      "endpoints: [{ address: 10.0.0.5 }, { address: 10.0.0.6, ports: { web: 9090 } }]",
      "{ host: db.internal, port: { number: 80 } }",
      /- http:\/\/10\.0\.0\.5:8080\s+- http:\/\/10\.0\.0\.6:9090\s/,
    ],
    ["the port behind the only one", "resolution: DNS", "{ host: db.internal }", /- http:\/\/db\.internal:8080\s/],
  ])("%s", (_what, more, destination, wanted) => {
    const entry = object(
      "ServiceEntry",
      "db",
      `{ hosts: [db.internal], location: MESH_EXTERNAL, ports: [{ number: 80, name: web, protocol: HTTP, targetPort: 8080 }], ${more} }`,
    );
    const { config, notes } = converted(shop(destination) + entry);
    expect(config).toMatch(wanted);
    expect(notes).toEqual([]);
  });

  test("a pattern of hosts counts where no entry has the host itself", () => {
    const ports = "ports: [{ number: 8443, name: web, protocol: HTTP2 }]";
    const yaml =
      shop("{ host: api.partner.com }") + object("ServiceEntry", "any", `{ hosts: ["*.partner.com"], ${ports} }`);
    expect(converted(yaml).config).toMatch(/http:\/\/api\.partner\.com:8443\s/);
    expect(converted(yaml).notes.join()).not.toContain("ServiceEntry");
  });

  test("names that certificates must have are lost, and a selector of Pods is reported", () => {
    const entry = object(
      "ServiceEntry",
      "db",
      '{ hosts: [db.internal], ports: [{ number: 80, name: web, protocol: HTTP2 }], subjectAltNames: ["spiffe://x"], workloadSelector: { labels: { app: db } } }',
    );
    const yaml = shop("{ host: db.internal, port: { number: 80 } }") + entry;
    expect(converted(yaml).config).toContain("protocol: http2");
    expect(lostIn(yaml).join()).toContain("subjectAltNames: not imported");
    expect(converted(yaml).notes.join()).toContain("workloadSelector: ");
  });
});
