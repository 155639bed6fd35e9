import { spawn } from "node:child_process";
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Cluster, type Pod, type Service } from "./cluster.ts";
import { Crowd, type Seen } from "./crowd.ts";

export interface Step extends Seen {
  readonly name: string;
}

const main = fileURLToPath(new URL("../../../src/cli/main.ts", import.meta.url));
const stable = { app: "nginx" };
const labelled = { app: "nginx", track: "stable" };
const canary = { app: "nginx", track: "canary" };
const perch = { "app.kubernetes.io/name": "perch" };

/**
 * The steps of README.md on this machine, with a process for each Pod and real Perches, while a crowd of users calls
 * one address. `tell` gets each step as it is done.
 */
export async function play(tell: (step: Step) => void, users = 240): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "perch-nginx-"));
  const cluster = new Cluster();
  try {
    await playIn(cluster, folder, users, tell);
  } finally {
    await cluster.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function playIn(cluster: Cluster, folder: string, users: number, tell: (step: Step) => void): Promise<void> {
  const startOld = () => cluster.startNginx("1.7.9", stable);
  let stablePods: readonly Pod[] = await Promise.all([startOld(), startOld(), startOld()]);
  const startCanary = () => cluster.startNginx("1.8.0", canary);
  const canaryPod = await startCanary();
  const nginxService = await cluster.service({ app: "nginx" });
  const crowd = new Crowd(nginxService.origin, users);
  const done = async (name: string) => tell({ name, ...(await crowd.look()) });
  const rollTo = async (startNew: () => Promise<Pod>) => {
    const fresh: Pod[] = [];
    await cluster.roll(stablePods, async () => {
      const pod = await startNew();
      fresh.push(pod);
      return pod;
    });
    stablePods = fresh;
  };
  try {
    await done("start: three Pods and one behind one Service");

    await rollTo(() => cluster.startNginx("1.7.9", labelled));
    await done("1 label the stable Pods, a rolling update");

    const versions = { stable: await cluster.service(labelled), canary: await cluster.service(canary) };
    const replicas = new Perches(cluster, folder, versions);
    await replicas.start("1-all-stable");
    await done("2, 3 a Service for each version, and Perch");

    nginxService.selector = perch;
    await done("4 nginx-service leads to Perch, all on stable");

    for (const [policy, name] of [
      ["2-rule", "5 a rule: new users in cn-east"],
      ["3-quarter", "6 a quarter of everybody else"],
      ["1-all-stable", "rollback"],
      ["3-quarter", "once more"],
      ["4-half", "7 half"],
    ] as const) {
      await replicas.configure(policy);
      await done(name);
    }

    await replicas.restart();
    await done("rollout restart of Perch");

    const canaryPods = [canaryPod, await startCanary(), await startCanary()];
    await replicas.configure("5-all-canary");
    await done("8 three canary Pods, and everybody on them");

    await rollTo(() => cluster.startNginx("1.8.0", labelled));
    await done("9 stable gets the new image, a rolling update");

    await replicas.configure("1-all-stable");
    await done("10 everybody on stable, which is 1.8.0 by now");

    for (const pod of canaryPods) await cluster.delete(pod);
    await done("11 the canary Deployment goes");
  } finally {
    await crowd.leave();
  }
}

/** Two replicas of `perch serve`, on one file and one secret. */
class Perches {
  readonly #cluster: Cluster;
  readonly #folder: string;
  readonly #versions: { readonly stable: Service; readonly canary: Service };
  #replicas: { readonly pod: Pod; readonly admin: string }[] = [];

  constructor(cluster: Cluster, folder: string, versions: { readonly stable: Service; readonly canary: Service }) {
    this.#cluster = cluster;
    this.#folder = folder;
    this.#versions = versions;
  }

  async start(policy: string): Promise<void> {
    await writeFile(join(this.#folder, "sticky-secret"), "only-for-this-play-and-thirty-two-bytes-long\n");
    await this.#write(policy);
    this.#replicas = await Promise.all([this.#startOne(), this.#startOne()]);
  }

  /** Writes a step's file in the place of the one before, and waits until each replica has taken it up. */
  async configure(policy: string): Promise<void> {
    const before = await this.#loads();
    await this.#write(policy);
    while ((await this.#loads()).some((count, replica) => count === before[replica])) await pause(20);
  }

  /** `kubectl rollout restart`: a new one first, then an old one drains. */
  async restart(): Promise<void> {
    const old = this.#replicas;
    this.#replicas = [];
    for (const { pod } of old) {
      this.#replicas.push(await this.#startOne());
      await this.#cluster.delete(pod);
    }
  }

  async #startOne() {
    // With the flag that it would start itself over for, which saves a start.
    const args = [
      "--max-semi-space-size=4",
      main,
      "serve",
      "-c",
      join(this.#folder, "perch.yaml"),
      "--drain-delay=500ms",
      "--drain-timeout=5s",
    ];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
    for await (const line of createInterface(child.stderr)) {
      const { msg, listeners, admin } = JSON.parse(line);
      if (msg !== "serving") continue;
      child.stderr.resume();
      const port = Number(/:(\d+)$/.exec(String(listeners[0]))?.[1]);
      return { pod: this.#cluster.add(child, port, perch), admin: String(admin) };
    }
    throw new Error("Perch ended before it served");
  }

  #loads(): Promise<readonly number[]> {
    return Promise.all(
      this.#replicas.map(async ({ admin }) => {
        const exposition = await (await fetch(`http://${admin}/metrics`)).text();
        return Number(/^perch_config_reloads_total\{result="success"\} (\d+)/m.exec(exposition)?.[1]);
      }),
    );
  }

  /** The step's file as it stands, with this machine's addresses in place of the cluster's. */
  async #write(policy: string): Promise<void> {
    const file = await readFile(new URL(`steps/${policy}.yaml`, import.meta.url), "utf8");
    const text = file
      .replace("http://nginx-stable:80", this.#versions.stable.origin)
      .replace("http://nginx-canary:80", this.#versions.canary.origin)
      .replace("*:8080", "127.0.0.1:0")
      .replace("*:9901", "127.0.0.1:0")
      .replace("/run/secrets/perch/sticky-secret", join(this.#folder, "sticky-secret"));
    const path = join(this.#folder, "perch.yaml");
    await writeFile(`${path}.new`, text);
    await rename(`${path}.new`, path);
  }
}
