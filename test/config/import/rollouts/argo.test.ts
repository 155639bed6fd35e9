import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { imported } from "../asked.ts";
import { canary, rollout } from "./argo-manifests.ts";
import { documents, httpRoute, importedPlan, ingress, service } from "./plans.ts";

describe("a plan starts by hand, from the baseline, with a comparison of errors", () => {
  test("also if the input has the weights of the moment", () => {
    const route = httpRoute("shop", "shop-stable", "shop-canary").replace("weight: 0", "weight: 25");
    const { rollout: plan, release, share, notes } = importedPlan(documents(canary("{ setWeight: 20 }"), route));
    expect(plan).toMatchObject({ id: "1", baseline: "stable", candidate: "canary", start: "manual" });
    expect(release["split"]).toEqual({ stable: 125, canary: 0 });
    expect(share("canary")).toBe(0);
    expect(notes.join("\n")).toContain("canary has a weight of 25 in the input");
  });
});

describe("where the plan goes", () => {
  const routing = (text: string) => canary("{ setWeight: 20 }", `, trafficRouting: { ${text} }`);

  test("nginx: the canary Service joins the named Ingress, and no other one", () => {
    const input = documents(
      routing("nginx: { stableIngress: shop }"),
      ingress("shop", "shop-stable"),
      ingress("admin", "shop-stable", "admin.example.com"),
    );
    const { config, served, name } = importedPlan(input);
    expect(name).toBe("shop");
    expect(config).toMatch(/canary:\s+endpoints:\s+- http:\/\/shop-canary\.shop:80/);
    expect(config).toMatch(/name: admin\n[\s\S]*?service: shop-stable\n(?! +release)/);
    expect(served({})).toBe("shop-stable/stable");
    expect(served({ headers: { host: "admin.example.com" } })).toBe("shop-stable/stable");
  });

  test("nginx: headers of the canary Ingress are a ring, and never keeps the baseline", () => {
    const annotations = "additionalIngressAnnotations: { canary-by-header: X-Canary, canary-by-cookie: beta }";
    const input = documents(routing(`nginx: { stableIngress: shop, ${annotations} }`), ingress("shop", "shop-stable"));
    const { rollout: plan, release } = importedPlan(input);
    expect(plan["steps"]).toEqual([
      { when: { header: { "x-canary": "always" } }, weight: 100, hold: "0s" },
      { when: { cookie: { beta: "always" } }, weight: 100, hold: "0s" },
      { weight: 20, hold: "0s" },
    ]);
    expect(release["rules"]).toEqual([
      { name: "not-by-header", when: { header: { "x-canary": "never" } }, use: "stable" },
      { name: "not-by-cookie", when: { cookie: { beta: "never" } }, use: "stable" },
    ]);
  });

  test("nginx: rules of the canary Ingress that Argo made become its ring, and names stay unique", () => {
    const annotated = (canaryOf: string) =>
      ingress("shop-shop-canary", "shop-canary").replace(
        "namespace: shop",
        `namespace: shop, annotations: { nginx.ingress.kubernetes.io/canary: "true", nginx.ingress.kubernetes.io/canary-weight: "20", nginx.ingress.kubernetes.io/canary-by-header: ${canaryOf} }`,
      );
    const input = (header: string) =>
      documents(
        routing("nginx: { stableIngress: shop, additionalIngressAnnotations: { canary-by-header: X-Canary } }"),
        ingress("shop", "shop-stable"),
        annotated(header),
      );
    const same = importedPlan(input("X-Canary"));
    expect(same.release["rules"]).toEqual([
      { name: "not-by-header", when: { header: { "x-canary": "never" } }, use: "stable" },
    ]);
    expect(same.served({ headers: { "x-canary": "always" } })).toBe("shop-stable/stable");
    expect(importedPlan(input("X-Other")).release["rules"]).toMatchObject([
      { name: "canary-by-header" },
      { name: "not-by-header" },
      { name: "not-by-header-of-rollout" },
    ]);
  });

  test("Gateway API: the release of the HTTPRoute has it, and one with equal weights does not", () => {
    const plugin = 'plugins: { "argoproj-labs/gatewayAPI": { httpRoute: shop, namespace: shop } }';
    const input = documents(
      routing(plugin),
      httpRoute("shop", "shop-stable", "shop-canary"),
      httpRoute("other", "other-stable", "other-canary"),
    );
    const { config, name } = importedPlan(input);
    expect(config.match(new RegExp(`release: ${name}\\n?`, "g"))).toHaveLength(1);
    expect(config.match(/split:/g)).toHaveLength(2);
  });

  test("each of several Rollouts gets a release of its own, though the weights in the input are the same", () => {
    const names = ["a", "b", "c"];
    const rolloutOf = (name: string) =>
      rollout(
        `{ canary: { stableService: ${name}-stable, canaryService: ${name}-canary, steps: [{ setWeight: 20 }] } }`,
        name,
      );
    const input = names.flatMap((name) => [rolloutOf(name), httpRoute(name, `${name}-stable`, `${name}-canary`)]);
    const { config, notes } = imported(documents(...input));
    expect(config.match(/rollout:/g)).toHaveLength(3);
    for (const name of names) expect(config).toMatch(new RegExp(`name: ${name}\\n.*\\n.*\\n    release: ${name}\\n?`));
    expect(notes.join("\n")).not.toContain("another plan");
  });

  test("Istio: the named routes of the VirtualService, with subsets as Services", () => {
    const istio =
      "istio: { virtualService: { name: shop, routes: [primary] }, destinationRule: { name: shop, canarySubsetName: new, stableSubsetName: old } }";
    const to = (subset: string, weight: number) =>
      `{ destination: { host: shop, port: { number: 80 }, subset: ${subset} }, weight: ${weight} }`;
    const virtualService = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: shop, namespace: shop }
spec:
  hosts: [shop.example.com]
  http:
    - { name: fixed, match: [{ uri: { exact: /fixed } }], route: [${to("old", 100)}, ${to("new", 0)}] }
    - { name: primary, route: [${to("old", 100)}, ${to("new", 0)}] }
`;
    const { config, rollout: plan, name } = importedPlan(documents(routing(istio), virtualService));
    expect(plan).toMatchObject({ baseline: "old", candidate: "new" });
    const [, fixed, primary] =
      /name: fixed\n[\s\S]*?release: (\S+)[\s\S]*name: primary\n[\s\S]*?release: (\S+)/.exec(config) ?? [];
    expect(fixed).toBe("fixed");
    expect(primary).toBe(name);
    expect(primary).not.toBe(fixed);
  });

  test("Istio: a route to the stable subset alone gets the other subset's Service", () => {
    const istio =
      "istio: { virtualService: { name: shop }, destinationRule: { name: shop, canarySubsetName: new, stableSubsetName: old } }";
    const virtualService = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: shop, namespace: shop }
spec:
  hosts: [shop.example.com]
  http: [{ route: [{ destination: { host: web, port: { number: 80 }, subset: old } }] }]
`;
    const { config } = importedPlan(documents(routing(istio), virtualService));
    expect(config).toMatch(/- http:\/\/web-old\.shop:80\s+canary:\s+endpoints:\s+- http:\/\/web-new\.shop:80/);
  });

  test("Traefik: the routes to both Services have it", () => {
    const ingressRoute = (name: string, path: string, to: string) => `
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: { name: ${name}, namespace: shop }
spec: { entryPoints: [web], routes: [{ kind: Rule, match: "Host(\`shop.example.com\`) && PathPrefix(\`${path}\`)", services: [${to}] }] }
`;
    const traefikService = `
apiVersion: traefik.io/v1alpha1
kind: TraefikService
metadata: { name: shop, namespace: shop }
spec: { weighted: { services: [{ name: shop-stable, port: 80 }, { name: shop-canary, port: 80 }] } }
`;
    const { config, name } = importedPlan(
      documents(
        routing("traefik: { weightedTraefikServiceName: shop }"),
        traefikService,
        ingressRoute("shop", "/", "{ kind: TraefikService, name: shop }"),
        ingressRoute("fixed", "/fixed", "{ name: shop-stable, port: 80 }"),
      ),
    );
    expect(config.match(new RegExp(`release: ${name}\\n?`, "g"))).toHaveLength(1);
    expect(config.match(/- http:\/\/shop-canary\.shop/g)).toHaveLength(1);
    expect(config.match(/- name: /g)?.length).toBeGreaterThan(1);
  });

  test("Traefik: routes of another TraefikService with the same Services keep their weights", () => {
    const yaml = `
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: { name: shop, namespace: shop }
spec:
  entryPoints: [web]
  routes:
    - { kind: Rule, match: "Host(\`shop.example.com\`)", services: [{ kind: TraefikService, name: shop }] }
    - { kind: Rule, match: "Host(\`ab.example.com\`)", services: [{ kind: TraefikService, name: ab }] }
`;
    const target = (name: string) => `
apiVersion: traefik.io/v1alpha1
kind: TraefikService
metadata: { name: ${name}, namespace: shop }
spec: { weighted: { services: [{ name: shop-stable, port: 80, weight: 1 }, { name: shop-canary, port: 80, weight: 1 }] } }
`;
    const routing = ", trafficRouting: { traefik: { weightedTraefikServiceName: shop } }";
    const { share } = importedPlan(documents(canary("{ setWeight: 10 }", routing), yaml, target("shop"), target("ab")));
    expect(share("canary")).toBe(0);
    expect(Math.abs(share("canary", { headers: { host: "ab.example.com" } }) - 0.5)).toBeLessThan(0.05);
  });

  test.each([
    ["one", "grpcRoute: shop, httpRoute: web"],
    ["several", "grpcRoutes: [{ name: shop }], httpRoutes: [{ name: web }]"],
  ])("Gateway API: GRPCRoutes have it as HTTPRoutes do, %s", (_how, named) => {
    const grpc = httpRoute("shop", "shop-stable", "shop-canary").replace("HTTPRoute", "GRPCRoute");
    const routing = `, trafficRouting: { plugins: { argoproj-labs/gatewayAPI: { ${named} } } }`;
    const yaml = documents(canary("{ setWeight: 10 }", routing), grpc, httpRoute("web", "shop-stable", "shop-canary"));
    const { config, notes } = imported(yaml);
    expect(config.match(/candidate: canary/g)).toHaveLength(1);
    expect(config.match(/release: shop\n/g)).toHaveLength(2);
    expect(notes.join("\n")).not.toContain("grpcRoute");
  });

  test("without any route it is for the names of the Service", () => {
    const { served, config, notes } = importedPlan(
      documents(canary("{ setWeight: 20 }"), service("shop-stable"), service("shop-canary")),
    );
    expect(config).toContain("http://shop-canary.shop:8080");
    expect(served({ headers: { host: "shop-stable.shop" } })).toBe("shop-stable/stable");
    expect(served({ headers: { host: "shop.example.com" } })).toBeUndefined();
    expect(notes.join("\n")).toContain("no route of the input leads to its Services");
  });

  test("with an Ingress of another controller it is for the names of the root Service", () => {
    const alb = ingress("shop", "shop-root").replace("ingressClassName: nginx", "ingressClassName: alb");
    const { served, notes } = importedPlan(
      documents(routing("alb: { ingress: shop, servicePort: 80, rootService: shop-root }"), alb),
    );
    expect(served({ headers: { host: "shop-root.shop" } })).toBe("shop-stable/stable");
    expect(served({ headers: { host: "shop.example.com" } })).toBeUndefined();
    expect(notes.join("\n")).toContain("Ingress shop/shop is not in the input, or has no route that was imported");
  });

  test("a split by the number of Pods needs a second Service beside the one that selects them", () => {
    const strategy = "{ canary: { steps: [{ setWeight: 25 }, { pause: {} }] } }";
    const { config, notes } = importedPlan(documents(rollout(strategy), service("web"), ingress("web", "web")));
    expect(config).toMatch(
      /stable:\s+endpoints:\s+- http:\/\/web\.shop:80\s+canary:\s+endpoints:\s+- http:\/\/web-canary\.shop:80/,
    );
    expect(notes.join("\n")).toContain("create web-canary, and let web select the stable Pods only");
  });

  test("two Rollouts for one route: the second is left out, and named first", () => {
    const both = documents(
      canary("{ setWeight: 20 }, { pause: {} }"),
      canary("{ setWeight: 30 }, { pause: {} }").replace("name: shop,", "name: second,"),
    );
    expect(importedPlan(documents(both, httpRoute("shop", "shop-stable", "shop-canary"))).notes[0]).toBe(
      "Rollout shop/second: another plan moves its routes already (release shop): this one is left out",
    );
  });
});

test("the example of the page is what the import makes of it", () => {
  const page = readFileSync(new URL("../../../../docs/coming-from/argo-and-flagger.md", import.meta.url), "utf8");
  const [original = "", result = ""] = Array.from(page.matchAll(/```yaml\n([\s\S]*?)```/g), ([, block = ""]) => block);
  const { release } = importedPlan(documents(original, ingress("shop", "shop-stable")));
  expect(release).toMatchObject(parse(result) as object);
});
