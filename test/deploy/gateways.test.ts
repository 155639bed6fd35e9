import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { guide, guideBlock } from "./guide.ts";
import { schemaProblems } from "./kubernetes-schema.ts";
import {
  build,
  buildIn,
  configIn,
  drainMs,
  find,
  flagsOf,
  isSelected,
  kustomizeNeeds,
  type Manifest,
  selectedBy,
} from "./manifests.ts";

const kustomization = (text: string) => `apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n${text}`;

const perchOf = (manifests: readonly Manifest[]) => find(manifests, "Deployment", "perch").spec.template;

describe.skipIf(kustomizeNeeds !== "")(`the probes of the base${kustomizeNeeds}`, () => {
  const { startupProbe, livenessProbe, readinessProbe } = perchOf(build("deploy/base")).spec.containers[0];
  const probes = [livenessProbe, readinessProbe].map((probe) => ({
    periodSeconds: probe?.periodSeconds ?? 10,
    failureThreshold: probe?.failureThreshold ?? 3,
    timeoutSeconds: probe?.timeoutSeconds ?? 1,
  }));

  test("take no Pod away for one slow answer", () => {
    for (const { failureThreshold, timeoutSeconds } of probes) {
      expect(failureThreshold).toBeGreaterThanOrEqual(3);
      expect(timeoutSeconds).toBeGreaterThanOrEqual(5);
    }
  });

  test("restart a process only after a minute without an answer", () => {
    const [liveness] = probes;
    expect((liveness?.periodSeconds ?? 0) * (liveness?.failureThreshold ?? 0)).toBeGreaterThanOrEqual(60);
    expect((startupProbe?.periodSeconds ?? 0) * (startupProbe?.failureThreshold ?? 0)).toBe(30);
  });
});

describe.skipIf(kustomizeNeeds !== "")(`the patch of deploy/README.md for the drain${kustomizeNeeds}`, () => {
  test("changes the times and keeps every other argument", async () => {
    const manifests = await buildIn({
      "kustomization.yaml": kustomization("resources: [../../base]\npatches: [{ path: drain.yaml }]\n"),
      "drain.yaml": guideBlock("value: 30s"),
    });
    const [before] = perchOf(build("deploy/base")).spec.containers;
    const { terminationGracePeriodSeconds = 30, containers } = perchOf(manifests).spec;
    expect(flagsOf(containers[0])).toEqual({ ...flagsOf(before), "drain-delay": "30s" });
    expect(terminationGracePeriodSeconds * 1_000).toBeGreaterThanOrEqual(drainMs(containers[0]) + 5_000);
  });
});

test("the command of deploy/README.md takes the number of replicas out of what was applied, and nothing else", () => {
  const script = /view-last-applied deployment\/perch \| sed '([^']+)' \|/.exec(guide)?.[1] ?? "";
  const applied = readFileSync(new URL("../../deploy/base/deployment.yaml", import.meta.url), "utf8");
  const { stdout } = spawnSync("sed", [script], { input: applied, encoding: "utf8" });
  const { replicas, ...rest } = parse(applied).spec;
  expect(replicas).toBe(2);
  expect(parse(stdout).spec).toEqual(rest);
});

