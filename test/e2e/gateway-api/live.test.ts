/** @module-tag slow */
import { X509Certificate } from "node:crypto";
import { expect, test } from "vitest";
import { perch, upstream } from "../../kit/freed.ts";
import { conditionsIn, gateway, gatewayClass, type RouteStatus, route, service, to } from "../../kit/gateway-api.ts";
import { KubernetesApi } from "../../kit/kubernetes-api.ts";
import type { DraftObject } from "../../kit/kubernetes-objects.ts";
import { certPem, keyPem } from "../../kit/pki.ts";
import { tlsConnect } from "../../kit/tls-client.ts";

const config = (more = "", settings = "ports: { 80: web }") => `
kubernetes: { gateway: { ${settings} } }
routes: []
${more}`;

const web = `{ name: web, address: "127.0.0.1:0" }`;

async function cluster() {
  const api = await KubernetesApi.start();
  const [stable, canary] = [await upstream("stable"), await upstream("canary")];
  api.put(gatewayClass());
  api.put(gateway("web"));
  api.put(service("shop-stable", stable.port));
  api.put(service("shop-canary", canary.port));
  const weighted = (stableWeight: number, canaryWeight: number) =>
    route("shop", [
      { backendRefs: [to("shop-stable", stable.port, stableWeight), to("shop-canary", canary.port, canaryWeight)] },
    ]);
  const start = async (more?: string, settings?: string, other?: string) => {
    const listeners = other === undefined ? web : `${web}, ${other}`;
    return perch(config(more, settings), { listeners, env: { KUBECONFIG: await api.kubeconfig() } });
  };
  return { api, start, weighted };
}

const versionAt = async (origin: string) => (await fetch(origin)).headers.get("x-upstream");

test("a route is served, its weights are followed, and its status says so", async () => {
  const { api, start, weighted } = await cluster();
  const shop = weighted(1, 0);
  api.put(shop);
  const { origin } = await start();
  expect(await versionAt(origin)).toBe("stable");
  const statusOf = (object: typeof shop) => api.object(object)?.status;
  await expect.poll(() => statusOf(shop)).toBeDefined();
  const { parents } = statusOf(shop) as RouteStatus;
  expect(parents).toHaveLength(1);
  expect(parents[0]).toMatchObject({ controllerName: "perch.dev/gateway", parentRef: { name: "web" } });
  expect(conditionsIn(parents[0])).toEqual(["Accepted=True/Accepted", "ResolvedRefs=True/ResolvedRefs"]);
  await expect
    .poll(() => conditionsIn(statusOf(gateway("web"))))
    .toEqual(["Accepted=True/Accepted", "Programmed=True/Programmed"]);
  expect(conditionsIn(statusOf(gatewayClass()))).toEqual(["Accepted=True/Accepted"]);
  api.put(weighted(0, 1));
  await expect.poll(() => versionAt(origin)).toBe("canary");
  api.remove(shop);
  await expect.poll(async () => (await fetch(origin)).status).toBe(404);
});

const policy = (text: string): DraftObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "shop-policy", namespace: "shop", labels: { "perch.dev/policy": "true" } },
  data: { "policy.yaml": text },
});

test("a policy gives a route rules and a unit; one with an error is reported, and takes nothing down", async () => {
  const { api, start, weighted } = await cluster();
  const shop = weighted(1, 0);
  api.put(shop);
  const { origin } = await start(`
attributes: { userId: { type: string, from: [{ header: x-user }] } }
releases: { testers: { override: { header: x-version, allowFrom: [127.0.0.0/8] }, split: { nonsense: 1 } } }
`);
  const versionFor = async (headers: Record<string, string>) =>
    (await fetch(origin, { headers })).headers.get("x-upstream");
  const conditions = () => conditionsIn((api.object(shop)?.status as RouteStatus | undefined)?.parents[0]);
  expect(await versionFor({ "x-user": "ada" })).toBe("stable");
  api.put(
    policy(`
target: { kind: HTTPRoute, name: shop }
sticky: { by: userId }
rules: [{ name: ada, when: { userId: ada }, use: canary }]
`),
  );
  await expect.poll(() => versionFor({ "x-user": "ada" })).toBe("canary");
  expect(await versionFor({ "x-user": "bob" })).toBe("stable");
  await expect.poll(conditions).toContain("perch.dev/Policy=True/Applied");
  // The schema knows nothing of the attributes of a file, and of the versions of a route.
  api.put(
    policy(`
target: { kind: HTTPRoute, name: shop }
rules: [{ name: ada, when: { userId: ada }, use: cannary }]
`),
  );
  await expect.poll(conditions).toContain("perch.dev/Policy=False/Invalid");
  expect(await versionFor({ "x-user": "ada" })).toBe("stable");
  api.put({ ...shop, metadata: { ...shop.metadata, annotations: { "perch.dev/release": "testers" } } });
  await expect.poll(() => versionFor({ "x-version": "canary" })).toBe("canary");
  api.put(policy("target: { name: shop }\noverride: { header: x-version, secretFile: /etc/passwd }\n"));
  const message = () => {
    const status = api.object(shop)?.status as RouteStatus | undefined;
    const [parent] = status?.parents ?? [];
    return parent?.conditions?.find(({ type }) => type === "perch.dev/Policy")?.message;
  };
  await expect.poll(message).toContain("secretFile names a file, which only the configuration may");
});

