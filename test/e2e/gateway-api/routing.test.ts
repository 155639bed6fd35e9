/** @module-tag slow */
import { request } from "node:http";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { perch, upstream } from "../../kit/freed.ts";
import { gateway, gatewayClass, namespace, route, service } from "../../kit/gateway-api.ts";
import { KubernetesApi } from "../../kit/kubernetes-api.ts";
import type { DraftObject } from "../../kit/kubernetes-objects.ts";
import type { TestUpstream } from "../../kit/upstream.ts";
import { filterCases } from "./routing-cases/filters.ts";
import { listenerCases } from "./routing-cases/listeners.ts";
import { matchingCases } from "./routing-cases/matching.ts";
import { referenceCases } from "./routing-cases/references.ts";
import type { BackendName, RoutedRequest, Wanted } from "./routing-cases/routing-case.ts";

const backends: readonly (readonly [name: BackendName, namespace: string])[] = [
  ["v1", "shop"],
  ["v2", "shop"],
  ["v3", "shop"],
  ["red", "other"],
];

const config = `
kubernetes: { gateway: { ports: { 80: web, 8090: other } } }
routes: []
`;
const listeners = `{ name: web, address: "127.0.0.1:0" }, { name: other, address: "127.0.0.1:0" }`;

/** Answers with its name, and the headers that `x-answer` has as JSON. */
function echo(name: BackendName): Promise<TestUpstream> {
  return upstream(name, (asked, response) => {
    const own = JSON.parse(String(asked.headers["x-answer"] ?? "{}")) as Record<string, string>;
    response.writeHead(200, { "x-upstream": name, ...own }).end();
  });
}

async function cluster(gateways: readonly DraftObject[], objects: readonly DraftObject[]) {
  const api = await KubernetesApi.start();
  const upstreams = new Map<string, TestUpstream>();
  const common = [gatewayClass(), namespace("shop"), namespace("other"), ...gateways];
  for (const object of common) api.put(object);
  for (const [name, place] of backends) {
    const started = await echo(name);
    upstreams.set(name, started);
    api.put(service(name, started.port, { namespace: place }));
  }
  for (const object of objects) api.put(withPorts(object, upstreams) as DraftObject);
  const { app, origin } = await perch(config, { listeners, env: { KUBECONFIG: await api.kubeconfig() } });
  const other = app.listeners.find(({ name }) => name === "other")?.address;
  const ports = { 80: Number(new URL(origin).port), 8090: typeof other === "object" ? other.port : 0 };
  return { api, upstreams, ports };
}

/** Backends listen where they can, not at the port 8080 of the cases. */
function withPorts(value: unknown, upstreams: ReadonlyMap<string, TestUpstream>): unknown {
  if (Array.isArray(value)) return value.map((item) => withPorts(item, upstreams));
  if (typeof value !== "object" || value === null) return value;
  const parts = Object.fromEntries(Object.entries(value).map(([key, part]) => [key, withPorts(part, upstreams)]));
  const { name, port } = parts;
  return port === 8080 ? { ...parts, port: upstreams.get(String(name))?.port ?? port } : parts;
}

async function ask(
  { path = "/", host = "shop.example.com", method = "GET", headers = {} }: RoutedRequest,
  port: number,
) {
  const { promise, resolve, reject } = Promise.withResolvers<Readonly<Record<string, string | undefined>>>();
  const sent = request(
    { host: "127.0.0.1", port, path, method, headers: { host, ...headers }, agent: false },
    (response) => {
      const received = Object.fromEntries(
        Object.entries(response.headers).map(([name, value]) => [name, String(value)]),
      );
      text(response).then(() => resolve({ ...received, ":status": String(response.statusCode) }), reject);
    },
  );
  sent.on("error", reject).end();
  return promise;
}

