import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Metadata } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import type { ConfigSource } from "../../src/app/config-source.ts";
import { TestDnsServer } from "../kit/dns-server.ts";
import { perch, upstream } from "../kit/freed.ts";
import { grpcClient, grpcServer } from "../kit/grpc.ts";
import { KubernetesApi } from "../kit/kubernetes-api.ts";
import { exchange } from "../kit/one-service.ts";
import { temporaryFolder } from "../kit/served.ts";
import { shopTls } from "../kit/tls-perch.ts";
import { all, pages, readPage } from "./page.ts";

interface MetricRow {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
}

const byName = (one: MetricRow, other: MetricRow) => (one.name < other.name ? -1 : 1);

/** The rows of docs/metrics.md, sorted by name. */
function documentedMetrics(): readonly MetricRow[] {
  const rows = all(readPage("docs/metrics.md").tokens, "table").flatMap((table) => table.rows);
  return rows
    .map((row) => row.map((cell) => cell.text))
    .filter(([first = ""]) => /^`perch_\w+`$/.test(first))
    .map(([name = "", type = "", labels = ""]) => ({
      name: name.replaceAll("`", ""),
      type,
      labels: labels.split(", ").filter((label) => label !== ""),
    }))
    .sort(byName);
}

/** What an exposition declares, with the labels that its series have. */
function exportedMetrics(exposition: string): readonly MetricRow[] {
  return [...exposition.matchAll(/^# TYPE (perch_\w+) (\w+)$/gm)]
    .map(([, name = "", type = ""]) => {
      const series = new RegExp(`^${name}${type === "histogram" ? "_count" : ""}(?:\\{(.*)\\})? `, "m").exec(
        exposition,
      );
      if (series === null) throw new Error(`${name} has no series: make Perch have one, or nobody knows its labels`);
      return { name, type, labels: [...(series[1] ?? "").matchAll(/(\w+)="/g)].map(([, label = ""]) => label) };
    })
    .sort(byName);
}

/** Perch with everything configured that has series of its own, after one request of each kind. */
async function busyPerch() {
  const shop = await upstream("stable");
  const greeter = await grpcServer({ unary: (_call, answered) => answered(null, "hello") });
  const dns = await TestDnsServer.start({ "shop.example": { A: ["127.0.0.1"] } });
  const api = await KubernetesApi.start();
  const tokens = join(await temporaryFolder(), "tokens");
  await writeFile(tokens, "a-token-of-more-than-thirty-two-bytes");
  api.setConfigMap("shop", "perch", {
    "perch.yaml": `listeners:
  - { name: web, address: "127.0.0.1:0", h2c: true }
  - { name: secure, address: "127.0.0.1:0", proxyProtocol: true, tls: { ${shopTls} } }
admin: { address: "127.0.0.1:0", tokenFile: ${tokens} }
state: { kubernetes: { configMap: perch-rollouts, lease: perch-leader, namespace: shop } }
dns: { servers: ["${dns.address}"] }
attributes: { plan: { type: number, from: [{ header: x-plan }] } }
services:
  shop:
    versions:
      stable: { endpoints: ["${shop.origin}"] }
      canary: { endpoints: [{ dns: shop.example, port: ${shop.port} }, { kubernetes: { service: shop, namespace: shop } }] }
  greeter: { protocol: http2, versions: { v1: { endpoints: ["${greeter}"] } } }
releases:
  shop:
    rules: [{ name: big, when: { plan: { atLeast: 3 } }, use: canary }]
    split: { stable: 100, canary: 0 }
    mirror: { version: canary, percent: 1 }
    rollout: { id: "1", candidate: canary, command: rollback, steps: [{ weight: 1, hold: 1h }] }
routes:
  - { name: greeter, match: { path: { prefix: /test.Texts } }, service: greeter }
  - name: shop
    service: shop
    release: shop
    rateLimit: { requests: 1000, per: 1s, shared: { redis: "redis://127.0.0.1:1" } }
    fault: { delay: { for: 1ms, percent: 100 } }
`,
  });
  const reference = { kind: "configmap", namespace: "shop", name: "perch", key: "perch.yaml" } as const;
  const source: ConfigSource = { kind: "kubernetes", reference, cacheFile: undefined };
  const started = await perch("", { source, env: { KUBECONFIG: await api.kubeconfig() } });
  await expect.poll(() => started.metric("perch_replica_leads")).toBe(1);
  await (await fetch(started.origin)).text();
  await exchange(started.port, "GET / HTTP/1.1\r\n\r\n");
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const answered = (error: Error | null) => (error === null ? resolve() : reject(error));
  grpcClient(started.port).unary("hello", new Metadata(), {}, answered);
  await promise;
  return started;
}

describe("docs/metrics.md", () => {
  test("has every metric of a Perch with everything configured, its type and its labels, and no other", async () => {
    const started = await busyPerch();
    const counted = 'perch_grpc_requests_total{route="greeter",service="greeter",version="v1",grpc_status="0"}';
    await expect.poll(() => started.metric(counted)).toBe(1);
    const exposition = await (await started.admin("/metrics")).text();
    expect(documentedMetrics()).toEqual(exportedMetrics(exposition));
  });

  test.each(pages.map((page) => [page.path, page] as const))("%s: names no metric that there is not", (_path, page) => {
    const known = new Set(documentedMetrics().map(({ name }) => name));
    const named = page.tokens.flatMap(({ raw }) => raw.match(/\bperch_\w+/g) ?? []);
    expect(named.filter((name) => !known.has(name.replace(/_(?:bucket|sum|count)$/, "")))).toEqual([]);
  });
});