describe.skipIf(kustomizeNeeds !== "")(`two gateways in one namespace${kustomizeNeeds}`, () => {
  /** The gateway with all its components, and the one that the guide adds beside it. */
  async function both(): Promise<readonly Manifest[]> {
    const second = await buildIn({
      "kustomization.yaml": guideBlock("nameSuffix"),
      "perch.yaml": "routes: []\n",
    });
    return [...build("deploy/overlays/gateway"), ...second];
  }

  test("have no name in common", async () => {
    const names = (await both()).map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    expect(names).toEqual([...new Set(names)]);
  });

  test("select their own Pods, in every selector there is", async () => {
    const manifests = await both();
    const labelsOf = (name: string) => find(manifests, "Deployment", name).spec.template.metadata.labels;
    for (const [own, other] of [
      ["perch", "perch-internal"],
      ["perch-internal", "perch"],
    ] as const) {
      expect(selectedBy(find(manifests, "Service", own), manifests)).toEqual([own]);
      const { selector, template } = find(manifests, "Deployment", own).spec;
      const selectors = [
        selector.matchLabels,
        find(manifests, "PodDisruptionBudget", own).spec.selector.matchLabels,
        find(manifests, "NetworkPolicy", own).spec.podSelector.matchLabels,
        ...(template.spec.topologySpreadConstraints ?? []).map(({ labelSelector }) => labelSelector.matchLabels),
      ];
      expect(selectors.map((labels) => isSelected(labelsOf(own), labels))).toEqual(selectors.map(() => true));
      expect(selectors.map((labels) => isSelected(labelsOf(other), labels))).toEqual(selectors.map(() => false));
      expect(find(manifests, "HorizontalPodAutoscaler", own).spec.scaleTargetRef.name).toBe(own);
    }
  });

  test("read their own configurations", async () => {
    const { volumes = [] } = find(await both(), "Deployment", "perch-internal").spec.template.spec;
    expect(volumes.find(({ name }) => name === "config")?.configMap?.name).toBe("perch-config-internal");
  });

  test("are scraped by one monitor, as a job each", async () => {
    const manifests = await both();
    expect(manifests.filter(({ kind }) => kind === "PodMonitor").map(({ metadata }) => metadata.name)).toEqual([
      "perch",
      "perch-sidecar",
    ]);
    const { selector, jobLabel = "" } = find(manifests, "PodMonitor", "perch").spec;
    const jobs = ["perch", "perch-internal"].map((name) => {
      const { labels } = find(manifests, "Deployment", name).spec.template.metadata;
      expect(isSelected(labels, selector.matchLabels)).toBe(true);
      return labels[jobLabel];
    });
    expect(jobs).toEqual(["perch", "perch-internal"]);
  });
});

describe.skipIf(kustomizeNeeds !== "")(`deploy/components/monitoring${kustomizeNeeds}`, () => {
  const annotate = `
patches:
  - target: { kind: Deployment, name: perch }
    patch: |-
      apiVersion: apps/v1
      kind: Deployment
      metadata: { name: perch }
      spec: { template: { metadata: { annotations: { sidecar.example.com/inject: "false" } } } }
`;

  test("keeps the annotations that a reader has added to the Pods", async () => {
    const manifests = await buildIn({
      "annotated/kustomization.yaml": kustomization(`resources: [../../base]${annotate}`),
      "kustomization.yaml": kustomization("resources: [annotated]\ncomponents: [../../components/monitoring]\n"),
    });
    expect(perchOf(manifests).metadata.annotations).toEqual({ "sidecar.example.com/inject": "false" });
  });

  test("builds where the Pods have no annotations", async () => {
    const none = `
patches:
  - target: { kind: Deployment, name: perch }
    patch: '[{ "op": "remove", "path": "/spec/template/metadata/annotations" }]'
`;
    const manifests = await buildIn({
      "bare/kustomization.yaml": kustomization(`resources: [../../base]${none}`),
      "kustomization.yaml": kustomization("resources: [bare]\ncomponents: [../../components/monitoring]\n"),
    });
    expect(perchOf(manifests).metadata.annotations ?? {}).toEqual({});
  });

  test.each([
    ["a Deployment's ReplicaSet", "web-7d9f8b6c54", "web"],
    ["a StatefulSet", "cart", "cart"],
    ["a name with dashes", "order-history-5b4d8c9f7", "order-history"],
    ["a CronJob's Job", "report-28391234", "report"],
  ])("gives the sidecars of %s one job", (_, controller, workload) => {
    const [endpoint] = find(build("deploy/overlays/gateway"), "PodMonitor", "perch-sidecar").spec.podMetricsEndpoints;
    const [rule] = endpoint?.relabelings ?? [];
    expect(rule).toMatchObject({ sourceLabels: ["__meta_kubernetes_pod_controller_name"], targetLabel: "job" });
    expect(controller.replace(new RegExp(`^(?:${rule?.regex})$`), rule?.replacement ?? "")).toBe(
      `perch-sidecar/${workload}`,
    );
  });
});

