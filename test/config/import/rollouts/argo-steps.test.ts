import { describe, expect, test } from "vitest";
import { canary, rollout, stepsOf } from "./argo-manifests.ts";
import { documents, importedPlan, ingress } from "./plans.ts";

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
      "header routes are rings, and all of their entries have to match",
      "{ setHeaderRoute: { name: a, match: [{ headerName: X-Beta, headerValue: { exact: 'yes' } }, { headerName: version, headerValue: { regex: '2\\..*' } }] } }, { pause: {} }, { setWeight: 10 }",
      [
        {
          when: {
            all: [{ header: { "x-beta": { equals: "yes" } } }, { header: { version: { regex: "^(?:2\\..*)$" } } }],
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

describe("header routes", () => {
  const two = (first: string) =>
    `{ setHeaderRoute: { name: a, match: [{ headerName: X-Beta, headerValue: ${first} }, { headerName: X-Team, headerValue: { exact: b } }] } }, { setWeight: 10 }`;

  test("of Istio have alternatives", () => {
    const [ring] = stepsOf(two("{ exact: a }"), ", trafficRouting: { istio: { virtualService: { name: shop } } }") as [
      { when: object },
    ];
    expect(Object.keys(ring.when)).toEqual(["any"]);
  });

  test("of others are left out with a test that Perch cannot express, rather than widened", () => {
    expect(stepsOf(two("{ regex: 'a(?=b)' }"))).toEqual([{ weight: 10, hold: "0s" }]);
  });
});

test("annotations of the canary Ingress count with and without their prefix", () => {
  const nginx =
    ", trafficRouting: { nginx: { stableIngress: shop, canaryIngressAnnotations: { nginx.ingress.kubernetes.io/canary-by-header: X-Beta, example.com/team: a } } }";
  const yaml = documents(canary("{ setWeight: 10 }", nginx), ingress("shop", "shop-stable"));
  const { rollout: plan, notes } = importedPlan(yaml);
  expect((plan["steps"] as unknown[])[0]).toMatchObject({ when: { header: { "x-beta": "always" } } });
  expect(notes.join("\n")).toContain("annotations of the canary Ingress: example.com/team: not imported");
});

test("that a lower weight leaves nobody to try the candidate stands first", () => {
  const { notes } = importedPlan(
    documents(canary("{ setWeight: 50 }, { pause: {} }, { setWeight: 0 }, { pause: {} }, { setWeight: 100 }")),
  );
  expect(notes[0]).toContain("nobody tries the candidate before everyone gets it");
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
