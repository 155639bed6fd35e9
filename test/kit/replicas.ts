import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import type { ReplicaStatus } from "../../src/admin/replicas.ts";
import type { RolloutBody } from "../../src/admin/rollout-body.ts";
import { perch, upstream } from "./freed.ts";
import { KubernetesApi } from "./kubernetes-api.ts";
import type { TestPerch } from "./perch.ts";
import { temporaryFolder } from "./served.ts";

const token = "a-token-of-more-than-thirty-two-bytes";
const namespace = "shop";
export const stateObject = { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace, name: "perch-state" } };
export const leaseObject = {
  apiVersion: "coordination.k8s.io/v1",
  kind: "Lease",
  metadata: { namespace, name: "perch" },
};

export interface Replica extends TestPerch {
  readonly account: string;
}

/** Several replicas of one configuration, over one API, in front of two versions of a shop. */
export class ReplicaSet {
  readonly api: KubernetesApi;
  readonly replicas: Replica[] = [];
  readonly #folder: string;
  readonly #text: (rollout: string) => string;
  readonly canary: { status: number; seen: number };

  private constructor(
    api: KubernetesApi,
    folder: string,
    text: (rollout: string) => string,
    canary: { status: number; seen: number },
  ) {
    this.api = api;
    this.#folder = folder;
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
  async add(account: string, rollout: string): Promise<Replica> {
    const source = { kind: "text", name: "perch.yaml", text: this.#text(rollout) } as const;
    const started = await perch("", { source, env: { KUBECONFIG: await this.api.kubeconfig(account) } });
    const replica = { ...started, account };
    this.replicas.push(replica);
    return replica;
  }

  get folder(): string {
    return this.#folder;
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

export async function replicaStatus({ admin }: TestPerch): Promise<ReplicaStatus> {
  return (await (await admin("/api/replicas")).json()) as ReplicaStatus;
}

export async function rolloutAt({ admin }: TestPerch): Promise<RolloutBody> {
  return (await (await admin("/api/rollouts/shop")).json()) as RolloutBody;
}

export function askRollout({ adminOrigin }: TestPerch, verb: string, why = "the test asks"): Promise<Response> {
  return fetch(`${adminOrigin}/api/rollouts/shop/${verb}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ why }),
  });
}
