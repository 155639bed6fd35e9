import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

type Labels = Readonly<Record<string, string>>;

/** A process with labels and a port, as a Service sees a Pod. */
export interface Pod {
  readonly labels: Labels;
  readonly port: number;
  /** Whether Services may send it new connections. */
  ready: boolean;
  readonly process: ChildProcess;
}

/** How long after a Pod is told to end some node still sends it connections. */
const endpointLagMs = 200;

/** Pods and Services of one machine: as much of Kubernetes as a split by replicas takes. */
export class Cluster {
  readonly pods = new Set<Pod>();
  readonly #servers: Server[] = [];

  /** Starts a Pod that stands for one nginx. */
  async startNginx(version: string, labels: Labels): Promise<Pod> {
    const script = fileURLToPath(new URL("pod.ts", import.meta.url));
    const child = spawn(process.execPath, [script, version], { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = (await once(createInterface(child.stdout), "line")) as [string];
    return this.add(child, Number(line), labels);
  }

  add(process: ChildProcess, port: number, labels: Labels): Pod {
    const pod: Pod = { labels, port, ready: true, process };
    this.pods.add(pod);
    return pod;
  }

  /** SIGTERM at once, and out of the Services' lists a moment later, as it happens: the two are not in step. */
  async delete(pod: Pod): Promise<void> {
    const exited = once(pod.process, "exit");
    if (pod.labels["app"] === "nginx") {
      // nginx stops listening at once, so its Pods have the usual preStop sleep.
      pod.ready = false;
      await pause(endpointLagMs);
      pod.process.kill("SIGTERM");
    } else {
      pod.process.kill("SIGTERM");
      await pause(endpointLagMs);
      pod.ready = false;
    }
    await exited;
    this.pods.delete(pod);
  }

  /** A rolling update as a Deployment does it: a new Pod is ready before an old one goes. */
  async roll(old: readonly Pod[], startNew: () => Promise<Pod>): Promise<void> {
    for (const pod of old) {
      await startNew();
      await this.delete(pod);
    }
  }

  /** A Service: each new connection goes to the next of the Pods that `selector` selects at that time. */
  async service(selector: Labels): Promise<Service> {
    const service = new Service(this, selector);
    this.#servers.push(service.server);
    await service.listen();
    return service;
  }

  selected(selector: Labels): readonly Pod[] {
    const matches = ({ labels }: Pod) => Object.entries(selector).every(([name, value]) => labels[name] === value);
    return Array.from(this.pods).filter((pod) => pod.ready && matches(pod));
  }

  /** Ends whatever still runs. */
  async stop(): Promise<void> {
    for (const server of this.#servers) server.close();
    await Promise.all(
      Array.from(this.pods, async ({ process: child }) => {
        if (child.exitCode !== null) return;
        const exited = once(child, "exit");
        child.kill("SIGKILL");
        await exited;
      }),
    );
  }
}

/** Balances connections, never requests, and lets connections that stand be: kube-proxy in short. */
export class Service {
  readonly server: Server;
  /** May be changed, as `kubectl patch service` does. */
  selector: Labels;
  #next = 0;

  constructor(cluster: Cluster, selector: Labels) {
    this.selector = selector;
    this.server = createServer((socket) => {
      const pods = cluster.selected(this.selector);
      const pod = pods[this.#next++ % pods.length];
      if (pod === undefined) socket.resetAndDestroy();
      else join(socket, connect(pod.port, "127.0.0.1"));
    });
  }

  async listen(): Promise<void> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }
}

/** Bytes, ends and breaks of each side for the other. */
function join(one: Socket, other: Socket): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.setNoDelay();
    from.pipe(to);
    from.on("error", () => to.destroy());
    from.on("close", () => to.destroySoon());
  }
}
