import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { imported } from "../asked.ts";
import { documents, httpRoute, importedPlan, ingress, service } from "./plans.ts";

/** A Rollout of the namespace shop with this strategy. */
function rollout(strategy: string, name = "shop"): string {
  return `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: { name: ${name}, namespace: shop }
spec:
  replicas: 3
  selector: { matchLabels: { app: shop } }
  template: { metadata: { labels: { app: shop } }, spec: { containers: [{ name: shop, image: "shop:1" }] } }
  strategy: ${strategy}
`;
}

const canary = (steps: string, others = "") =>
  rollout(`{ canary: { stableService: shop-stable, canaryService: shop-canary, steps: [${steps}]${others} } }`);

/** Without what every plan has. */
const stepsOf = (steps: string, others = "") =>
  importedPlan(documents(canary(steps, others), service("shop-stable"), service("shop-canary"))).rollout["steps"];

describe("steps", () => {
  test.each([
    [
      "a pause with a duration is the hold of its weight",
      "{ setWeight: 20 }, { pause: { duration: 10m } }, { setWeight: 50 }, { pause: { duration: 90 } }, { pause: { duration: 1h30m } }",
      [
        { weight: 20, hold: "10m" },
        { weight: 50, hold: "5490s" },
      ],
    ],
    [
      "a pause without one waits for a person",
      "{ setWeight: 20 }, { pause: {} }, { pause: { duration: 30 } }",
      [{ weight: 20, hold: "0s" }, "pause", { weight: 20, hold: "30s" }],
    ],
    [
      "a weight that goes down lowers the steps before it: nobody gets the candidate sooner",
      "{ setWeight: 60 }, { pause: { duration: 1m } }, { setWeight: 10 }, { pause: { duration: 1m } }, { setWeight: 80 }",
      [
        { weight: 10, hold: "1m" },
        { weight: 10, hold: "1m" },
        { weight: 80, hold: "0s" },
      ],
    ],
    [
      "header routes are rings, and their entries alternatives",
      "{ setHeaderRoute: { name: a, match: [{ headerName: X-Beta, headerValue: { exact: 'yes' } }, { headerName: version, headerValue: { regex: '2\\..*' } }] } }, { pause: {} }, { setWeight: 10 }",
      [
        {
          when: {
            any: [{ header: { "x-beta": { equals: "yes" } } }, { header: { version: { regex: "^(?:2\\..*)$" } } }],
          },
          weight: 100,
          hold: "0s",
        },
        "pause",
        { weight: 10, hold: "0s" },
      ],
    ],
    [
      "what has no equivalent is a pause",
      "{ setWeight: 10 }, { experiment: { duration: 1h, templates: [] } }, { analysis: { templates: [{ templateName: nowhere }] } }, { plugin: { name: x } }",
      [{ weight: 10, hold: "0s" }, "pause", "pause", "pause"],
    ],
    [
      "pauses alone give nobody anything, so the end is a step",
      "{ pause: {} }",
      ["pause", { weight: 100, hold: "0s" }],
    ],
    ["no steps give everyone the candidate", "", [{ weight: 100, hold: "0s" }]],
  ])("%s", (_, steps, wanted) => {
    expect(stepsOf(steps)).toEqual(wanted);
  });

  test("weights are shares of maxTrafficWeight", () => {
    const routing = ", trafficRouting: { maxTrafficWeight: 1000, nginx: { stableIngress: shop } }";
    expect(stepsOf("{ setWeight: 25 }", routing)).toEqual([{ weight: 2.5, hold: "0s" }]);
  });

  test("what is lost or differs is named", () => {
    const steps =
      "{ experiment: { duration: 1h } }, { setCanaryScale: { weight: 25 } }, { setHeaderRoute: { name: a } }";
    const { notes } = importedPlan(canary(steps, ", analysis: { templates: [{ templateName: nowhere }] }"));
    expect(notes.slice(0, 3)).toEqual([
      "Rollout shop/shop: its analysis nowhere is not checked: the input has no AnalysisTemplate of this name",
      "Rollout shop/shop: strategy.canary.analysis: some of its metrics are not checked (see the other notes)",
      "Rollout shop/shop: strategy.canary.steps[0].experiment: no equivalent; the plan pauses there, until a person resumes it",
    ]);
    expect(notes.join("\n")).toMatch(
      /steps\[1\]\.setCanaryScale.*\n.*steps\[2\]\.setHeaderRoute: the header route a ends/,
    );
  });

  test.each([
    ["{ setWeight: 20 }, { setWeight: 40 }, { pause: {} }", true],
    ["{ setWeight: 20 }, { pause: {} }, { setWeight: 40 }", true],
    ["{ setWeight: 20 }, { pause: {} }, { setWeight: 40 }, { pause: { duration: 1m } }, { setWeight: 100 }", false],
  ])("a weight that ends at once is named: %s", (steps, isNamed) => {
    expect(importedPlan(canary(steps)).notes.some((note) => note.includes("ends at once here"))).toBe(isNamed);
  });

  test("a key that is not known is named", () => {
    const { notes } = importedPlan(canary("{ setWeight: 10, twist: 1 }", ", progress: 3"));
    expect(notes).toContain("Rollout shop/shop: strategy.canary.steps[0].twist: not imported");
    expect(notes).toContain("Rollout shop/shop: strategy.canary.progress: not imported");
  });
});

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

