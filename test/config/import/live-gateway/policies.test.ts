import { describe, expect, test } from "vitest";
import { gateway, gatewayClass, route, service, to } from "../../../kit/gateway-api.ts";
import type { DraftObject } from "../../../kit/kubernetes-objects.ts";
import { compiled, routeConditions } from "./compiled.ts";

const file = `
attributes: { region: { type: string, from: [{ header: x-region }] } }
releases: { testers: { sticky: { epoch: 7 }, override: { header: x-version, allowFrom: [10.0.0.0/8] }, split: { a: 1 } } }
routes: []
`;
const refs = [to("shop-stable", 80, 90), to("shop-canary", 80, 10)];
const shop = (annotations: Readonly<Record<string, string>> = {}): DraftObject => {
  const object = route("shop", [{ name: "main", backendRefs: refs }]);
  return { ...object, metadata: { ...object.metadata, annotations } };
};
const base = [gatewayClass(), gateway("web"), service("shop-stable", 80), service("shop-canary", 80)];

const policy = (
  text: string,
  { name = "policy", namespace = "shop", created = "2026-02-01T00:00:00Z" } = {},
): DraftObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace, creationTimestamp: created, labels: { "perch.dev/policy": "true" } },
  data: { policy: text },
});
const target = "target: { kind: HTTPRoute, name: shop }\n";
const rule = "rules: [{ name: east, when: { region: cn-east }, use: canary }]\n";
const split = { stable: 90, canary: 10 };
const applied = "perch.dev/Policy=True/Applied";
const invalid = "perch.dev/Policy=False/Invalid";

