/** @module-tag slow */
import { describe, expect, test } from "vitest";
import { perch, upstream } from "../../kit/freed.ts";
import { gateway, gatewayClass, type RouteStatus, route, service } from "../../kit/gateway-api.ts";
import { KubernetesApi } from "../../kit/kubernetes-api.ts";
import type { DraftObject, StoredObject } from "../../kit/kubernetes-objects.ts";
import { Visitor } from "../../kit/visitor.ts";

async function cluster(stableName: string, canaryName: string) {
  const api = await KubernetesApi.start();
  const [stable, canary] = [await upstream("stable"), await upstream("canary")];
  api.put(gatewayClass());
  api.put(gateway("web"));
  api.put(service(stableName, stable.port));
  api.put(service(canaryName, canary.port));
  const config = "kubernetes: { gateway: { ports: { 80: web } } }\nroutes: []\nexposeVersion: true\n";
  const start = async () => perch(config, { env: { KUBECONFIG: await api.kubeconfig() } });
  return { api, start, stable, canary };
}

const versionFor = async (visitor: Visitor, origin: string) => (await visitor.get(origin)).version;

interface Rule {
  readonly name?: string;
  readonly matches?: readonly object[];
  readonly filters?: readonly object[];
  readonly backendRefs: readonly { readonly name: string; readonly weight?: number }[];
}

type Spec = { readonly rules: readonly Rule[] };

/** Changes the rules of a route, as a controller does that has read it. */
function change(
  api: KubernetesApi,
  named: DraftObject,
  edit: (rules: readonly Rule[]) => readonly Rule[],
): StoredObject {
  const found = api.object(named);
  const spec = found?.spec as Spec;
  api.put({ ...named, spec: { ...spec, rules: edit(spec.rules) } });
  return api.object(named) as StoredObject;
}

/** Flagger waits for this before it goes on. */
async function isObserved(api: KubernetesApi, named: DraftObject): Promise<void> {
  const { generation } = (api.object(named) as StoredObject).metadata;
  await expect
    .poll(() => {
      const [parent] = (api.object(named)?.status as RouteStatus | undefined)?.parents ?? [];
      return parent?.conditions?.find(({ type }) => type === "Accepted");
    })
    .toMatchObject({ status: "True", observedGeneration: generation });
}

describe("Argo Rollouts, by its plugin for the Gateway API", () => {
  const rollout = (stablePort: number, canaryPort: number) =>
    route("shop", [
      {
        matches: [{ path: { type: "PathPrefix", value: "/" } }],
        backendRefs: [
          { group: "", kind: "Service", name: "shop-stable", port: stablePort, weight: 100 },
          { group: "", kind: "Service", name: "shop-canary", port: canaryPort, weight: 0 },
        ],
      },
    ]);
  /** As the plugin sets a weight: of each rule that is not one of its own. */
  const setWeight = (weight: number) => (rules: readonly Rule[]) =>
    rules.map((rule) =>
      rule.name === "canary-header"
        ? rule
        : {
            ...rule,
            backendRefs: rule.backendRefs.map((ref) => ({
              ...ref,
              weight: ref.name === "shop-canary" ? weight : 100 - weight,
            })),
          },
    );

  test("its weights move users and no one else; cookies, names and endpoints stay", async () => {
    const { api, start, stable, canary } = await cluster("shop-stable", "shop-canary");
    const shop = rollout(stable.port, canary.port);
    api.put(shop);
    const { origin, metric, admin } = await start();
    const visitors = Array.from({ length: 40 }, () => new Visitor());
    const served = async () => Promise.all(visitors.map((visitor) => versionFor(visitor, origin)));
    const before = await served();
    expect(new Set(before)).toEqual(new Set(["stable"]));
    let last = before;
    for (const weight of [10, 50, 80]) {
      change(api, shop, setWeight(weight));
      await isObserved(api, shop);
      const now = await served();
      // Users come to the canary, and none goes back.
      expect(now.filter((version, at) => version === "stable" && last[at] === "canary")).toEqual([]);
      last = now;
    }
    expect(last).toContain("canary");
    change(api, shop, setWeight(0));
    await isObserved(api, shop);
    expect(new Set(await served())).toEqual(new Set(["stable"]));
    // Nobody got a second cookie: the release is the same, and so is the unit.
    expect(new Set(visitors.flatMap((visitor) => [...visitor.jar.keys()]))).toEqual(new Set(["perch-shop-shop"]));
    change(api, shop, setWeight(80));
    await isObserved(api, shop);
    expect(await served()).toEqual(last);
    expect(await metric('perch_decisions_total{release="shop-shop",version="canary",reason="split"}')).toBeGreaterThan(
      0,
    );
    const releases = (await (await admin("/api/releases")).json()) as { releases: { release: string }[] };
    expect(releases.releases.map(({ release }) => release)).toEqual(["shop-shop"]);
  });

  test("its header route goes to the canary, and its removal back", async () => {
    const { api, start, stable, canary } = await cluster("shop-stable", "shop-canary");
    const shop = rollout(stable.port, canary.port);
    api.put(shop);
    const { origin } = await start();
    const asTester = async () => (await fetch(origin, { headers: { "x-tester": "yes" } })).headers.get("x-upstream");
    expect(await asTester()).toBe("stable");
    const own: Rule = {
      name: "canary-header",
      matches: [
        {
          path: { type: "PathPrefix", value: "/" },
          headers: [{ type: "Exact", name: "x-tester", value: "yes" }],
        },
      ],
      filters: [],
      backendRefs: [
        { group: "", kind: "Service", name: "shop-canary", port: canary.port } as Rule["backendRefs"][number],
      ],
    };
    change(api, shop, (rules) => [...rules, own]);
    await expect.poll(asTester).toBe("canary");
    change(api, shop, setWeight(20));
    await isObserved(api, shop);
    expect(await asTester()).toBe("canary");
    change(api, shop, (rules) => rules.filter(({ name }) => name !== "canary-header"));
    await expect.poll(asTester).toBe("stable");
  });
});

