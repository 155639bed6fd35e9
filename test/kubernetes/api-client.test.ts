import type { ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import { podAccess } from "../../src/kubernetes/api-access.ts";
import { ApiClient, ApiError } from "../../src/kubernetes/api-client.ts";
import { freeAfterTest } from "../kit/freed.ts";
import { KubernetesApi } from "../kit/kubernetes-api.ts";

const { signal } = new AbortController();
const collection = "/apis/coordination.k8s.io/v1/namespaces/shop/leases";
const path = `${collection}/perch`;
const lease = (holderIdentity: string, resourceVersion?: string) => ({
  apiVersion: "coordination.k8s.io/v1",
  kind: "Lease",
  metadata: { name: "perch", namespace: "shop", ...(resourceVersion === undefined ? {} : { resourceVersion }) },
  spec: { holderIdentity },
});

describe("writes to the Kubernetes API", () => {
  test("an object is created, read and replaced, each time with another version", async () => {
    const { client } = await started();
    const created = versionOf(await client.create(collection, lease("a"), signal));
    const read = await client.get(path, {}, signal);
    expect(read).toMatchObject({ spec: { holderIdentity: "a" }, metadata: { resourceVersion: created } });
    const replaced = await client.replace(path, readied(lease("b", created)), signal);
    expect(replaced).toMatchObject({ spec: { holderIdentity: "b" } });
    expect(versionOf(replaced)).not.toBe(created);
  });

  test("what is there is not created again, and what has changed since it was read is not replaced", async () => {
    const { api, client } = await started();
    const created = versionOf(await client.create(collection, lease("a"), signal));
    await expect(client.create(collection, lease("b"), signal)).rejects.toMatchObject({ status: 409 });
    await client.replace(path, readied(lease("b", created)), signal);
    const stale = client.replace(path, readied(lease("c", created)), signal);
    await expect(stale).rejects.toThrow(ApiError);
    await expect(stale).rejects.toThrow(/^409: .*modified/);
    expect(api.object(lease("a"))?.spec).toStrictEqual({ holderIdentity: "b" });
  });

  test("what is not there is neither read nor replaced", async () => {
    const { client } = await started();
    await expect(client.get(path, {}, signal)).rejects.toMatchObject({ status: 404 });
    await expect(client.replace(path, readied(lease("a", "7")), signal)).rejects.toMatchObject({ status: 404 });
  });

  test("the status is written beside the rest, and only a change of the rest is a new generation", async () => {
    const { client } = await started();
    const routes = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes";
    const route = (hostnames: string[], status?: unknown) => ({
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "HTTPRoute",
      metadata: { name: "web", namespace: "shop", resourceVersion: "" },
      spec: { hostnames },
      status,
    });
    const named = (version: string, content: ReturnType<typeof route>) => ({
      ...content,
      metadata: { ...content.metadata, resourceVersion: version },
    });
    const first = await client.create(routes, route(["a"]), signal);
    const second = await client.replace(
      `${routes}/web/status`,
      named(versionOf(first), route(["ignored"], { parents: [] })),
      signal,
    );
    expect(second).toMatchObject({ metadata: { generation: 1 }, spec: { hostnames: ["a"] }, status: { parents: [] } });
    const third = await client.replace(`${routes}/web`, named(versionOf(second), route(["b"], { parents: 1 })), signal);
    expect(third).toMatchObject({ metadata: { generation: 2 }, spec: { hostnames: ["b"] }, status: { parents: [] } });
  });
});

async function started(): Promise<{ api: KubernetesApi; client: ApiClient }> {
  const api = await KubernetesApi.start();
  const { folder, env } = await api.pod();
  const access = podAccess(env, () => performance.now(), folder);
  freeAfterTest(() => access.close());
  return { api, client: new ApiClient(access) };
}

function versionOf(object: unknown): string {
  return (object as { metadata: { resourceVersion: string } }).metadata.resourceVersion;
}

function readied(object: ReturnType<typeof lease>) {
  const { resourceVersion = "" } = object.metadata;
  return { ...object, metadata: { ...object.metadata, resourceVersion } };
}

describe("a watch that hangs", () => {
  const drop = (response: ServerResponse, text: string) => {
    const timer = setInterval(() => response.write(text), 20);
    response.on("close", () => clearInterval(timer));
  };
  const follow = async (client: ApiClient) => {
    for await (const _ of client.events("/api/v1/namespaces/shop/configmaps", {}, 300, signal));
  };

  test.each([
    ["a part of an event now and then", " "],
    ["empty lines", "\n"],
  ])("is given up, although it says %s", async (_, text) => {
    const { api, client } = await started();
    api.answerOnce((response) => drop(response, text));
    await expect(follow(client)).rejects.toThrow(new ApiError("the watch did not end within 0.3 s"));
  });

  test("is given up where only its refusal hangs, whose status is known all the same", async () => {
    const { api, client } = await started();
    api.answerOnce((response) => drop(response.writeHead(410), " "));
    await expect(follow(client)).rejects.toMatchObject({ status: 410, message: "410" });
  });

  test("is given up where an event does not end, before it takes much memory or time", async () => {
    const { api, client } = await started();
    api.answerOnce((response) => {
      const chunk = "x".repeat(64 * 1024);
      const more = () => {
        if (response.destroyed) return;
        if (response.write(chunk)) setImmediate(more);
        else response.once("drain", more);
      };
      more();
    });
    const events = client.events("/api/v1/namespaces/shop/configmaps", {}, 10_000, signal);
    await expect(events.next()).rejects.toThrow("an event is larger than 16777216 bytes");
  });
});
