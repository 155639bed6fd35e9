import { describe, expect, test } from "vitest";
import { canary } from "./flagger-manifests.ts";
import { documents, importedPlan, ingress } from "./plans.ts";

const stepsOf = (analysis: string, others = "") =>
  importedPlan(canary(analysis, "{ port: 80 }", others)).rollout["steps"];

describe("strategies", () => {
  test.each([
    [
      "weights rise until they reach the maximum, and may exceed it once",
      "{ interval: 1m, maxWeight: 50, stepWeight: 20 }",
      [20, 40, 60].map((weight) => ({ weight, hold: "1m" })),
    ],
    [
      "without a maximum they rise to 100",
      "{ interval: 30s, stepWeight: 40 }",
      [40, 80, 100].map((weight) => ({ weight, hold: "30s" })),
    ],
    [
      "weights of a list; the shortest interval is 10 s",
      "{ interval: 1s, stepWeights: [1, 2, 10, 80] }",
      [1, 2, 10, 80].map((weight) => ({ weight, hold: "10s" })),
    ],
    [
      "A/B: those who match, for all iterations",
      '{ interval: 1m, iterations: 10, match: [{ headers: { x-canary: { exact: insider } } }, { headers: { cookie: { regex: "^(.*?;)?(canary=always)(;.*)?$" } } }] }',
      [
        {
          when: {
            any: [{ header: { "x-canary": { equals: "insider" } } }, { cookie: { canary: { equals: "always" } } }],
          },
          weight: 100,
          hold: "10m",
        },
      ],
    ],
    [
      "A/B: parts of one match must all hold",
      "{ interval: 1m, iterations: 1, match: [{ headers: { a: { prefix: x }, b: { suffix: y } }, method: { exact: GET } }] }",
      [
        {
          when: {
            all: [
              { header: { a: { prefix: "x" } } },
              { header: { b: { suffix: "y" } } },
              { method: { equals: "GET" } },
            ],
          },
          weight: 100,
          hold: "1m",
        },
      ],
    ],
    [
      "A/B: a match that Perch cannot express is left out rather than widened",
      "{ interval: 1m, iterations: 2, match: [{ sourceLabels: { app: x }, headers: { a: { exact: b } } }, { headers: { c: { exact: d } } }] }",
      [{ when: { header: { c: { equals: "d" } } }, weight: 100, hold: "2m" }],
    ],
    [
      "A/B: with none left nobody gets the candidate before a person says so",
      "{ interval: 1m, iterations: 2, match: [{ sourceLabels: { app: x } }] }",
      [{ weight: 0, hold: "0s" }, "pause"],
    ],
    ["blue and green without metrics", "{ interval: 1m, iterations: 10 }", [{ weight: 0, hold: "10m" }]],
    [
      "blue and green with metrics that need users: a person decides",
      "{ interval: 1m, iterations: 10, metrics: [{ name: request-success-rate, thresholdRange: { min: 99 } }] }",
      [{ weight: 0, hold: "10m" }, "pause"],
    ],
    ["without a strategy a person decides", "{ interval: 1m }", [{ weight: 0, hold: "0s" }, "pause"]],
  ])("%s", (_, analysis, steps) => {
    expect(stepsOf(analysis)).toEqual(steps);
  });

  test.each([
    ["{ stepWeight: 10, maxWeight: 50 }", true],
    ["{ stepWeight: 50 }", false],
  ])("that the last step is followed by everyone is named: %s", (analysis, isNamed) => {
    const { notes } = importedPlan(canary(analysis));
    expect(notes.some((note) => note.includes("after the last step everyone"))).toBe(isNamed);
  });

  test("without an analysis everyone gets the candidate in one step", () => {
    expect(stepsOf("{ interval: 1m, stepWeight: 5 }", "skipAnalysis: true")).toEqual([{ weight: 100, hold: "0s" }]);
  });

  test("ingress-nginx: a cookie's name stands where its value would", () => {
    const { rollout, release } = importedPlan(
      documents(
        canary(
          "{ iterations: 1, match: [{ headers: { cookie: { exact: beta } } }] }",
          "{ port: 80 }",
          "provider: nginx\n  ingressRef: { kind: Ingress, name: shop }",
        ),
        ingress("shop", "shop"),
        ingress("admin", "shop", "admin.example.com"),
      ),
    );
    expect(rollout["steps"]).toEqual([{ when: { cookie: { beta: { equals: "always" } } }, weight: 100, hold: "1m" }]);
    expect(release["split"]).toEqual({ stable: 100, canary: 0 });
  });
});

test("matches with weights: only those who match get the candidate by weight", () => {
  const match = "match: [{ headers: { x-beta: { exact: '1' } } }]";
  const when = { header: { "x-beta": { equals: "1" } } };
  expect(stepsOf(`{ interval: 1m, stepWeight: 30, maxWeight: 60, ${match} }`)).toEqual([
    { when, weight: 30, hold: "1m" },
    { when, weight: 60, hold: "1m" },
  ]);
});

