import { describe, expect, test } from "vitest";
import { canary } from "./flagger-manifests.ts";
import { documents, httpRoute, importedPlan, ingress } from "./plans.ts";

describe("routes", () => {
  const analysis = "{ interval: 1m, stepWeight: 10, maxWeight: 50 }";

  test("those of the input have the plan, and no others are made", () => {
    const { config, rollout, share } = importedPlan(
      documents(canary(analysis), httpRoute("shop", "shop-primary", "shop-canary")),
    );
    expect(config.match(/- name: /g)).toHaveLength(1);
    expect(rollout).toMatchObject({ baseline: "primary", candidate: "canary", start: "manual" });
    expect(share("canary")).toBe(0);
  });

  test("an Ingress to the Service of Flagger gets the candidate as well", () => {
    const { config } = importedPlan(documents(canary(analysis), ingress("shop", "shop")));
    expect(config).toMatch(/- http:\/\/shop\.shop:80[\s\S]*- http:\/\/shop-canary\.shop:80/);
  });

  test("without any they are as those of the VirtualService that Flagger makes", () => {
    const service =
      "{ port: 9898, hosts: [shop.example.com], match: [{ uri: { prefix: /api/ } }], rewrite: { uri: / }, timeout: 15s, retries: { attempts: 3, retryOn: 5xx }, headers: { request: { add: { x-a: b } } } }";
    const { config, served } = importedPlan(canary(analysis, service));
    expect(config).toMatch(/http:\/\/shop-primary\.shop:9898[\s\S]*http:\/\/shop-canary\.shop:9898/);
    expect(config).toMatch(/attempts: 3[\s\S]*x-a: b[\s\S]*total: 15s/);
    expect(served({ url: "/api/x" })).toBe("shop-primary/primary");
    expect(served({ url: "/other" })).toBeUndefined();
    expect(served({ url: "/api/x", headers: { host: "shop" } })).toBe("shop-primary/primary");
    expect(served({ url: "/api/x", headers: { host: "other.example.com" } })).toBeUndefined();
  });

  test("with gatewayRefs they are as those of an HTTPRoute", () => {
    const service =
      "{ port: 80, gatewayRefs: [{ name: gateway, namespace: infra }], hosts: [shop.example.com], match: [{ uri: { prefix: /api }, headers: { x-v: { prefix: 'a.' } } }], rewrite: { type: ReplacePrefixMatch, uri: / }, backendTimeout: 2s }";
    const { config, served } = importedPlan(canary(analysis, service));
    expect(config).toMatch(/prefix: \/\n[\s\S]*responseHeaders: 2s/);
    expect(served({ url: "/api/x", headers: { "x-v": "a.b" } })).toBe("shop-primary/primary");
    expect(served({ url: "/api/x", headers: { "x-v": "ab" } })).toBeUndefined();
    expect(served({ url: "/x", headers: { "x-v": "a.b" } })).toBeUndefined();
  });

  test("they are on the listeners of their Gateway", () => {
    const gateway = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: gateway, namespace: shop }
spec:
  gatewayClassName: x
  listeners: [{ name: web, port: 443, protocol: HTTPS, tls: { certificateRefs: [{ name: cert }] } }]
`;
    const service = "{ port: 80, gatewayRefs: [{ name: gateway }], hosts: [shop.example.com] }";
    const { config } = importedPlan(documents(gateway, canary(analysis, service)));
    expect(config).toMatch(/match: \{ listeners: \[ https \], hosts: \[ shop\.example\.com \] \}/);
  });

  test("an IngressRoute to the TraefikService that Flagger makes has the plan", () => {
    const route = `
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: { name: web, namespace: shop }
spec:
  entryPoints: [web]
  routes: [{ kind: Rule, match: "Host(\`shop.example.com\`)", services: [{ kind: TraefikService, name: shop, port: 80 }] }]
`;
    const { served, notes } = importedPlan(
      documents(canary("{ interval: 1m, stepWeight: 10 }", "{ port: 80 }", "provider: traefik"), route),
    );
    expect(served({})).toBe("shop-primary/primary");
    expect(served({ headers: { host: "shop" } })).toBeUndefined();
    expect(notes.join("\n")).not.toContain("not in the input");
  });

  test("in a mesh of Gateway API they are for the names of the Service", () => {
    const service =
      "{ port: 80, gatewayRefs: [{ group: core, kind: Service, name: shop, namespace: shop, port: 80 }] }";
    const { served } = importedPlan(canary(analysis, service));
    expect(served({ headers: { host: "shop.shop" } })).toBe("shop-primary/primary");
    expect(served({ headers: { host: "shop.example.com" } })).toBeUndefined();
  });

  test("a match with a part that Perch cannot express is left out of them", () => {
    const service =
      "{ port: 80, gatewayRefs: [{ name: gateway }], hosts: [shop.example.com], match: [{ uri: { prefix: /a }, sourceLabels: { x: y } }, { uri: { prefix: /b } }] }";
    const { served } = importedPlan(canary(analysis, service));
    expect(served({ url: "/a" })).toBeUndefined();
    expect(served({ url: "/b" })).toBe("shop-primary/primary");
  });
});

describe("sessions and mirrors", () => {
  test("session affinity is the pin's cookie", () => {
    const affinity =
      "{ cookieName: flagger-cookie, maxAge: 21600, domain: example.com, path: /app, sameSite: Strict, secure: true, httpOnly: true }";
    const { release } = importedPlan(canary(`{ stepWeight: 10, sessionAffinity: ${affinity} }`));
    expect(release["sticky"]).toEqual({
      cookie: {
        name: "flagger-cookie",
        maxAge: "21600s",
        domain: "example.com",
        path: "/app",
        secretFile: "/run/secrets/perch/sticky-secret",
        sameSite: "strict",
        secure: "always",
      },
    });
  });

  test("two Canaries with one cookie have two", () => {
    const analysis = "{ stepWeight: 10, sessionAffinity: { cookieName: flagger-cookie } }";
    const both = documents(canary(analysis), canary(analysis, "{ port: 80 }", "", "cart"));
    expect(() => importedPlan(both)).toThrow(/2 releases[\s\S]*name: flagger-cookie[\s\S]*maxAge: 86400s/);
  });

  test("requests with safe methods are mirrored", () => {
    const { release, notes } = importedPlan(canary("{ iterations: 5, mirror: true, mirrorWeight: 20 }"));
    expect(release["mirror"]).toEqual({ version: "canary", percent: 20 });
    expect(notes.join("\n")).toContain("analysis.mirror: Perch mirrors requests with safe methods");
  });
});
