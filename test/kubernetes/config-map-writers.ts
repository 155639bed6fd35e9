import { performance } from "node:perf_hooks";
import { podAccess } from "../../src/kubernetes/api-access.ts";
import { ApiClient } from "../../src/kubernetes/api-client.ts";
import { FencedConfigMap } from "../../src/kubernetes/fenced-config-map.ts";
import { scheduleUnref } from "../../src/upstream/clock.ts";
import { freeAfterTest } from "../kit/freed.ts";
import { KubernetesApi } from "../kit/kubernetes-api.ts";

export const stateObject = { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace: "shop", name: "state" } };

export interface ConfigMapWriter {
  readonly map: FencedConfigMap;
  /** Each content that it was told of, as `text of term`. */
  readonly seen: readonly (string | undefined)[];
}

/** An API, and as many processes as a test needs that write one ConfigMap. */
export async function sharedConfigMap() {
  const api = await KubernetesApi.start();
  const writer = async (account: string): Promise<ConfigMapWriter> => {
    const { folder, env } = await api.pod(account);
    const access = podAccess(env, () => performance.now(), folder);
    const seen: (string | undefined)[] = [];
    const map = new FencedConfigMap({
      client: new ApiClient(access),
      ...{ namespace: "shop", name: "state", randomFraction: Math.random },
      timers: { nowMs: Date.now, monotonicMs: () => performance.now(), schedule: scheduleUnref },
      onContent: (found, term) => void seen.push(found && `${found.data["text"]} of ${term}`),
      problemOf: async ({ data }) => (data["text"]?.startsWith("damaged") ? "it is damaged" : undefined),
      onTrouble() {},
    });
    freeAfterTest(async () => {
      await map.close();
      await access.close();
    });
    return { map, seen };
  };
  return { api, writer };
}
