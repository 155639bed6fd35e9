import { describe, expect, test } from "vitest";
import { importManifests } from "../../../../src/config/import/import-manifests.ts";
import { imported } from "../asked.ts";
import { ingressRoute, object, rule } from "./traefik-manifests.ts";

describe("services", () => {
  const weighted = (more = "") =>
    ingressRoute([rule("PathPrefix(`/`)", "services: [{ kind: TraefikService, name: split }]")]) +
    object(
      "TraefikService",
      "split",
      `{ weighted: { services: [{ name: shop-v1, port: 80, weight: 3 }, { name: shop-v2, port: 80, weight: 1 }]${more} } }`,
    );

  test("weights of a TraefikService", () => {
    const { share, notes } = imported(weighted());
    expect(Math.abs(share("v2") - 0.25)).toBeLessThan(0.05);
    expect(notes.join("\n")).toContain("the weights applied to each request separately");
  });

  test("weights of a route's services, and of TraefikServices within one another", () => {
    const nested =
      weighted().replace(
        "services: [{ kind: TraefikService, name: split }]",
        "services: [{ kind: TraefikService, name: outer }]",
      ) +
      object(
        "TraefikService",
        "outer",
        "{ weighted: { services: [{ kind: TraefikService, name: split, weight: 1 }, { name: shop-v3, port: 80, weight: 1 }] } }",
      );
    const { share } = imported(nested);
    expect([Math.abs(share("v3") - 0.5) < 0.05, Math.abs(share("v2") - 0.125) < 0.05]).toEqual([true, true]);
  });

  test("a sticky cookie keeps users on their version", () => {
    const { config, notes } = imported(
      weighted(", sticky: { cookie: { name: mine, secure: true, sameSite: strict, httpOnly: true } }"),
    );
    expect(config).toMatch(
      /whenWeightsChange: hold\s+onWeightZero: evict\s+cookie:\s+name: mine\s+maxAge: session\s+secure: always\s+sameSite: strict/,
    );
    expect(notes).toEqual([]);
  });

  test("mirroring, to a version of weight zero", () => {
    const { config } = imported(
      ingressRoute([rule("PathPrefix(`/`)", "services: [{ kind: TraefikService, name: copy }]")]) +
        object(
          "TraefikService",
          "copy",
          "{ mirroring: { name: shop-v1, port: 80, mirrors: [{ name: shop-v2, port: 80, percent: 20 }] } }",
        ),
    );
    expect(config).toMatch(/split:\s+v1: 1\s+v2: 0\s+mirror:\s+version: v2\s+percent: 20/);
  });

  test("mirroring of one of several services is a smaller share of all", () => {
    const { config, notes } = imported(
      ingressRoute([rule("PathPrefix(`/`)", "services: [{ kind: TraefikService, name: split }]")]) +
        object(
          "TraefikService",
          "split",
          "{ weighted: { services: [{ name: a, port: 80, weight: 3 }, { kind: TraefikService, name: copy, weight: 1 }] } }",
        ) +
        object(
          "TraefikService",
          "copy",
          "{ mirroring: { name: b, port: 80, mirrors: [{ name: c, port: 80, percent: 10 }] } }",
        ),
    );
    expect(config).toMatch(/split:\s+a: 3\s+b: 1\s+c: 0\s+mirror:\s+version: c\s+percent: 2\.5\n/);
    expect(notes.join("\n")).toContain("10 % of the requests of one of several services were mirrored to c");
  });

  test.each([
    ["a scheme", "{ name: shop, port: 8443, scheme: https }", /https:\/\/shop\.shop:8443/],
    ["port 443", "{ name: shop, port: 443 }", /https:\/\/shop\.shop:443/],
    ["h2c", "{ name: shop, port: 80, scheme: h2c }", /protocol: http2/],
    ["the upstream's own host", "{ name: shop, port: 80, passHostHeader: false }", /rewrite:\s+host: upstream/],
    [
      "no limit on the time to an answer",
      "{ name: shop, port: 80 }",
      /timeouts:\s+connect: 30s\s+responseHeaders: 24d/,
    ],
    [
      "a health check",
      "{ name: shop, port: 80, healthCheck: { path: /ok, interval: 10s } }",
      /health:\s+path: \/ok\s+interval: 10s/,
    ],
  ])("%s", (_what, service, wanted) => {
    expect(imported(ingressRoute([rule("PathPrefix(`/`)", `services: [${service}]`)])).config).toMatch(wanted);
  });

  test("a ServersTransport: verification of certificates, names and times", () => {
    const service = "services: [{ name: shop, port: 443, serversTransport: inner }]";
    const { config, notes } = imported(
      ingressRoute([rule("PathPrefix(`/`)", service)]) +
        object(
          "ServersTransport",
          "inner",
          "{ insecureSkipVerify: true, serverName: inner.example, forwardingTimeouts: { dialTimeout: 5s } }",
        ),
    );
    expect(config).toMatch(/connect: 5s/);
    expect(config).toMatch(/tls:\s+insecureSkipVerify: true\s+serverName: inner\.example/);
    expect(notes).toEqual([]);
  });

  test.each([["rootCAsSecrets: [roots]"], ["rootCAs: [{ secret: roots }]"]])("root certificates: %s", (roots) => {
    const service = "services: [{ name: shop, port: 443, serversTransport: inner }]";
    const { config, notes } = imported(
      ingressRoute([rule("PathPrefix(`/`)", service)]) + object("ServersTransport", "inner", `{ ${roots} }`),
    );
    expect(config).toMatch(/tls:\s+ca: \/etc\/perch\/tls\/shop-roots\/ca\.crt/);
    expect(notes).toEqual([]);
  });

  test("verification is skipped only if it was for all versions", () => {
    const services = "services: [{ name: shop-v1, port: 443 }, { name: shop-v2, port: 443, serversTransport: inner }]";
    const { config } = imported(
      ingressRoute([rule("PathPrefix(`/`)", services)]) +
        object("ServersTransport", "inner", "{ insecureSkipVerify: true }"),
    );
    expect(config).not.toContain("insecureSkipVerify");
  });

  test("a session on one Pod is noted", () => {
    const service = "services: [{ name: shop, port: 80, sticky: { cookie: {} } }]";
    expect(imported(ingressRoute([rule("PathPrefix(`/`)", service)])).notes.join("\n")).toContain(
      "kept a client on one Pod",
    );
  });

  const only = (weights: string) =>
    importManifests([
      {
        file: "x",
        text:
          ingressRoute([rule("PathPrefix(`/`)", "services: [{ kind: TraefikService, name: split }]")]) +
          object("TraefikService", "split", `{ weighted: { services: [${weights}] } }`),
      },
    ]);

  test("a TraefikService whose only service has no weight serves nobody", () => {
    expect(only("{ name: shop, port: 80, weight: 0 }")).toMatchObject({ ok: false });
  });

  test("a negative weight is none", () => {
    const result = only("{ name: a, port: 80, weight: -1 }, { name: b, port: 80, weight: 1 }");
    expect(result).toMatchObject({ ok: true, defects: [] });
    expect(result.ok && result.config).toMatch(/split:\s+b: 1\s+a: 0/);
  });

  test("a Service of type ExternalName is its host", () => {
    const external = `
---
apiVersion: v1
kind: Service
metadata: { name: shop, namespace: shop }
spec: { type: ExternalName, externalName: api.example.net, ports: [{ port: 443 }] }
`;
    const { config } = imported(
      ingressRoute([rule("PathPrefix(`/`)", "services: [{ name: shop, port: 443 }]")]) + external,
    );
    expect(config).toContain("https://api.example.net:443");
  });
});