test("certificates come from Secrets, and change with them", async () => {
  const { api, start, weighted } = await cluster();
  const https = {
    name: "https",
    port: 443,
    protocol: "HTTPS",
    tls: { certificateRefs: [{ name: "cert" }] },
  };
  api.put(gateway("web", [https]));
  api.put(weighted(1, 0));
  const { port } = await start("", "ports: { 443: web }");
  const status = () => conditionsIn(api.object(gateway("web"))?.status);
  await expect.poll(status).toContain("Programmed=False/Invalid");
  const store = (name: "shop" | "renewed") =>
    api.setSecret("shop", "cert", { "tls.crt": certPem(name), "tls.key": keyPem(name) });
  const serialOf = (name: "shop" | "renewed") => new X509Certificate(certPem(name)).serialNumber;
  store("shop");
  await expect.poll(status).toContain("Programmed=True/Programmed");
  const presented = async () => {
    const socket = await tlsConnect(port);
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  };
  expect(await presented()).toBe(serialOf("shop"));
  store("renewed");
  await expect.poll(presented).toBe(serialOf("renewed"));
  expect(
    api.requests
      .filter((request) => request.includes("/secrets?"))
      .every((one) => one.includes("metadata.name%3Dcert")),
  ).toBe(true);
});

test("the API away: what is active serves, and what changed meanwhile comes later", async () => {
  const { api, start, weighted } = await cluster();
  api.put(weighted(1, 0));
  const { origin } = await start();
  api.away();
  expect(await versionAt(origin)).toBe("stable");
  api.put(weighted(0, 1));
  await api.back();
  await expect.poll(() => versionAt(origin), { timeout: 20_000 }).toBe("canary");
});

test("a start without access to the API, or without its kinds, says what is missing", async () => {
  await expect(perch(config(), { env: {} })).rejects.toMatchObject({
    problems: [expect.stringContaining("the Gateway API cannot be read: this is not a Pod")],
  });
});

test("kinds that are not installed, and ConfigMaps that may not be read, are none", async () => {
  const { api, start, weighted } = await cluster();
  for (const kind of ["grpcroutes", "backendtlspolicies", "referencegrants"]) api.uninstall(kind);
  api.forbid("configmaps");
  api.put(weighted(1, 0));
  const { origin } = await start();
  expect(await versionAt(origin)).toBe("stable");
  api.put(weighted(0, 1));
  await expect.poll(() => versionAt(origin)).toBe("canary");
});

test("a Secret that may not be read is a problem of its listener, not of the others", async () => {
  const { api, start, weighted } = await cluster();
  const https = { name: "https", port: 443, protocol: "HTTPS", tls: { certificateRefs: [{ name: "cert" }] } };
  api.forbid("secrets");
  api.put(gateway("web", [{ name: "http", port: 80, protocol: "HTTP" }, https]));
  api.put(weighted(1, 0));
  const { origin } = await start("", "ports: { 80: web, 443: other }", `{ name: other, address: "127.0.0.1:0" }`);
  expect(await versionAt(origin)).toBe("stable");
  const listeners = () =>
    (api.object(gateway("web"))?.status as { listeners?: readonly object[] } | undefined)?.listeners?.map(conditionsIn);
  await expect.poll(() => listeners()?.[1]).toContain("ResolvedRefs=False/InvalidCertificateRef");
  expect(listeners()?.[0]).toContain("Programmed=True/Programmed");
  expect(JSON.stringify(api.object(gateway("web"))?.status)).toMatch(/the Secret shop\/cert cannot be read: .*403/);
});

test("worker threads serve the routes too", async () => {
  const { api, start, weighted } = await cluster();
  api.put(weighted(1, 0));
  const { origin } = await start("workers: 2");
  expect(await versionAt(origin)).toBe("stable");
  api.put(weighted(0, 1));
  await expect.poll(() => versionAt(origin)).toBe("canary");
});

test("one bad route does not hold up the others, nor does one object of many", async () => {
  const { api, start, weighted } = await cluster();
  api.put(weighted(1, 0));
  // Both are valid for the API server; neither can be a route of Perch.
  api.put(
    route("bad", [{ matches: [{ path: { type: "Exact", value: "/../b" } }], backendRefs: [to("shop-stable", 1)] }]),
  );
  api.put(route("odd", [{ matches: "all" } as object]));
  const { origin } = await start();
  expect(await versionAt(origin)).toBe("stable");
  api.put(weighted(0, 1));
  await expect.poll(() => versionAt(origin)).toBe("canary");
});
