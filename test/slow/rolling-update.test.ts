import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { type DraftEndpoint, endpointSlice } from "../kit/endpoint-slices.ts";
import { freeAfterTest } from "../kit/freed.ts";
import { KubernetesApi } from "../kit/kubernetes-api.ts";
import { freePorts, perchProcess, soon, temporaryFolder } from "../kit/served.ts";
import { freePort } from "../kit/upstream.ts";

const replicas = 3;
const replacements = 10;
const clients = 16;

const podProgram = fileURLToPath(new URL("../kit/pod-process.ts", import.meta.url));

interface Pod {
  readonly address: string;
  readonly child: ChildProcess;
  state: Omit<DraftEndpoint, "address">;
}

/** The canary's Deployment: Pods that are processes, and the EndpointSlices that the controller writes of them. */
class Deployment {
  readonly #api: KubernetesApi;
  readonly #port: number;
  readonly #preStopMs: number;
  readonly #pods: Pod[] = [];
  #started = 0;

  constructor(api: KubernetesApi, port: number, preStopMs: number) {
    this.#api = api;
    this.#port = port;
    this.#preStopMs = preStopMs;
  }

  /** Resolves once the new Pod is ready. */
  async add(): Promise<void> {
    const address = `127.0.1.${++this.#started}`;
    const child = spawn(process.execPath, [podProgram, address, String(this.#port), String(this.#preStopMs)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    freeAfterTest(async () => void child.kill("SIGKILL"));
    const pod: Pod = { address, child, state: { ready: false } };
    this.#pods.push(pod);
    this.#publish();
    if (child.stdout !== null) await once(child.stdout, "data");
    pod.state = { ready: true };
    this.#publish();
  }

  /** Resolves once the oldest Pod has ended, and its endpoint is gone. */
  async removeOldest(): Promise<void> {
    const [pod] = this.#pods;
    if (pod === undefined) throw new Error("there is no Pod");
    pod.state = { ready: false, serving: true, terminating: true };
    this.#publish();
    const ended = once(pod.child, "exit");
    pod.child.kill("SIGTERM");
    await ended;
    this.#pods.shift();
    this.#publish();
  }

  #publish(): void {
    const endpoints = this.#pods.map(({ address, state }) => ({ address, pod: address, ...state }));
    this.#api.put(endpointSlice({ service: "shop-canary", ports: { http: this.#port }, endpoints }));
  }
}

type Method = "GET" | "POST";

/** Sequential requests on one connection, with these methods in turn. A POST is not retried. */
async function load(origin: string, methods: readonly Method[], tally: Map<string, number>, isOver: () => boolean) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (let number = 0; !isOver(); number++) {
    const answer = await sendOne(origin, agent, methods[number % methods.length] ?? "GET").catch(String);
    tally.set(answer, (tally.get(answer) ?? 0) + 1);
  }
  agent.destroy();
}

function sendOne(origin: string, agent: Agent, method: Method): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const sent = request(origin, { agent, method }, (response) => {
    const { "x-upstream": pod, "x-perch-error": error } = response.headers;
    response.on("end", () => resolve(`${method} ${response.statusCode} ${pod ?? error}`)).on("error", reject);
    response.resume();
  });
  sent.on("error", reject).end(method === "POST" ? "some text" : undefined);
  return promise;
}

interface Case {
  readonly fastLane: "on" | "off";
  readonly workers: number;
  /** Of each Pod, after SIGTERM. */
  readonly preStopMs: number;
  readonly methods: readonly Method[];
}

async function rollingUpdate({ fastLane, workers, preStopMs, methods }: Case): Promise<ReadonlyMap<string, number>> {
  const api = await KubernetesApi.start();
  const deployment = new Deployment(api, await freePort(), preStopMs);
  for (let count = 0; count < replicas; count++) await deployment.add();
  const file = join(await temporaryFolder(), "perch.yaml");
  await writeFile(
    file,
    `${freePorts}
fastLane: ${fastLane}
workers: ${workers}
accessLog: { sample: 0 }
services:
  shop: { versions: { canary: { endpoints: [{ kubernetes: { service: shop-canary, namespace: shop, port: http } }] } } }
routes: [{ name: all, service: shop }]
`,
  );
  const perch = perchProcess(["serve", "-c", file, "--warm-up", "0s"], { KUBECONFIG: await api.kubeconfig() });
  const { origin } = await perch.serving();
  const tally = new Map<string, number>();
  let isOver = false;
  const loads = Array.from({ length: clients }, () => load(origin, methods, tally, () => isOver));
  const total = () => [...tally.values()].reduce((sum, count) => sum + count, 0);
  await expect.poll(total, soon).toBeGreaterThan(clients);
  for (let count = 0; count < replacements; count++) {
    await deployment.add();
    await deployment.removeOldest();
  }
  isOver = true;
  await Promise.all(loads);
  return tally;
}

function expectNoneLost(tally: ReadonlyMap<string, number>): void {
  expect([...tally].filter(([answer]) => !/^(GET|POST) 200 127\.0\.1\.\d+$/.test(answer))).toEqual([]);
  const pods = new Set(Array.from(tally.keys(), (answer) => answer.split(" ")[2]));
  expect(pods.size).toBe(replicas + replacements);
}

describe.each([
  { fastLane: "on", workers: 1 },
  { fastLane: "on", workers: 2 },
  { fastLane: "off", workers: 1 },
  { fastLane: "off", workers: 2 },
] as const)("a rolling update of 10 Pods, with the fast lane $fastLane and workers: $workers", (settings) => {
  it("loses no request where Pods wait for half a second before they stop, as a preStop hook does", async () => {
    expectNoneLost(await rollingUpdate({ ...settings, preStopMs: 500, methods: ["GET", "POST"] }));
  });

  // What meets a Pod that is just closing is retried, where the method allows it.
  it("loses no GET where Pods stop at once", async () => {
    expectNoneLost(await rollingUpdate({ ...settings, preStopMs: 0, methods: ["GET"] }));
  });
});
