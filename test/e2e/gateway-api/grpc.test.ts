import { Metadata, status } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { perch } from "../../kit/freed.ts";
import { gateway, gatewayClass, type RouteStatus, route, service, to } from "../../kit/gateway-api.ts";
import { grpcClient, grpcServer } from "../../kit/grpc.ts";
import { KubernetesApi } from "../../kit/kubernetes-api.ts";

async function textsServer(name: string): Promise<number> {
  const origin = await grpcServer({ unary: (_call, answer) => answer(null, name) });
  return Number(new URL(origin).port);
}

test("GRPCRoutes: by service and method, by header, by weights, and for backends that are missing", async () => {
  const api = await KubernetesApi.start();
  const [stable, canary] = [await textsServer("stable"), await textsServer("canary")];
  api.put(gatewayClass());
  api.put(gateway("web"));
  api.put(service("texts-stable", stable));
  api.put(service("texts-canary", canary));
  const method = { service: "test.Texts", method: "Unary" };
  const texts = (...backends: readonly object[]) =>
    route(
      "texts",
      [
        {
          matches: [{ method, headers: [{ name: "x-tester", value: "yes" }] }],
          backendRefs: [to("texts-canary", canary)],
        },
        { matches: [{ method }], backendRefs: backends },
      ],
      { kind: "GRPCRoute" },
    );
  const both = texts(to("texts-stable", stable, 1), to("texts-canary", canary, 0));
  api.put(both);
  const config = "kubernetes: { gateway: { ports: { 80: web } } }\nroutes: []\n";
  const { port } = await perch(config, { env: { KUBECONFIG: await api.kubeconfig() } });
  const client = grpcClient(port);
  const call = (headers: Record<string, string> = {}) => {
    const { promise, resolve } = Promise.withResolvers<string | number>();
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    client.unary("hi", metadata, { deadline: new Date(Date.now() + 5_000) }, (error, answer) =>
      resolve(error === null ? (answer ?? "") : error.code),
    );
    return promise;
  };
  expect(await call()).toBe("stable");
  expect(await call({ "x-tester": "yes" })).toBe("canary");
  api.put(texts(to("texts-stable", stable, 0), to("texts-canary", canary, 1)));
  await expect.poll(() => call()).toBe("canary");
  api.put(texts(to("nonexistent", stable)));
  await expect.poll(() => call()).toBe(status.UNAVAILABLE);
  await expect
    .poll(() => (api.object(both)?.status as RouteStatus | undefined)?.parents[0]?.conditions)
    .toContainEqual(expect.objectContaining({ type: "ResolvedRefs", reason: "BackendNotFound" }));
});