describe("Flagger", () => {
  const ref = (name: string, port: number, weight: number, filters?: readonly object[]) => ({
    group: "",
    kind: "Service",
    name,
    port,
    weight,
    ...(filters === undefined ? {} : { filters }),
  });
  const anyPath = [{ path: { type: "PathPrefix", value: "/" } }];

  test("its primary and canary, with weights, a mirror, and the promotion", async () => {
    const { api, start, stable, canary } = await cluster("podinfo-primary", "podinfo-canary");
    const spec = (primaryWeight: number, canaryWeight: number, filters: readonly object[] = []) =>
      route("podinfo", [
        {
          matches: anyPath,
          ...(filters.length === 0 ? {} : { filters }),
          backendRefs: [
            ref("podinfo-primary", stable.port, primaryWeight),
            ref("podinfo-canary", canary.port, canaryWeight),
          ],
        },
      ]);
    api.put(spec(100, 0));
    const { origin } = await start();
    const visitors = Array.from({ length: 30 }, () => new Visitor());
    const served = async () => Promise.all(visitors.map((visitor) => versionFor(visitor, origin)));
    expect(new Set(await served())).toEqual(new Set(["stable"]));
    const mirror = { backendRef: { group: "", kind: "Service", name: "podinfo-canary", port: canary.port } };
    api.put(spec(100, 0, [{ type: "RequestMirror", requestMirror: mirror }]));
    await isObserved(api, spec(100, 0));
    await versionFor(new Visitor(), origin);
    await expect.poll(() => canary.seen.length).toBeGreaterThan(0);
    for (const weight of [50, 100]) {
      api.put(spec(100 - weight, weight));
      await isObserved(api, spec(0, 0));
    }
    expect(new Set(await served())).toEqual(new Set(["canary"]));
    api.put(spec(100, 0));
    await isObserved(api, spec(0, 0));
    expect(new Set(await served())).toEqual(new Set(["stable"]));
    expect(new Set(visitors.flatMap((visitor) => [...visitor.jar.keys()]))).toEqual(new Set(["perch-shop-podinfo"]));
  });

  test("its session affinity by a cookie of its own, whose rules come and go", async () => {
    const { api, start, stable, canary } = await cluster("podinfo-primary", "podinfo-canary");
    const refs = (primaryWeight: number, canaryWeight: number, filters?: readonly object[]) => [
      ref("podinfo-primary", stable.port, primaryWeight),
      ref("podinfo-canary", canary.port, canaryWeight, filters),
    ];
    const weighted = { matches: anyPath, backendRefs: refs(100, 0) };
    api.put(route("podinfo", [weighted]));
    const { origin, admin } = await start();
    const affinity = [{ name: "Cookie", type: "RegularExpression", value: ".*flagger-cookie.*abc.*" }];
    const setCookie = [
      {
        type: "ResponseHeaderModifier",
        responseHeaderModifier: { add: [{ name: "Set-Cookie", value: "flagger-cookie=abc; Max-Age=86400" }] },
      },
    ];
    const run = route("podinfo", [
      { matches: [{ ...anyPath[0], headers: affinity }], backendRefs: refs(0, 100) },
      { matches: anyPath, backendRefs: refs(50, 50, setCookie) },
    ]);
    api.put(run);
    await isObserved(api, run);
    const sticky = await fetch(origin, { headers: { cookie: "flagger-cookie=abc" } });
    expect(sticky.headers.get("x-upstream")).toBe("canary");
    const visitors = Array.from({ length: 20 }, () => new Visitor());
    const cookies = await Promise.all(
      visitors.map(async (visitor) => [
        await versionFor(visitor, origin),
        [...visitor.jar.keys()].includes("flagger-cookie"),
      ]),
    );
    expect(cookies).toContainEqual(["canary", true]);
    expect(cookies).not.toContainEqual(["stable", true]);
    const releases = (await (await admin("/api/releases")).json()) as { releases: { release: string }[] };
    expect(releases.releases.map(({ release }) => release)).toContain("shop-podinfo");
  });

  test("its A/B test: matches for two backends before a rule for the primary alone", async () => {
    const { api, start, stable, canary } = await cluster("podinfo-primary", "podinfo-canary");
    const insider = [{ name: "x-canary", type: "Exact", value: "insider" }];
    const spec = (canaryWeight: number) =>
      route("podinfo", [
        {
          matches: [{ ...anyPath[0], headers: insider }],
          backendRefs: [
            ref("podinfo-primary", stable.port, 100 - canaryWeight),
            ref("podinfo-canary", canary.port, canaryWeight),
          ],
        },
        { matches: anyPath, backendRefs: [ref("podinfo-primary", stable.port, 100)] },
      ]);
    api.put(spec(0));
    const { origin } = await start();
    const versionOf = async (headers: Record<string, string>) =>
      (await fetch(origin, { headers })).headers.get("x-upstream");
    expect(await versionOf({ "x-canary": "insider" })).toBe("stable");
    api.put(spec(100));
    await expect.poll(() => versionOf({ "x-canary": "insider" })).toBe("canary");
    expect(await versionOf({})).toBe("stable");
  });
});
