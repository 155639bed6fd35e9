import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { podAccess } from "../../src/kubernetes/api-access.ts";
import { findAccess } from "../../src/kubernetes/find-access.ts";
import { freeAfterTest } from "../kit/freed.ts";
import { KubernetesApi } from "../kit/kubernetes-api.ts";

test("a Pod's own namespace is what the kubelet says, if it does", async () => {
  const { folder, env } = await (await KubernetesApi.start()).pod();
  const namespace = async () => {
    const access = podAccess(env, () => 0, folder);
    freeAfterTest(() => access.close());
    return access.namespace;
  };
  expect(await namespace()).toBeUndefined();
  await writeFile(join(folder, "namespace"), "shop\n");
  expect(await namespace()).toBe("shop");
});

test("elsewhere it is that of the context, as kubectl has it", async () => {
  const access = findAccess({ KUBECONFIG: await (await KubernetesApi.start()).kubeconfig() }, () => 0);
  freeAfterTest(() => access.close());
  expect(access.namespace).toBe("default");
});