describe("metrics", () => {
  const withMetrics = (metrics: string, ...others: readonly string[]) =>
    importedPlan(
      documents(canary(`{ interval: 30s, threshold: 4, stepWeight: 50, metrics: [${metrics}] }`), ...others),
    );

  test("the built-in ones are comparisons with bounds, and each step needs users", () => {
    const { rollout } = withMetrics(
      "{ name: request-success-rate, thresholdRange: { min: 99.5 }, interval: 1m }, { name: request-duration, thresholdRange: { max: 500 } }",
    );
    expect(rollout["checks"]).toEqual([
      { name: "errors", metric: "errors" },
      { name: "request-success-rate", metric: "errors", atMost: "0.5%" },
      { name: "slow", metric: "slow", over: "500ms" },
      { name: "request-duration", metric: "slow", over: "500ms", atMost: "1%" },
    ]);
    expect(rollout["steps"]).toEqual([50, 100].map((weight) => ({ weight, hold: "30s", atLeast: { users: 1 } })));
  });

  test("a success rate of 100 is the strictest bound that there is", () => {
    const { rollout } = withMetrics("{ name: request-success-rate, thresholdRange: { min: 100 } }");
    expect(rollout["checks"]).toMatchObject([{}, { atMost: "0.001%" }]);
  });

  const template = (provider: string) => `
apiVersion: flagger.app/v1beta1
kind: MetricTemplate
metadata: { name: lag, namespace: shop }
spec:
  provider: ${provider}
  query: 'lag{ns="{{ namespace }}",app="{{target}}",dir="{{ variables.dir }}"}[{{ interval }}]'
`;
  const lag =
    "{ name: my lag, templateRef: { name: lag }, thresholdRange: { min: 1, max: 9.5 }, interval: 2m, templateVariables: { dir: in } }";

  test("a MetricTemplate of Prometheus becomes a check with its query", () => {
    const { rollout } = withMetrics(lag, template("{ type: prometheus, address: http://prometheus:9090 }"));
    expect(rollout["checks"]).toEqual([
      { name: "errors", metric: "errors" },
      {
        name: "my-lag",
        prometheus: {
          url: "http://prometheus:9090/".slice(0, -1),
          query: 'lag{ns="shop",app="shop",dir="in"}[2m]',
          atLeast: 1,
          atMost: 9.5,
        },
        every: "30s",
        failures: 4,
      },
    ]);
  });

  test("a query on several lines becomes one line, without its comments", () => {
    const provider = "{ type: prometheus, address: http://p:9090 }";
    const lines = `
apiVersion: flagger.app/v1beta1
kind: MetricTemplate
metadata: { name: lag, namespace: shop }
spec:
  provider: ${provider}
  query: |
    sum( # of all
      rate(
        lag{a="x  # y", b=~"{{ variables.dir }}"}[{{ interval }}]
      )
    )
`;
    const { rollout } = withMetrics(lag, lines);
    const query = 'sum( rate( lag{a="x  # y", b=~"in"}[2m] ) )';
    expect(rollout["checks"]).toMatchObject([{}, { prometheus: { query } }]);
  });

  test.each([
    ["no template", "", "the input has no MetricTemplate shop/lag"],
    ["another provider", template("{ type: datadog, address: https://d }"), "it asks datadog"],
    ["a secret", template("{ type: prometheus, address: http://p, secretRef: { name: s } }"), "credentials"],
  ])("%s: lost, and named first", (_, others, why) => {
    const { rollout, notes } = withMetrics(lag, others);
    expect(rollout["checks"]).toBeUndefined();
    expect(notes[0]).toContain("Canary shop/shop: the metric my-lag is not checked: ");
    expect(notes[0]).toContain(why);
  });
});

describe("webhooks", () => {
  const withHooks = (...hooks: readonly string[]) =>
    importedPlan(canary(`{ interval: 1m, maxWeight: 50, stepWeight: 25, webhooks: [${hooks.join(", ")}] }`));
  const weights = [25, 50].map((weight) => ({ weight, hold: "1m" }));
  const url = "http://gate/approve";

  test("gates ask before their steps, and the one of the promotion before everyone gets the candidate", () => {
    const { rollout } = withHooks(
      `{ name: start gate, type: confirm-rollout, url: "${url}" }`,
      `{ name: more, type: confirm-traffic-increase, url: "${url}" }`,
      `{ name: promote, type: confirm-promotion, url: "${url}" }`,
    );
    expect(rollout["steps"]).toEqual([...weights, { weight: 100, hold: "0s" }]);
    expect(rollout["checks"]).toEqual([
      { name: "errors", metric: "errors" },
      { name: "start-gate", webhook: { url }, beforeStep: 1 },
      { name: "more", webhook: { url } },
      { name: "promote", webhook: { url }, beforeStep: 3 },
    ]);
  });

  test.each([
    ["confirm-rollout", ["pause", ...weights]],
    ["pre-rollout", ["pause", ...weights]],
    ["confirm-traffic-increase", ["pause", weights[0], "pause", weights[1]]],
    ["confirm-promotion", [...weights, "pause"]],
  ])("%s with metadata, which Perch does not send, is a pause", (type, steps) => {
    const { rollout } = withHooks(`{ name: a, type: ${type}, url: "${url}", metadata: { type: bash, cmd: test } }`);
    expect(rollout["steps"]).toEqual(steps);
  });

  test("load tests, tests and hooks that roll back are named", () => {
    const { notes, rollout } = withHooks(
      `{ name: load, type: rollout, url: "${url}", metadata: { cmd: "hey -z 1m http://x" } }`,
      `{ name: acceptance, type: rollout, url: "${url}", metadata: { type: bash, cmd: "curl x" } }`,
      `{ name: back, type: rollback, url: "${url}" }`,
      `{ name: chat, type: event, url: "${url}" }`,
    );
    expect(rollout["steps"]).toEqual(weights);
    expect(rollout["checks"]).toBeUndefined();
    expect(notes[0]).toContain("the webhook acceptance, a test in each interval, is not imported");
    expect(notes[1]).toContain("the webhook back could roll back: no equivalent");
    expect(notes.join("\n")).toMatch(/the load test load \(hey -z 1m[\s\S]*the webhook chat \(event\) is not imported/);
  });
});
