import { describe, expect, test } from "vitest";
import type { GatewayParts } from "../../../../src/config/gateway-parts.ts";
import { KnownRefusals } from "../../../../src/config/import/live-gateway/known-refusals.ts";
import { testCertificate, testKey } from "../../../kit/certificate.ts";
import { gateway, gatewayClass, grant, namespace, route, service, to } from "../../../kit/gateway-api.ts";
import type { DraftObject } from "../../../kit/kubernetes-objects.ts";
import { compiled, routeConditions } from "./compiled.ts";

const everywhere = { allowedRoutes: { namespaces: { from: "All" } } };
const there = { namespace: "other", parents: [{ name: "web", namespace: "shop" }] };
const http = { name: "http", port: 80, protocol: "HTTP", ...everywhere };
const besides = [
  gatewayClass(),
  namespace("shop"),
  namespace("other"),
  ...["stable", "canary"].flatMap((end) => [
    service(`shop-${end}`, 80),
    service(`app-${end}`, 80, { namespace: "other" }),
  ]),
];
const base = [...besides, gateway("web", [http])];
const shop = route("shop", [{ backendRefs: [to("shop-stable", 80, 90), to("shop-canary", 80, 10)] }], {
  hostnames: ["shop.test"],
  created: "2026-02-01T00:00:00Z",
});
const appRefs = [to("app-stable", 80, 1), to("app-canary", 80, 1)];
const app = (more: object = {}, created = "2026-03-01T00:00:00Z") =>
  route("app", [{ backendRefs: appRefs, ...more }], { ...there, hostnames: ["app.test"], created });
const policy = (text: string): DraftObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: {
    name: "policy",
    namespace: "other",
    creationTimestamp: "2026-04-01T00:00:00Z",
    labels: { "perch.dev/policy": "true" },
  },
  data: { policy: `target: { name: app }\n${text}` },
});
const annotated = (object: DraftObject): DraftObject => ({
  ...object,
  metadata: { ...object.metadata, annotations: { "perch.dev/release": "testers" } },
});
const split = { stable: 90, canary: 10 };
const partial = "PartiallyInvalid=True/UnsupportedValue";

describe("a cookie that another release has", () => {
  test.each(["2026-03-01T00:00:00Z", "2026-01-01T00:00:00Z"])("as the name of a session, of %s", (created) => {
    const named = app({ sessionPersistence: { sessionName: "perch-shop-shop" } }, created);
    const result = compiled([...base, shop, named]);
    expect(result.parts.releases["shop-shop"]).toEqual({ split });
    expect(Object.keys(result.parts.releases).toSorted()).toEqual(["other-app", "shop-shop"]);
    expect(routeConditions(result, "app")).toContain(partial);
    expect(routeConditions(result, "shop")).not.toContain(partial);
    expect(result.loads).toBe(1);
  });

  test("as the name of a session that an older route has too: it is told at the younger one", () => {
    const session = { sessionPersistence: { sessionName: "sid" } };
    const [older] = [route("shop", [{ backendRefs: appRefs, ...session }], { ...there, hostnames: ["shop.test"] })];
    const result = compiled([...base, app(session), older].flatMap((one) => one ?? []));
    expect(routeConditions(result, "app")).toContain(partial);
    expect(routeConditions(result, "shop")).not.toContain(partial);
  });

  test.each([
    ["an override's", "override: { cookie: perch-shop-shop, allowFrom: [0.0.0.0/0] }", "2026-03-01T00:00:00Z"],
    ["an override's, older", "override: { cookie: perch-shop-shop, allowFrom: [0.0.0.0/0] }", "2026-01-01T00:00:00Z"],
  ])("as %s: the policy is not applied", (_sentence, text, created) => {
    const result = compiled([...base, shop, app({}, created), policy(text)]);
    expect(result.parts.releases).toEqual({ "shop-shop": { split }, "other-app": { split: { stable: 1, canary: 1 } } });
    expect(routeConditions(result, "app")).toContain("perch.dev/Policy=False/Invalid");
    expect(result.notes.join()).toContain("is already the pin of release shop-shop");
  });

  test("as the pin's by a policy", () => {
    const result = compiled([...base, shop, app(), policy("sticky: { cookie: { name: perch-shop-shop } }")]);
    expect(result.parts.releases["shop-shop"]).toEqual({ split });
    expect(result.parts.routes).toHaveLength(2);
    expect(routeConditions(result, "app")).toContain(partial);
  });

  test("as that of a release of the file, which two routes name: the younger one goes without it", () => {
    const file = "releases: { testers: { sticky: { cookie: { name: testers } } } }\nroutes: []\n";
    const result = compiled([...base, annotated(app()), annotated(shop)], { file });
    expect(result.parts.routes).toHaveLength(2);
    expect(result.parts.bases).toEqual({ "shop-shop": "testers" });
    expect(routeConditions(result, "shop")).toContain("perch.dev/Policy=True/Applied");
    expect(routeConditions(result, "app")).toContain("perch.dev/Policy=False/Invalid");
    expect(result.notes.join()).toContain('the cookie "testers" is already the pin of release shop-shop');
  });

  test("in the file: a release of the API has another name, and so another cookie", () => {
    const file = `
attributes: { uid: { type: string, from: [{ cookie: perch-shop-shop }] }, sid: { type: string, from: [{ cookie: sid }] } }
routes: []
`;
    const session = app({ sessionPersistence: { sessionName: "sid" } });
    const result = compiled([...base, shop, session], { file });
    expect(result.loads).toBe(1);
    expect(Object.keys(result.parts.releases)[0]).toMatch(/^shop-shop-[0-9a-f]{8}$/);
    expect(routeConditions(result, "app")).toContain(partial);
  });
});

