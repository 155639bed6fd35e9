/** @module-tag slow */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { upstream } from "../../kit/freed.ts";
import { gateway, gatewayClass, route, service, to } from "../../kit/gateway-api.ts";
import { KubernetesApi } from "../../kit/kubernetes-api.ts";
import { freePorts, perchProcess, temporaryFolder } from "../../kit/served.ts";

test("perch serve serves the cluster's routes beside those of its file, and ends when it is told to", async () => {
  const api = await KubernetesApi.start();
  const [ours, theirs] = [await upstream("ours"), await upstream("theirs")];
  for (const object of [gatewayClass(), gateway("web"), service("shop", theirs.port)]) api.put(object);
  api.put(route("shop", [{ backendRefs: [to("shop", theirs.port)] }]));
  const file = join(await temporaryFolder(), "perch.yaml");
  const text = (host: string) => `${freePorts}kubernetes: { gateway: { ports: { 80: web } } }
services: { ours: { versions: { only: { endpoints: ["${ours.origin}"] } } } }
routes: [{ name: ours, match: { headers: { x-host: "${host}" } }, service: ours }]
`;
  await writeFile(file, text("a"));
  const process = perchProcess(["serve", "-c", file, "--warm-up", "0s"], { KUBECONFIG: await api.kubeconfig() });
  const { origin } = await process.serving();
  const servedBy = async (host: string) =>
    (await fetch(origin, { headers: { "x-host": host } })).headers.get("x-upstream");
  expect(await servedBy("a")).toBe("ours");
  expect(await servedBy("b")).toBe("theirs");
  await writeFile(file, text("b"));
  await expect.poll(() => servedBy("b")).toBe("ours");
  expect(await servedBy("a")).toBe("theirs");
  process.signal("SIGTERM");
  expect(await process.exited).toBe(0);
});