describe.skipIf(kustomizeNeeds !== "")(`deploy/components/network-policy${kustomizeNeeds}`, () => {
  const egressOf = (manifests: readonly Manifest[]) => find(manifests, "NetworkPolicy", "perch").spec.egress;

  test("lets Perch reach Pods of every namespace, and DNS wherever it answers", () => {
    expect(egressOf(build("deploy/overlays/gateway"))).toEqual([
      { to: [{ namespaceSelector: {} }] },
      {
        ports: [
          { port: 53, protocol: "UDP" },
          { port: 53, protocol: "TCP" },
        ],
      },
    ]);
  });

  test("opens more by the patch of the guide", async () => {
    const manifests = await buildIn({ "kustomization.yaml": guideBlock("/spec/egress/-") });
    expect(egressOf(manifests).slice(2)).toEqual([
      {
        to: [{ ipBlock: { cidr: "0.0.0.0/0", except: ["169.254.0.0/16"] } }],
        ports: [
          { port: 443, protocol: "TCP" },
          { port: 6443, protocol: "TCP" },
        ],
      },
    ]);
    expect(manifests.flatMap(schemaProblems)).toEqual([]);
  });
});

describe.skipIf(kustomizeNeeds !== "")(`deploy/overlays/tls${kustomizeNeeds}`, () => {
  const manifests = kustomizeNeeds === "" ? build("deploy/overlays/tls") : [];

  test("offers HTTP and HTTPS at a load balancer, which keeps clients' addresses", () => {
    const { type, externalTrafficPolicy, ports } = find(manifests, "Service", "perch").spec;
    expect({ type, externalTrafficPolicy }).toEqual({ type: "LoadBalancer", externalTrafficPolicy: "Local" });
    const [container] = perchOf(manifests).spec.containers;
    const reached = ports.map(({ port, targetPort }) => [
      port,
      container.ports.find(({ name }) => name === targetPort)?.containerPort,
    ]);
    expect(reached).toEqual([
      [443, 8443],
      [80, 8080],
    ]);
  });

  test("mounts the certificate that its configuration names, and reads it as the Pod's group", () => {
    const config = configIn(manifests, "perch-config");
    if (!config.ok) throw new Error("the configuration is refused");
    expect(config.warnings).toEqual([]);
    const { volumes = [], containers } = perchOf(manifests).spec;
    const mount = containers[0].volumeMounts?.find(({ name }) => name === "tls");
    const { projected } = volumes.find(({ name }) => name === "tls") ?? {};
    expect(projected?.defaultMode).toBe(0o440);
    const mounted = projected?.sources.flatMap(({ secret }) =>
      secret.items.map(({ path }) => `${mount?.mountPath}/${path}`),
    );
    expect(mounted).toEqual(["/etc/perch/tls/shop-shop-tls/tls.crt", "/etc/perch/tls/shop-shop-tls/tls.key"]);
    expect(config.compiled.files).toEqual(expect.arrayContaining(mounted ?? []));
    const secrets = projected?.sources.map(({ secret }) => secret.name);
    expect(secrets).toEqual(["shop-tls"]);
  });

  test("gives a load balancer time to notice that a Pod leaves", () => {
    const { terminationGracePeriodSeconds = 30, containers } = perchOf(manifests).spec;
    expect(flagsOf(containers[0])["drain-delay"]).toBe("30s");
    expect(terminationGracePeriodSeconds * 1_000).toBe(drainMs(containers[0]) + 15_000);
  });
});