/** The wanted parts of what came. */
function cameOf(
  answer: Readonly<Record<string, string | undefined>>,
  wanted: Wanted,
  upstreams: ReadonlyMap<string, TestUpstream>,
) {
  const name = answer["x-upstream"];
  const seen = name === undefined ? undefined : upstreams.get(name)?.seen.at(-1);
  const pick = (names: object, from: Readonly<Record<string, unknown>> = {}) =>
    Object.fromEntries(Object.keys(names).map((key) => [key, from[key] ?? null]));
  return {
    status: Number(answer[":status"]),
    ...(wanted.backend === undefined ? {} : { backend: name }),
    ...(wanted.location === undefined ? {} : { location: URL.parse(answer["location"] ?? "", "http://a.test")?.href }),
    ...(wanted.headers === undefined ? {} : { headers: pick(wanted.headers, answer) }),
    ...(wanted.seen === undefined
      ? {}
      : {
          seen: {
            ...(wanted.seen.path === undefined ? {} : { path: seen?.url }),
            ...(wanted.seen.host === undefined ? {} : { host: seen?.headers["host"] }),
            ...(wanted.seen.headers === undefined ? {} : { headers: pick(wanted.seen.headers, seen?.headers) }),
          },
        }),
  };
}

test.each([...matchingCases, ...listenerCases, ...filterCases, ...referenceCases])(
  "$sentence",
  async ({ gateways = [gateway("web")], objects, requests }) => {
    const { upstreams, ports } = await cluster(gateways, objects);
    const came: unknown[] = [];
    for (const [asked, wanted] of requests) {
      came.push([asked, cameOf(await ask(asked, ports[asked.port ?? 80]), wanted, upstreams)]);
    }
    expect(came).toEqual(requests.map(([asked, wanted]) => [asked, { status: 200, ...wanted }]));
  },
);

const weights = { v1: 70, v2: 30, v3: 0 } as const;

test("weights: new users are spread by them, and a backend that is missing gets errors for its share", async () => {
  const refs = Object.entries(weights).map(([name, weight]) => ({ name, port: 8080, weight }));
  const { api, upstreams, ports } = await cluster([gateway("web")], [route("one", [{ backendRefs: refs }])]);
  const counts = async () => {
    const found: Record<string, number> = {};
    for (let n = 0; n < 500; n++) {
      const answer = await ask({}, ports[80]);
      const key = answer["x-upstream"] ?? String(answer[":status"]);
      found[key] = (found[key] ?? 0) + 1;
    }
    return found;
  };
  const first = await counts();
  // Within five standard deviations.
  expect(Math.abs((first["v1"] ?? 0) - 350)).toBeLessThan(52);
  expect(Object.keys(first).toSorted()).toEqual(["v1", "v2"]);
  const missing = [...refs.slice(0, 1), { name: "nonexistent", port: 8080, weight: 70 }];
  api.put(withPorts(route("one", [{ backendRefs: missing }]), upstreams) as DraftObject);
  await expect.poll(counts, { timeout: 10_000 }).toHaveProperty("500");
  const second = await counts();
  expect(Object.keys(second).toSorted()).toEqual(["500", "v1"]);
  expect(Math.abs((second["v1"] ?? 0) - 250)).toBeLessThan(56);
});

test("mirrors: all requests, or a share of them, and their answers are dropped", async () => {
  const mirror = (fraction: object) => ({
    type: "RequestMirror",
    requestMirror: { backendRef: { name: "v2", port: 8080 }, ...fraction },
  });
  const rules = (fraction: object) => [{ filters: [mirror(fraction)], backendRefs: [{ name: "v1", port: 8080 }] }];
  const { api, upstreams, ports } = await cluster([gateway("web")], [route("one", rules({}))]);
  const seen = () => upstreams.get("v2")?.seen.length ?? 0;
  expect((await ask({}, ports[80]))["x-upstream"]).toBe("v1");
  await expect.poll(seen).toBe(1);
  api.put(withPorts(route("one", rules({ percent: 0 })), upstreams) as DraftObject);
  await expect
    .poll(async () => {
      const before = seen();
      for (let n = 0; n < 5; n++) await ask({}, ports[80]);
      return seen() - before;
    })
    .toBe(0);
});
