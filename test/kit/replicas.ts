import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import type { ReplicaStatus } from "../../src/admin/replicas-view.ts";
import type { RolloutBody } from "../../src/admin/rollout-body.ts";
import type { RolloutEvent } from "../../src/rollout/rollout-state.ts";
import { perch, upstream } from "./freed.ts";
import { KubernetesApi } from "./kubernetes-api.ts";
import { type AdminClient, adminClient, type TestPerch } from "./perch.ts";
import type { PerchProcess } from "./process.ts";
import { perchProcess, temporaryFolder } from "./served.ts";

const token = "a-token-of-more-than-thirty-two-bytes";
export const withToken: Readonly<Record<string, string>> = { authorization: `Bearer ${token}` };
const namespace = "shop";
export const stateObject = { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace, name: "perch-state" } };
export const leaseObject = {
  apiVersion: "coordination.k8s.io/v1",
  kind: "Lease",
  metadata: { namespace, name: "perch" },
};

export interface ProcessReplica extends AdminClient {
  readonly account: string;
  readonly process: PerchProcess;
  readonly origin: string;
  readonly adminOrigin: string;
}

export interface Replica extends TestPerch {
  readonly account: string;
}

/** Several replicas of one configuration, over one API, in front of two versions of a shop. */
export class ReplicaSet {
  readonly api: KubernetesApi;
  readonly replicas: Replica[] = [];
  readonly folder: string;
  readonly #text: (rollout: string) => string;
  readonly canary: { status: number; seen: number };

  private constructor(
    api: KubernetesApi,
    folder: string,
    text: (rollout: string) => string,
    canary: { status: number; seen: number },
  ) {
    this.api = api;
    this.folder = folder;
    this.#text = text;
    this.canary = canary;
  }

  static async start(rollout: string, names: readonly string[] = ["a", "b", "c"]): Promise<ReplicaSet> {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "tokens"), token);
    await writeFile(join(folder, "pins"), "a-secret-of-more-than-thirty-two-bytes");
    const canary = { status: 200, seen: 0 };
    const stable = await upstream("stable");
    const broken = await upstream("canary", (_request, response) => {
      canary.seen++;
      response.writeHead(canary.status, { "x-upstream": "canary" }).end();
    });
    const text = (planned: string) => `
listeners: [{ name: web, address: "127.0.0.1:0" }]
admin: { address: "127.0.0.1:0", tokenFile: ${folder}/tokens }
state: { kubernetes: { configMap: perch-state, lease: perch, namespace: ${namespace} } }
services:
  shop:
    default: stable
    versions: { stable: { endpoints: ["${stable.origin}"] }, canary: { endpoints: ["${broken.origin}"] } }
releases:
  shop:
    split: { stable: 100, canary: 0 }
    sticky: { cookie: { secretFile: ${folder}/pins } }
    rollout: ${planned}
routes: [{ name: all, service: shop, release: shop }]
`;
    const set = new ReplicaSet(await KubernetesApi.start(), folder, text, canary);
    for (const name of names) await set.add(name, rollout);
    return set;
  }

  /** Starts one more. */
  async add(account: string, rollout: string, stateDir?: string): Promise<Replica> {
    const source = { kind: "text", name: "perch.yaml", text: this.#text(rollout) } as const;
    const env = { KUBECONFIG: await this.api.kubeconfig(account) };
    const started = await perch("", { source, env, stateDir });
    const replica = { ...started, account };
    this.replicas.push(replica);
    return replica;
  }

  /** Starts one more, as a process of its own. */
  async addProcess(
    account: string,
    rollout: string,
    env: Readonly<Record<string, string>> = {},
  ): Promise<ProcessReplica> {
    const file = join(this.folder, `${account}.yaml`);
    await writeFile(file, this.#text(rollout));
    const variables = { KUBECONFIG: await this.api.kubeconfig(account), ...env };
    const process = perchProcess(["serve", "-c", file, "--warm-up", "0s"], variables);
    const { origin, admin } = await process.serving();
    return { account, process, origin, adminOrigin: admin, ...adminClient(admin) };
  }

  /** Writes to the shared state that the API took from a replica other than the holder of the Lease. */
  foreignWrites(): number {
    let holder: string | undefined;
    let found = 0;
    for (const { account, path, body, status } of this.api.writes) {
      if (status >= 300) continue;
      const { holderIdentity } = (body.spec ?? {}) as { readonly holderIdentity?: string };
      if (path.includes("/leases")) holder = holderIdentity ? account : undefined;
      else if (account !== holder) found++;
    }
    return found;
  }

  /** The events of the shared state. */
  get events(): readonly RolloutEvent[] {
    const text = this.api.object(stateObject)?.data?.["state.json"];
    return text === undefined ? [] : (JSON.parse(text) as { readonly events: readonly RolloutEvent[] }).events;
  }

  /** Those that say that they lead. */
  async leaders(): Promise<Replica[]> {
    const statuses = await Promise.all(this.replicas.map(replicaStatus));
    return this.replicas.filter((_, at) => statuses[at]?.isLeading);
  }

  /** Once there is one, and all know it. */
  async leader(): Promise<Replica> {
    let leader: Replica | undefined;
    await expect
      .poll(
        async () => {
          const statuses = await Promise.all(this.replicas.map(replicaStatus));
          leader = this.replicas.find((_, at) => statuses[at]?.isLeading);
          const known = new Set(statuses.map((status) => status.leader?.identity));
          return leader !== undefined && known.size === 1;
        },
        { timeout: 20_000 },
      )
      .toBe(true);
    if (leader === undefined) throw new Error("no replica leads");
    return leader;
  }

  async followers(): Promise<Replica[]> {
    const leader = await this.leader();
    return this.replicas.filter((each) => each !== leader);
  }
}

export async function replicaStatus({ admin }: AdminClient): Promise<ReplicaStatus> {
  return (await (await admin("/api/replicas")).json()) as ReplicaStatus;
}

export async function rolloutAt({ admin }: AdminClient): Promise<RolloutBody> {
  return (await (await admin("/api/rollouts/shop")).json()) as RolloutBody;
}

export function askRollout(
  { adminOrigin }: Pick<TestPerch, "adminOrigin">,
  verb: string,
  why = "the test asks",
): Promise<Response> {
  return fetch(`${adminOrigin}/api/rollouts/shop/${verb}`, {
    method: "POST",
    headers: { ...withToken, "content-type": "application/json" },
    body: JSON.stringify({ why }),
  });
}