describe("what Perch itself adds", () => {
  const names = (result: ReturnType<typeof compiled>) =>
    result.parts.routes.map((one) => (one as { readonly name: string }).name);

  test("a route that keeps a listener's hostname from others does not take the name of another route", () => {
    const ofHttp = { ...there, parents: [{ name: "web", namespace: "shop", sectionName: "http" }] };
    const objects = [
      ...besides,
      gateway("web", [http, { ...http, name: "other-x", hostname: "a.test" }]),
      route("wide", [{ backendRefs: appRefs }], ofHttp),
      route("x-404", [{ backendRefs: appRefs }], ofHttp),
    ];
    const result = compiled(objects);
    expect(result.loads).toBe(1);
    expect(names(result)).toContain("other-x-404");
    expect(names(result).filter((name) => /^other-x-404-[0-9a-f]{8}$/.test(name))).toHaveLength(1);
  });

  test("what replies errors does not take the service of another route", () => {
    const objects = [
      namespace("no"),
      service("backend", 80, { namespace: "no" }),
      route("real", [{ backendRefs: [to("backend", 80)] }], { ...there, namespace: "no", hostnames: ["real.test"] }),
      route("lost", [{ backendRefs: [to("missing", 80)] }], { ...there, hostnames: ["lost.test"] }),
    ];
    const { parts } = compiled([...base, ...objects]);
    expect(parts.services["no-backend"]).toMatchObject({
      versions: { backend: { endpoints: ["http://127.0.0.1:80"] } },
    });
    expect(Object.keys(parts.services)).toHaveLength(2);
    expect(parts.routes).toContainEqual(expect.objectContaining({ name: "no-real", service: "no-backend" }));
  });

  test("routes that may use different ones of their backends do not share a service", () => {
    const granted = (name: string, from: string) =>
      grant("shop", { kind: "HTTPRoute", namespace: from }, { kind: "Service", name });
    const both = ["shop-stable", "shop-canary"].map((name) => to(name, 80, 1, { namespace: "shop" }));
    const across = (from: string) =>
      route(from, [{ backendRefs: both }], { ...there, namespace: from, hostnames: [`${from}.test`] });
    const [stable, canary] = [granted("shop-stable", "other"), granted("shop-canary", "third")];
    const named = { ...canary, metadata: { ...canary.metadata, name: "second" } };
    const { parts } = compiled([...base, namespace("third"), stable, named, across("other"), across("third")]);
    const services = parts.services as Readonly<Record<string, { readonly versions: object }>>;
    const versionsOf = (name: string) => {
      const found = (parts.routes as readonly { readonly name: string; readonly service: string }[]).find(
        (one) => one.name === name,
      );
      return Object.keys(services[found?.service ?? ""]?.versions ?? {});
    };
    expect(versionsOf("other-other")).toEqual(["stable"]);
    expect(versionsOf("third-third")).toEqual(["canary"]);
  });

  test("nor do they take names of the file", () => {
    const file = `
services: { no-backend: { versions: { only: { endpoints: ["http://127.0.0.1:1"] } } } }
routes: [{ name: http-404, match: { hosts: [file.test] }, service: no-backend }]
`;
    const listeners = [
      { name: "any", port: 80, protocol: "HTTP" },
      { name: "http", port: 80, protocol: "HTTP", hostname: "a.test" },
    ];
    const wide = route("wide", [{ backendRefs: [to("missing", 80)] }]);
    const { parts } = compiled([gatewayClass(), gateway("web", listeners), namespace("shop"), wide], { file });
    expect(Object.keys(parts.services)[0]).toMatch(/^no-backend-[0-9a-f]{8}$/);
  });
});