describe("a policy", () => {
  test("gives a route's release rules and a rollout, beside its weights", () => {
    const rollout =
      "rollout: { id: a, candidate: canary, steps: [{ weight: 5, hold: 10m }], checks: [{ name: errors, metric: errors }] }\n";
    const result = compiled([...base, shop(), policy(target + rule + rollout)], { file });
    expect(result.parts.releases).toMatchObject({ "shop-shop": { split, rules: [{ name: "east" }], rollout: {} } });
    expect(routeConditions(result, "shop")).toContain(applied);
    expect(result.loaded.compiled.releases[0]?.rollout?.candidate).toBe("canary");
  });

  test("of the file is named by an annotation; what it says of users comes first", () => {
    const sticky = "sticky: { epoch: 3, salt: x }\n";
    const result = compiled([...base, shop({ "perch.dev/release": "testers" }), policy(target + rule + sticky)], {
      file,
    });
    const [release] = result.loaded.compiled.releases;
    expect(release).toMatchObject({
      name: "shop-shop",
      split,
      sticky: { epoch: 7, salt: "x" },
      override: { header: "x-version" },
      rules: [{ name: "east" }],
    });
    expect(result.loaded.compiled.releases).toHaveLength(1);
  });

  test("of the file gives no weights, also for a route with one backend", () => {
    const one = {
      ...shop({ "perch.dev/release": "testers" }),
      spec: route("shop", [{ backendRefs: [to("shop-stable", 80)] }]).spec,
    };
    const [release] = compiled([...base, one], { file }).loaded.compiled.releases;
    expect(release).toMatchObject({ sticky: { epoch: 7 }, split: undefined });
  });

  test("for a rule by its name is for that rule only", () => {
    const two = route("shop", [
      { matches: [{ path: { value: "/a" } }], name: "a", backendRefs: refs },
      { name: "main", backendRefs: refs },
    ]);
    const ofRule = policy(`target: { name: shop, rule: a }\n${rule}`);
    const { releases } = compiled([...base, two, ofRule], { file }).parts;
    expect(releases).toMatchObject({
      "shop-shop": { split },
      "shop-shop-a-rule": { split, rules: [{ name: "east" }] },
    });
    expect(releases["shop-shop"]).not.toHaveProperty("rules");
  });

  test("for a route with one backend makes it a release", () => {
    const one = route("shop", [{ backendRefs: [to("shop-stable", 80)] }]);
    const { releases } = compiled([
      ...base,
      one,
      policy(`${target}override: { header: x-v, allowFrom: [10.0.0.0/8] }`),
    ]).parts;
    expect(releases).toMatchObject({ "shop-shop": { override: { header: "x-v" } } });
  });

  const bad: readonly (readonly [sentence: string, text: string, why: string])[] = [
    ["that is no YAML", "target: [", "at line 1"],
    ["without a target", rule, "it needs a target"],
    ["for another kind", `target: { kind: Gateway, name: web }\n${rule}`, "its target is no HTTPRoute"],
    ["for another namespace", `target: { name: shop, namespace: other }\n${rule}`, "in its own namespace"],
    ["with a target that says more", `target: { name: shop, port: 80 }\n${rule}`, 'unknown key "port" in target'],
    ["with weights", `${target}split: { canary: 100 }`, "split is what the route itself says"],
    ["with a file", `${target}sticky: { cookie: { secretFile: /etc/passwd } }`, "secretFile names a file"],
    [
      "with a list in a file",
      `${target}rules: [{ name: a, when: { region: { inFile: /etc/passwd } }, use: canary }]`,
      "inFile names a file",
    ],
    [
      "with a file that is nested deep",
      `${target}rules: [{ name: a, when: ${"{ not: ".repeat(60)}{ region: { inFile: /etc/passwd } }${" }".repeat(60)}, use: canary }]`,
      "it nests deeper than 50 levels",
    ],
    ["with an unknown key", `${target}stiky: {}`, 'unknown key "stiky"'],
    [
      "with an attribute that the file does not have",
      `${target}rules: [{ name: a, when: { country: x }, use: canary }]`,
      "does not load with it",
    ],
    [
      "with a version that the route does not have",
      `${target}rules: [{ name: a, when: { region: x }, use: cannary }]`,
      "does not load with it",
    ],
    [
      "for a rule without a name",
      `target: { name: shop, rule: { toString: 1 } }\n${rule}`,
      "rule in its target is no name",
    ],
    ["with aliases", `${target}rules: &a [*a]`, "lias"],
  ];
  test.each(bad)("%s is not applied, and takes nothing down", (_sentence, text, why) => {
    const fine = policy(`target: { name: other }\n${rule}`, { name: "fine" });
    const other = route("other", [{ backendRefs: refs }], { hostnames: ["other.test"] });
    const result = compiled([...base, shop(), other, policy(text), fine], { file });
    expect(result.notes.join("\n")).toContain(why);
    expect(result.parts.releases["shop-shop"]).toEqual({ split });
    expect(result.parts.releases["shop-other"]).toMatchObject({ rules: [{ name: "east" }] });
    expect(result.parts.routes).toHaveLength(2);
    expect(routeConditions(result, "other")).toContain(applied);
  });

  test("that is not applied is reported at its route", () => {
    const result = compiled([...base, shop(), policy(`${target}stiky: {}`)], { file });
    expect(routeConditions(result, "shop")).toContain(invalid);
  });

  test("of the file that is not there is reported", () => {
    const result = compiled([...base, shop({ "perch.dev/release": "tester" })], { file });
    expect(routeConditions(result, "shop")).toContain(invalid);
    expect(result.parts.releases).toEqual({ "shop-shop": { split } });
  });

  test("that is younger than another one for the same is not applied", () => {
    const young = policy(`${target}sticky: { epoch: 2 }`, { name: "a-young", created: "2026-03-01T00:00:00Z" });
    const result = compiled([...base, shop(), young, policy(target + rule)], { file });
    expect(result.parts.releases["shop-shop"]).toMatchObject({ rules: [{ name: "east" }] });
    expect(result.parts.releases["shop-shop"]).not.toHaveProperty("sticky");
    expect(result.notes.join()).toContain("ConfigMap shop/policy (policy) is older, and for the same");
  });

  test("in a ConfigMap that is read for its CAs too is no second one", () => {
    const own = policy(target + rule);
    const result = compiled([...base, shop(), own, structuredClone(own)], { file });
    expect(routeConditions(result, "shop")).toContain(applied);
    expect(result.notes).toEqual([]);
  });

  test("in a ConfigMap without the label is none", () => {
    const { metadata, ...rest } = policy(target + rule);
    const result = compiled([...base, shop(), { ...rest, metadata: { ...metadata, labels: {} } }], { file });
    expect(result.parts.releases).toEqual({ "shop-shop": { split } });
  });
});

test("a release of the file that is for routes of the API is checked all the same", () => {
  expect(() => compiled(base, { file: "releases: { testers: { stiky: {} } }\nroutes: []\n" })).toThrow("stiky");
});