describe("analyses", () => {
  const template = (metrics: string, others = "") => `
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: { name: rate, namespace: shop }
spec:
  args: [{ name: service }, { name: least, value: "0.95" }]
  metrics: [${metrics}]${others}
`;
  const prometheus = (query: string, address = "http://prometheus:9090") =>
    `provider: { prometheus: { address: "${address}", query: '${query}' } }`;
  const analysis = "{ templates: [{ templateName: rate }], args: [{ name: service, value: shop }] }";
  const inStep = `{ setWeight: 20 }, { analysis: ${analysis} }`;
  const planOf = (metrics: string, others = "") =>
    importedPlan(documents(canary(inStep), template(metrics), others || service("shop-stable")));

  test("a query of an application becomes a check, and its measurements the time of the step", () => {
    const { rollout: plan, notes } = planOf(
      `{ name: orders, interval: 1m, count: 5, initialDelay: 30s, failureLimit: 2, successCondition: 'result[0] >= {{args.least}}', ${prometheus('sum(orders{service="{{args.service}}"})')} }`,
    );
    expect(plan["steps"]).toEqual([{ weight: 20, hold: "330s" }]);
    expect(plan["checks"]).toEqual([
      { name: "errors", metric: "errors" },
      {
        name: "orders",
        prometheus: { url: "http://prometheus:9090", query: 'sum(orders{service="shop"})', atLeast: 0.95 },
        every: "1m",
        failures: 3,
      },
    ]);
    expect(notes.join("\n")).toContain("3 bad values in a row fail, where 3 in all did");
  });

  test.each([
    ["success: 'result[0] < 5'", "successCondition: 'result[0] < 5'", { atMost: 5 }],
    [
      "with guards",
      "successCondition: 'len(result) == 0 || (!isNaN(result[0]) && result[0] >= 0.9)'",
      { atLeast: 0.9 },
    ],
    ["a range", "successCondition: 'result[0] >= 1 && result[0] <= 3'", { atLeast: 1, atMost: 3 }],
    ["a number first", "successCondition: '3 > result'", { atMost: 3 }],
    ["zero", "successCondition: 'result[0] == 0'", { atLeast: 0, atMost: 0 }],
    ["failure", "failureCondition: 'result[0] < 0.95'", { atLeast: 0.95 }],
    ["either failure", "failureCondition: 'result[0] < 1 || result[0] > 9'", { atLeast: 1, atMost: 9 }],
    ["both", "successCondition: 'result[0] >= 0.95', failureCondition: 'result[0] < 0.8'", { atLeast: 0.95 }],
  ])("a condition: %s", (_, condition, limits) => {
    const { rollout: plan } = planOf(`{ name: orders, ${condition}, ${prometheus("orders")} }`);
    expect(plan["checks"]).toMatchObject([{}, { prometheus: { query: "orders", ...limits } }]);
  });

  test("a rate in the series of the gateway that Perch replaces is judged by Perch's own answers", () => {
    const success =
      'sum(irate(istio_requests_total{destination_service=~"{{args.service}}",response_code!~"5.*"}[5m])) / sum(irate(istio_requests_total{destination_service=~"{{args.service}}"}[5m]))';
    const slow =
      'histogram_quantile(0.95, sum(rate(nginx_ingress_controller_request_duration_seconds_bucket{service="{{args.service}}"}[5m])) by (le))';
    const { rollout: plan, notes } = planOf(
      [
        `{ name: Success Rate, interval: 5m, count: 2, successCondition: 'result[0] >= 0.99', ${prometheus(success)} }`,
        `{ name: latency, failureCondition: 'result[0] >= 0.5', ${prometheus(slow)} }`,
      ].join(", "),
    );
    expect(plan["checks"]).toEqual([
      { name: "errors", metric: "errors" },
      { name: "success-rate", metric: "errors", atMost: "1%" },
      { name: "slow", metric: "slow", over: "500ms" },
      { name: "latency", metric: "slow", over: "500ms", atMost: "5%" },
    ]);
    // Argo needs requests, too: without a value its analysis fails.
    expect(plan["steps"]).toEqual([{ weight: 20, hold: "10m", atLeast: { users: 1 } }]);
    expect(notes.join("\n")).toContain("asked for istio_requests_total, a series of the gateway");
    expect(notes.join("\n")).not.toContain("bad values in a row");
  });

  const share = (test: string) => `sum(rate(istio_requests_total{${test}}[5m])) / sum(rate(istio_requests_total[5m]))`;
  test.each([
    ["successes", share('response_code!~"5.*"'), "result[0] >= 0.95", "5%"],
    ["successes, of two digits", share('response_code!~"5[0-9][0-9]"'), "result[0] >= 0.999", "0.1%"],
    ["successes in per cent", `100 * ${share('response_code!~"5.."')}`, "result[0] >= 99", "1%"],
    ["errors", share('response_code=~"5.*"'), "result[0] <= 0.02", "2%"],
    ["one minus errors", `1 - ${share('response_code=~"^5.*"')}`, "result[0] >= 0.9", "10%"],
    ["Linkerd's successes", share('classification="success"'), "result[0] >= 0.95", "5%"],
    ["errors of clients, too: not the same", share('response_code=~"4.*|5.*"'), "result[0] <= 0.02", undefined],
    ["errors of clients, too, in another order", share('response_code!~"5.*|4.*"'), "result[0] >= 0.98", undefined],
    ["a limit from below on errors", share('response_code=~"5.*"'), "result[0] >= 0.02", undefined],
    ["a limit that is no per cent", `100 * ${share('response_code!~"5.*"')}`, "result[0] >= 0.95", undefined],
  ])("rates of a gateway: %s", (_, query, condition, atMost) => {
    const escaped = query.replaceAll('"', '\\"');
    const provider = `provider: { prometheus: { address: "http://p", query: "${escaped}" } }`;
    const { rollout: plan } = planOf(`{ name: rate, successCondition: '${condition}', ${provider} }`);
    const own = { name: "rate", metric: "errors", atMost };
    expect(plan["checks"]).toMatchObject([{}, atMost === undefined ? { prometheus: { query } } : own]);
  });

  test.each([
    ["another provider", "{ name: a, provider: { job: { spec: {} } } }", "it asks job"],
    [
      "an unknown value",
      `{ name: a, successCondition: 'result[0] > 1', ${prometheus('x{h="{{args.latest-hash}}"}')} }`,
      "the value of {{args.latest-hash}} is not in the input",
    ],
    [
      "another condition",
      `{ name: a, successCondition: 'all(result, # > 1)', ${prometheus("x")} }`,
      "its condition is not a comparison",
    ],
    [
      "credentials",
      `{ name: a, successCondition: 'result[0] > 1', provider: { prometheus: { address: "http://p", query: x, headers: [{ key: a, value: b }] } } }`,
      "credentials or headers",
    ],
    [
      "an address that is none",
      `{ name: a, successCondition: 'result[0] > 1', ${prometheus("x", "p:9090")} }`,
      "this is not the URL of a Prometheus server",
    ],
  ])("%s: not checked, so a person decides, and the loss stands first", (_, metric, why) => {
    const { rollout: plan, notes } = planOf(metric);
    expect(plan["steps"]).toEqual([{ weight: 20, hold: "0s" }, "pause"]);
    expect(notes[0]).toContain("AnalysisTemplate shop/rate: the metric a is not checked: ");
    expect(notes[0]).toContain(why);
  });

  test("one measurement is a step of its own, long enough to be asked in", () => {
    const { rollout: plan } = planOf(`{ name: a, successCondition: 'result[0] > 1', ${prometheus("x")} }`);
    expect(plan["steps"]).toEqual([{ weight: 20, hold: "30s" }]);
  });

  test("a step is long enough for as many bad values as a failure takes", () => {
    const { rollout: plan } = planOf(
      `{ name: a, interval: 10s, count: 2, failureLimit: 5, successCondition: 'result[0] > 1', ${prometheus("x")} }`,
    );
    expect(plan["steps"]).toEqual([{ weight: 20, hold: "1m" }]);
  });

  test("an endless analysis in a step waits for a person", () => {
    const { rollout: plan } = planOf(
      `{ name: a, interval: 1m, successCondition: 'result[0] > 1', ${prometheus("x")} }`,
    );
    expect(plan["steps"]).toEqual([{ weight: 20, hold: "0s" }, "pause"]);
  });

  test("dry runs decide nothing", () => {
    const metric = `{ name: total-x, successCondition: 'result[0] > 1', ${prometheus("x")} }`;
    const { rollout: plan } = importedPlan(
      documents(canary(inStep), template(metric, "\n  dryRun: [{ metricName: total-.* }]"), service("shop-stable")),
    );
    expect(plan["checks"]).toBeUndefined();
  });

  test("a metric that two steps ask for is one check", () => {
    const metric = `{ name: a, successCondition: 'result[0] > 1', ${prometheus("x")} }`;
    const { rollout: plan } = importedPlan(documents(canary(`${inStep}, ${inStep}`), template(metric)));
    expect(plan["checks"]).toHaveLength(2);
  });
});

