import { spawn } from "node:child_process";
import { json } from "node:stream/consumers";
import { setTimeout } from "node:timers/promises";
import { expect, it } from "vitest";
import { SliceSource } from "../../src/app/kubernetes/slice-source.ts";
import type { CompiledConfig } from "../../src/config/compiled-config.ts";
import { loadConfigText } from "../../src/config/load.ts";
import { createLogger } from "../../src/observe/log.ts";
import { sliceQuestionsOf } from "../../src/upstream/service-spec.ts";
import { endpointSlice } from "../kit/endpoint-slices.ts";
import { freeAfterTest } from "../kit/freed.ts";
import { KubernetesApi } from "../kit/kubernetes-api.ts";

const soon = { timeout: 10_000, interval: 10 };
const afterPause = { timeout: 30_000, interval: 20 };

function compiled(...services: readonly string[]): CompiledConfig {
  const endpoints = services.map((service) => `{ kubernetes: { service: ${service}, namespace: shop } }`);
  const text = `services: { shop: { versions: { v1: { endpoints: [${endpoints}] } } } }\nroutes: [{ name: all, service: shop }]`;
  const loaded = loadConfigText(text, { file: "perch.yaml", env: {}, randomSecret: () => Buffer.alloc(32) });
  if (!loaded.ok) throw new Error(loaded.problems[0]?.message);
  return loaded.compiled;
}

interface Line {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** Follows these Services of the namespace `shop`. */
async function following(api: KubernetesApi, ...services: readonly string[]) {
  const lines: Line[] = [];
  const log = createLogger({ level: "info", nowMs: () => 0, to: { write: (line) => lines.push(JSON.parse(line)) } });
  const source = new SliceSource({ env: { KUBECONFIG: await api.kubeconfig() }, log });
  freeAfterTest(() => source.close());
  const config = compiled(...services);
  expect(await source.load(config)).toBeUndefined();
  const questions = sliceQuestionsOf(config.services);
  const changes: number[] = [];
  source.follow(questions, () => changes.push(performance.now()));
  const addresses = () => questions.map((question) => source.records(question).map(({ address }) => address));
  return {
    source,
    questions,
    addresses,
    changes,
    said: (level: string) => lines.filter((line) => line.level === level),
  };
}

const slice = (service: string, ...addresses: readonly string[]) =>
  endpointSlice({ service, ports: { http: 80 }, endpoints: addresses.map((address) => ({ address })) });

it("the loss of the API and its return are one line each, however many Services are followed", async () => {
  const api = await KubernetesApi.start();
  for (const service of ["a", "b", "c"]) api.put(slice(service, "10.0.0.1"));
  const { source, questions, said } = await following(api, "a", "b", "c");
  await source.prepare(questions, 5_000);
  await expect.poll(() => api.watches, soon).toBe(3);
  api.away();
  await expect.poll(() => source.reports().every(({ trouble }) => trouble !== undefined), soon).toBe(true);
  await api.back();
  await expect.poll(() => source.reports().some(({ trouble }) => trouble !== undefined), afterPause).toBe(false);
  expect(said("warn")).toMatchObject([
    { msg: "the Kubernetes API does not give EndpointSlices: the endpoints known last stay in use" },
  ]);
  expect(said("info").filter(({ msg }) => msg === "the Kubernetes API gives EndpointSlices again")).toHaveLength(1);
});

it("a Service that may not be read is told with the API's own words, and the start goes on without its endpoints", async () => {
  const api = await KubernetesApi.start();
  api.refuse(...Array(20).fill({ status: 403, reason: 'endpointslices is forbidden: User "perch"' }));
  const { source, questions, addresses, said } = await following(api, "a");
  await source.prepare(questions, 100);
  expect(addresses()).toEqual([[]]);
  const why = '403: endpointslices is forbidden: User "perch"';
  expect(said("warn")).toMatchObject([
    { service: "shop/a", why },
    {
      services: ["shop/a"],
      why,
      msg: "the endpoints of these Services are not known: they get no requests until the Kubernetes API answers",
    },
  ]);
});

it("a wrong port is told once, and once more when it is there", async () => {
  const api = await KubernetesApi.start();
  api.put(endpointSlice({ service: "a", ports: { x: 1, y: 2 }, endpoints: [{ address: "10.0.0.1" }] }));
  const { addresses, said } = await following(api, "a");
  const problems = ["its EndpointSlices have not exactly one port, so say which: there are x 1, y 2"];
  await expect.poll(() => said("warn"), soon).toMatchObject([{ service: "shop/a", problems }]);
  api.put(endpointSlice({ service: "a", ports: { x: 1, y: 2 }, endpoints: [{ address: "10.0.0.2" }] }));
  api.put(slice("a", "10.0.0.3"));
  await expect.poll(addresses, soon).toEqual([["10.0.0.3"]]);
  expect(said("warn")).toHaveLength(1);
  expect(said("info").map(({ msg }) => msg)).toContain("the endpoints of a Kubernetes Service are as expected again");
});

it("many changes at once are taken together, the last of them too", async () => {
  const api = await KubernetesApi.start();
  const { source, questions, addresses, changes } = await following(api, "a");
  await source.prepare(questions, 5_000);
  await expect.poll(() => api.watches, soon).toBe(1);
  const before = changes.length;
  const beganMs = performance.now();
  for (let number = 1; number <= 60; number++) {
    api.put(slice("a", `10.0.0.${number}`));
    await setTimeout(5);
  }
  await expect.poll(addresses, soon).toEqual([["10.0.0.60"]]);
  // The first at once, and then one in each tenth of a second.
  expect(changes.length - before).toBeLessThanOrEqual(2 + (performance.now() - beganMs) / 100);
});

it("what is not used is not loaded", async () => {
  const inApp = (name: string) => JSON.stringify(new URL(`../../src/app/${name}`, import.meta.url).href);
  const script = `
    const { registerHooks } = await import("node:module");
    const loaded = [];
    registerHooks({ load(url, context, next) { loaded.push(url.split("/src/").pop()); return next(url, context); } });
    await import(${inApp("app.ts")});
    const { SliceSource } = await import(${inApp("kubernetes/slice-source.ts")});
    await new SliceSource({ env: {} }).load({ services: [] });
    const watched = /slice-watches|list-watch|api-client|find-access|^app.app.ts/;
    process.stdout.write(JSON.stringify(loaded.filter((name) => watched.test(name))));
    process.exit();`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  expect(await json(child.stdout)).toEqual(["app/app.ts"]);
});
