/** @module-tag slow */
import { describe, expect, test } from "vitest";
import { canary } from "./argo-manifests.ts";
import { documents, importedPlan, service } from "./plans.ts";

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

  const gateway = (query: string, condition: string) =>
    planOf(`{ name: rate, interval: 1m, ${condition}, ${prometheus(query)} }`).rollout["checks"];
  const quantile = (service: string) =>
    `histogram_quantile(0.95, sum(rate(istio_request_duration_milliseconds_bucket{service="${service}"}[5m])) by (le))`;
  const errors = (service: string) =>
    `sum(rate(istio_requests_total{service="${service}",response_code=~"5.*"}[5m])) / sum(rate(istio_requests_total{service="${service}"}[5m]))`;

  test.each([
    ["the ratio of two durations", `${quantile("canary")} / ${quantile("stable")}`, "result[0] <= 1.2"],
    ["the difference of two shares", `${errors("canary")} - ${errors("stable")}`, "result[0] <= 0.01"],
    ["a count per minute", 'sum(rate(istio_requests_total{response_code=~"5.*"}[5m])) / 60', "result[0] <= 0.5"],
    ["a duration in another unit", `${quantile("canary")} / 60`, "result[0] <= 3"],
  ])("%s is no share of answers, so Prometheus is asked", (_what, query, condition) => {
    expect(gateway(query, `successCondition: "${condition}"`)).toMatchObject([{}, { prometheus: {} }]);
  });

  const perSecond = (labels: string) => `sum(rate(nginx_ingress_controller_requests{${labels},status=~"5.*"}[1m]))`;
  test("a slash in a label is no division: errors per second are no share", () => {
    expect(gateway(perSecond('path="/"'), 'successCondition: "result[0] <= 0.5"')).toMatchObject([
      {},
      { prometheus: { atMost: 0.5 } },
    ]);
  });

  test.each([
    ["team-1-prod", "0.05", "5%"],
    ["shop-100", "0.05", "5%"],
    ["1 - 100", "0.05", "5%"],
    ["a}/1 - 100", "0.05", "5%"],
  ])("a label with the value %s is part of no calculation", (namespace, limit, atMost) => {
    const whole = `sum(rate(nginx_ingress_controller_requests{namespace="${namespace}"}[100m]))`;
    const query = `${perSecond(`namespace="${namespace}"`)} / ${whole}`;
    expect(gateway(query, `successCondition: "result[0] <= ${limit}"`)).toMatchObject([
      {},
      { metric: "errors", atMost },
    ]);
  });

  test("milliseconds that the query divides by 1000 are seconds", () => {
    expect(gateway(`${quantile("canary")} / 1000`, 'successCondition: "result[0] <= 2"')).toMatchObject([
      {},
      {},
      { metric: "slow", over: "2000ms" },
    ]);
  });

  test("a success that needs a value: that a query without one is none stands first", () => {
    const metric = `{ name: rate, interval: 1m, successCondition: "len(result) > 0 && result[0] >= 0.9", ${prometheus("q")} }`;
    expect(planOf(metric).notes[0]).toContain("a query without a value was a failure");
  });

  test("what decided nothing is no check", () => {
    const { rollout: plan, notes } = planOf(
      `{ name: rate, count: 1, ${prometheus("q")} }, { name: late, interval: 1m, failureLimit: -1, successCondition: "result[0] > 1", ${prometheus("r")} }`,
    );
    expect(plan["checks"]).toBeUndefined();
    expect(notes[0]).toContain("the metric late is left out: with failureLimit -1");
    expect(notes.join("\n")).toContain("the metric rate is left out: it has no condition");
  });

  const nested = (name: string, kind: string, inner: string) =>
    template(`{ name: ${kind.toLowerCase()}, successCondition: "result[0] > 1", ${prometheus(kind)} }`)
      .replace("kind: AnalysisTemplate", `kind: ${kind}`)
      .replace("name: rate, namespace: shop", `name: ${name}, namespace: shop`)
      .replace("spec:", `spec:\n  templates: [${inner}]`);

  test("a template that refers to itself is named so", () => {
    const itself = nested("rate", "AnalysisTemplate", "{ templateName: rate }");
    const { rollout: plan, notes } = importedPlan(documents(canary(inStep), itself));
    expect(plan["steps"]).toEqual([{ weight: 20, hold: "0s" }, "pause"]);
    expect(notes[0]).toBe(
      "Rollout shop/shop: its analysis rate is not checked: the AnalysisTemplate of this name refers to itself",
    );
  });

  test("a template and one of the cluster may have one name", () => {
    const own = nested("rate", "AnalysisTemplate", "{ templateName: rate, clusterScope: true }");
    const { rollout: plan } = importedPlan(
      documents(canary(inStep), own, nested("rate", "ClusterAnalysisTemplate", "")),
    );
    expect(plan["checks"]).toHaveLength(3);
  });

  test("a template that is nested too deeply is named so", () => {
    const deep = Array.from({ length: 5_000 }, (_, index) =>
      nested(index === 0 ? "rate" : `t-${index}`, "AnalysisTemplate", `{ templateName: t-${index + 1} }`),
    );
    expect(importedPlan(documents(canary(inStep), ...deep)).notes[0]).toContain("of this name is nested too deeply");
  });

  test("templates that many others refer to are read once", () => {
    const six = (name: string) => Array.from({ length: 6 }, () => `{ templateName: ${name} }`).join(", ");
    const names = ["rate", ...Array.from({ length: 12 }, (_, index) => `rate-${index}`)];
    const all = names.map((name, index) => nested(name, "AnalysisTemplate", six(names[index + 1] ?? "end")));
    const { rollout: plan } = importedPlan(documents(canary(inStep), ...all, nested("end", "AnalysisTemplate", "")));
    expect(plan["checks"]).toHaveLength(15);
  });

  test("the step that the background begins with, and its limit of errors, are named", () => {
    const background = `, analysis: { startingStep: 2, templates: [{ templateName: rate }] }`;
    const metric = `{ name: rate, interval: 1m, consecutiveErrorLimit: 1, successCondition: "result[0] > 1", ${prometheus("q")} }`;
    const { notes } = importedPlan(documents(canary("{ setWeight: 20 }, { pause: {} }", background), template(metric)));
    expect(notes.join("\n")).toContain("strategy.canary.analysis began with step 2");
    expect(notes.join("\n")).toContain("Argo aborts after 2 in a row");
  });

  test("dry runs are patterns that match anywhere", () => {
    const metric = (name: string) =>
      `{ name: ${name}, interval: 1m, successCondition: "result[0] > 1", ${prometheus(name)} }`;
    const { rollout: plan } = planOf(`${metric("a-smoke-1")}, ${metric("real")}`, "");
    expect(plan["checks"]).toHaveLength(3);
    const dry = `${template(`${metric("a-smoke-1")}, ${metric("real")}`)}  dryRun: [{ metricName: smoke.* }]\n`;
    expect(importedPlan(documents(canary(inStep), dry)).rollout["checks"]).toHaveLength(2);
  });
});