describe("blue and green", () => {
  const plan = (settings: string) => {
    const strategy = `{ blueGreen: { activeService: shop, previewService: shop-preview${settings} } }`;
    return importedPlan(documents(rollout(strategy), ingress("shop", "shop")));
  };

  test.each([
    [
      "automatic",
      "",
      [
        { weight: 0, hold: "0s" },
        { weight: 100, hold: "30s" },
      ],
    ],
    [
      "after a time",
      ", autoPromotionEnabled: false, autoPromotionSeconds: 60",
      [
        { weight: 0, hold: "1m" },
        { weight: 100, hold: "30s" },
      ],
    ],
    [
      "by a person",
      ", autoPromotionEnabled: false, scaleDownDelaySeconds: 600",
      [{ weight: 0, hold: "0s" }, "pause", { weight: 100, hold: "10m" }],
    ],
    [
      "after an analysis that is not known",
      ", prePromotionAnalysis: { templates: [{ templateName: x }] }",
      [{ weight: 0, hold: "0s" }, "pause", { weight: 100, hold: "30s" }],
    ],
  ])("%s", (_, settings, steps) => {
    const { rollout: found, served, config } = plan(settings);
    expect(found["steps"]).toEqual(steps);
    expect(config).toContain("http://shop-preview.shop:80");
    expect(served({})).toBe("shop/stable");
  });
});

test("the example of the page is what the import makes of it", () => {
  const page = readFileSync(new URL("../../../../docs/coming-from/argo-and-flagger.md", import.meta.url), "utf8");
  const [original = "", result = ""] = Array.from(page.matchAll(/```yaml\n([\s\S]*?)```/g), ([, block = ""]) => block);
  const { release } = importedPlan(documents(original, ingress("shop", "shop-stable")));
  expect(release).toMatchObject(parse(result) as object);
});