test("routes that load alone and not together: the younger one is left out, and reported", () => {
  const named = (name: string, ...[hostname, created]: readonly [string, string]) =>
    route(name, [{ backendRefs: [to("shop-stable", 80)] }], { hostnames: [hostname], created });
  const refuse = ({ routes }: GatewayParts) => {
    const names = routes.map((one) => (one as { readonly name: string }).name);
    return ["shop-old", "shop-young"].every((name) => names.includes(name)) ? "they conflict" : undefined;
  };
  const old = named("old", "*.test", "2026-01-01T00:00:00Z");
  const young = named("young", "more.specific.test", "2026-02-01T00:00:00Z");
  const refusals = new KnownRefusals(() => 0);
  const result = compiled([...base, young, old, shop], { refuse, refusals });
  expect(result.parts.routes).toMatchObject([{ name: "shop-shop" }, { name: "shop-old" }]);
  expect(routeConditions(result, "young")).toContain("Accepted=False/UnsupportedValue");
  expect(routeConditions(result, "old")).toContain("Accepted=True/Accepted");
  expect(result.notes.join()).toContain("they conflict");
  expect(compiled([...base, young, old, shop], { refuse, refusals }).loads).toBe(1);
});

test("a listener's part that does not load is left out, with the routes that are for it alone", () => {
  const secret = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "c", namespace: "shop" },
    data: {
      "tls.crt": Buffer.from(testCertificate).toString("base64"),
      "tls.key": Buffer.from(testKey).toString("base64"),
    },
  };
  const tls = { certificateRefs: [{ name: "c" }] };
  const both = gateway("web", [http, { name: "https", port: 443, protocol: "HTTPS", tls }]);
  const ofBoth = route("both", [{ backendRefs: [to("shop-stable", 80)] }]);
  const secure = route("secure", [{ backendRefs: [to("shop-stable", 80)] }], {
    parents: [{ name: "web", sectionName: "https" }],
  });
  const refuse = ({ listeners }: GatewayParts) => (listeners["https"] === undefined ? undefined : "bad certificate");
  const result = compiled([...besides, secret, both, secure, ofBoth, shop], { refuse });
  expect(result.parts.listeners).toEqual({});
  expect(result.parts.routes).toMatchObject([
    { name: "shop-shop" },
    { name: "shop-both", match: { listeners: ["web"] } },
  ]);
  expect(routeConditions(result, "secure")).toContain("Accepted=False/UnsupportedValue");
  expect(result.notes.join()).toContain("bad certificate");
});

test("policies that load alone and not together: the younger one is not applied", () => {
  const file = "releases: { testers: { propagate: { header: x-v } } }\nroutes: []\n";
  const override = policy("override: { header: x-v, allowFrom: [10.0.0.0/8] }");
  const result = compiled([...base, annotated(shop), app(), override], { file });
  expect(result.parts.routes).toHaveLength(2);
  expect(result.parts.releases["other-app"]).toEqual({ split: { stable: 1, canary: 1 } });
});
