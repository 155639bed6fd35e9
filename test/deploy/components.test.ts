import { readFileSync } from "node:fs";
import { posix } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { schemaProblems } from "./kubernetes-schema.ts";
import {
  build,
  buildIn,
  type Container,
  configIn,
  drainMs,
  find,
  flagsOf,
  isSelected,
  kustomizeNeeds,
  type Manifest,
} from "./manifests.ts";

const kustomizations = [
  "deploy/base",
  "deploy/overlays/gateway",
  "deploy/overlays/tls",
  "deploy/overlays/sidecar/native",
  "deploy/overlays/sidecar/classic",
  "deploy/examples/nginx/start",
  "deploy/examples/nginx/start-current",
  "deploy/examples/nginx/gateway",
  "deploy/examples/nginx",
];

/** As kustomize makes them: ten characters, none of them a vowel. */
const hashSuffix = /-[2-9bcdfghkmt]{10}$/;

describe.skipIf(kustomizeNeeds !== "")(`kustomizations${kustomizeNeeds}`, () => {
  test.each(kustomizations)("%s builds what the Kubernetes schemas allow, to the last key", (folder) => {
    for (const manifest of build(folder)) {
      expect([`${manifest.kind} ${manifest.metadata.name}`, schemaProblems(manifest)]).toEqual([
        `${manifest.kind} ${manifest.metadata.name}`,
        [],
      ]);
    }
  });

  test.each(kustomizations)("%s has each object once, and no name that an edit changes", (folder) => {
    const names = build(folder).map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    expect(names).toEqual([...new Set(names)]);
    expect(names.filter((name) => hashSuffix.test(name))).toEqual([]);
  });
});

describe.skipIf(kustomizeNeeds !== "")(`the kustomization that deploy/README.md gives${kustomizeNeeds}`, () => {
  test("builds, with the reader's namespace, registry and configuration", async () => {
    const guide = readFileSync(new URL("../../deploy/README.md", import.meta.url), "utf8");
    const [, block = ""] = /^```yaml\n(apiVersion[^`]*)```$/m.exec(guide) ?? [];
    const manifests = await buildIn({ "kustomization.yaml": block, "perch.yaml": "routes: []\n" });
    expect(find(manifests, "ConfigMap", "perch-config").data).toEqual({ "perch.yaml": "routes: []\n" });
    const [container] = find(manifests, "Deployment", "perch").spec.template.spec.containers;
    expect(container.image).toMatch(/^registry\.example\.com\/perch-proxy:/);
    expect(new Set(manifests.map(({ metadata }) => metadata.namespace))).toEqual(new Set(["shop"]));
    expect(manifests.flatMap(schemaProblems)).toEqual([]);
  });
});

describe.skipIf(kustomizeNeeds !== "")(`deploy/overlays/gateway${kustomizeNeeds}`, () => {
  let manifests: readonly Manifest[];
  let podLabels: Readonly<Record<string, string>>;
  let container: Container;
  beforeAll(() => {
    manifests = build("deploy/overlays/gateway");
    const { template } = find(manifests, "Deployment", "perch").spec;
    podLabels = template.metadata.labels;
    container = template.spec.containers[0];
  });

  test("leaves the number of replicas to the autoscaler, which never goes below the base's", () => {
    const { scaleTargetRef, minReplicas, maxReplicas } = find(manifests, "HorizontalPodAutoscaler", "perch").spec;
    expect(scaleTargetRef).toEqual({ apiVersion: "apps/v1", kind: "Deployment", name: "perch" });
    expect(find(manifests, "Deployment", "perch").spec.replicas).toBeUndefined();
    expect(minReplicas).toBe(find(build("deploy/base"), "Deployment", "perch").spec.replicas);
    expect(maxReplicas).toBeGreaterThan(minReplicas);
  });

  test("lets a node drain while one replica stays, since there are two at least", () => {
    const { maxUnavailable, selector } = find(manifests, "PodDisruptionBudget", "perch").spec;
    expect(isSelected(podLabels, selector.matchLabels)).toBe(true);
    expect(maxUnavailable).toBeLessThan(find(manifests, "HorizontalPodAutoscaler", "perch").spec.minReplicas);
  });

  test("opens the listener to everybody, and the admin port to Prometheus and other replicas alone", () => {
    const { podSelector, policyTypes, ingress } = find(manifests, "NetworkPolicy", "perch").spec;
    expect(isSelected(podLabels, podSelector.matchLabels)).toBe(true);
    expect(policyTypes).toEqual(["Ingress", "Egress"]);
    const opened = ingress.map(({ from, ports }) => ({
      toAll: from === undefined,
      ports: ports.map(({ port }) => port),
    }));
    expect(opened).toEqual([
      { toAll: true, ports: ["web", "https"] },
      { toAll: false, ports: ["admin"] },
      { toAll: false, ports: ["admin"] },
    ]);
    expect(container.ports.map(({ name }) => name)).toEqual(["web", "admin"]);
  });

  test("is scraped once: by the PodMonitor, and by no annotation besides", () => {
    const { selector, podMetricsEndpoints } = find(manifests, "PodMonitor", "perch").spec;
    expect(isSelected(podLabels, selector.matchLabels)).toBe(true);
    expect(podMetricsEndpoints).toMatchObject([{ port: "admin", path: "/metrics" }]);
    expect(find(manifests, "Deployment", "perch").spec.template.metadata.annotations).toEqual({});
  });

  test("spreads its Pods over nodes and zones", () => {
    const spread = find(manifests, "Deployment", "perch").spec.template.spec.topologySpreadConstraints ?? [];
    expect(spread.map(({ topologyKey }) => topologyKey)).toEqual([
      "kubernetes.io/hostname",
      "topology.kubernetes.io/zone",
    ]);
    for (const { labelSelector, matchLabelKeys } of spread) {
      expect(isSelected(podLabels, labelSelector.matchLabels)).toBe(true);
      // Not around the Pods of the revision that an update takes away.
      expect(matchLabelKeys).toEqual(["pod-template-hash"]);
    }
  });

  test("hands Grafana's sidecar the dashboard as it stands in the repository", () => {
    const { metadata, data } = find(manifests, "ConfigMap", "perch-dashboard");
    expect(metadata.labels).toMatchObject({ grafana_dashboard: "1" });
    expect(JSON.parse(data["perch-dashboard.json"] ?? "")).toMatchObject({ title: "Perch" });
  });
});

describe.skipIf(kustomizeNeeds !== "")(`deploy/components/config-api${kustomizeNeeds}`, () => {
  test("has the ConfigMap followed by name, by an account that may read nothing else", async () => {
    const manifests = await buildIn({
      "kustomization.yaml": `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: shop
resources: [../../base]
components: [../../components/config-api]
`,
    });
    expect(manifests.flatMap(schemaProblems)).toEqual([]);
    const { automountServiceAccountToken, serviceAccountName, containers } = find(manifests, "Deployment", "perch").spec
      .template.spec;
    const [container] = containers;
    expect(automountServiceAccountToken).toBe(true);
    expect(container.args?.slice(0, 3)).toEqual([
      "serve",
      "--config=kubernetes://configmap/$(POD_NAMESPACE)/$(CONFIG_NAME)/perch.yaml",
      "--config-cache=/var/cache/perch/perch.yaml",
    ]);
    expect(container.args).toContain("--drain-delay=$(DRAIN_DELAY)");
    expect(container.env).toContainEqual({ name: "CONFIG_NAME", value: "perch-config" });
    // Longer than the 30 s that Perch waits for the API before it says what is missing.
    expect(container.startupProbe).toMatchObject({ httpGet: { path: "/livez" }, failureThreshold: 120 });
    expect(container.volumeMounts?.map(({ mountPath }) => mountPath)).toContain("/var/cache/perch");
    // No Secret gets onto a disk.
    expect(find(manifests, "Deployment", "perch").spec.template.spec.volumes).toContainEqual({
      name: "config-cache",
      emptyDir: { medium: "Memory", sizeLimit: "16Mi" },
    });
    expect(find(manifests, "Role", "perch-config-api").rules).toEqual([
      { apiGroups: [""], resources: ["configmaps"], resourceNames: ["perch-config"], verbs: ["list", "watch"] },
    ]);
    const { roleRef, subjects } = find(manifests, "RoleBinding", "perch-config-api");
    expect(roleRef).toMatchObject({ kind: "Role", name: "perch-config-api" });
    expect(subjects).toEqual([{ kind: "ServiceAccount", name: serviceAccountName, namespace: "shop" }]);
  });

  test("gets a rule for each Secret that the configuration names, by the patch of docs/kubernetes.md", async () => {
    const docs = readFileSync(new URL("../../docs/kubernetes.md", import.meta.url), "utf8");
    const [, block = ""] = /^```yaml\n(apiVersion[^`]*\/rules\/-[^`]*)```$/m.exec(docs) ?? [];
    const manifests = await buildIn({ "kustomization.yaml": block });
    expect(manifests.flatMap(schemaProblems)).toEqual([]);
    const verbs = ["list", "watch"];
    expect(find(manifests, "Role", "perch-config-api").rules).toEqual([
      { apiGroups: [""], resources: ["configmaps"], resourceNames: ["perch-config"], verbs },
      { apiGroups: [""], resources: ["secrets"], resourceNames: ["perch-admin", "web-tls"], verbs },
    ]);
  });
});

describe.skipIf(kustomizeNeeds !== "")(`deploy/components/shared-state${kustomizeNeeds}`, () => {
  test("lets the replicas write one ConfigMap and one Lease, and reach one another", async () => {
    const manifests = await buildIn({
      "kustomization.yaml": `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: shop
resources: [../../base]
components: [../../components/shared-state, ../../components/config-api, ../../components/network-policy]
`,
    });
    expect(manifests.flatMap(schemaProblems)).toEqual([]);
    const { automountServiceAccountToken, serviceAccountName, containers } = find(manifests, "Deployment", "perch").spec
      .template.spec;
    const [container] = containers;
    expect(automountServiceAccountToken).toBe(true);
    expect(container.env?.map(({ name }) => name)).toEqual(expect.arrayContaining(["POD_IP", "POD_NAMESPACE"]));
    const mounts = container.volumeMounts?.map(({ mountPath }) => mountPath);
    expect(mounts).toEqual(expect.arrayContaining(["/run/secrets/perch-admin", "/var/lib/perch"]));
    expect(container.args).toContain("--state-dir=/var/lib/perch");
    const verbs = ["get", "list", "watch", "update"];
    expect(find(manifests, "Role", "perch-shared-state").rules).toEqual([
      { apiGroups: [""], resources: ["configmaps"], resourceNames: ["perch-rollouts"], verbs },
      { apiGroups: ["coordination.k8s.io"], resources: ["leases"], resourceNames: ["perch-leader"], verbs },
    ]);
    const { roleRef, subjects } = find(manifests, "RoleBinding", "perch-shared-state");
    expect(roleRef).toMatchObject({ kind: "Role", name: "perch-shared-state" });
    expect(subjects).toEqual([{ kind: "ServiceAccount", name: serviceAccountName, namespace: "shop" }]);
    for (const [kind, name] of [
      ["ConfigMap", "perch-rollouts"],
      ["Lease", "perch-leader"],
    ] as const) {
      const object = find(manifests, kind, name);
      // Applied again, what Perch wrote stays.
      expect(Object.keys(object).sort()).toEqual(["apiVersion", "kind", "metadata"]);
    }
    const { ingress } = find(manifests, "NetworkPolicy", "perch").spec as unknown as { ingress: unknown[] };
    expect(ingress).toContainEqual({
      from: [
        {
          podSelector: {
            matchLabels: { "app.kubernetes.io/name": "perch", "app.kubernetes.io/instance": "perch" },
          },
        },
      ],
      ports: [{ port: "admin" }],
    });
  });
});

describe.skipIf(kustomizeNeeds !== "")(`deploy/components/kubernetes-endpoints${kustomizeNeeds}`, () => {
  const buildWith = (...components: readonly string[]) =>
    buildIn({
      "kustomization.yaml": `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: shop
resources: [../../base]
components: [${components.map((name) => `../../components/${name}`)}]
`,
    });

  test("lets an account that may do nothing else follow the EndpointSlices of the namespace", async () => {
    const manifests = await buildWith("kubernetes-endpoints");
    expect(manifests.flatMap(schemaProblems)).toEqual([]);
    const { automountServiceAccountToken, serviceAccountName } = find(manifests, "Deployment", "perch").spec.template
      .spec;
    expect(automountServiceAccountToken).toBe(true);
    expect(manifests.filter(({ kind }) => kind.includes("Role")).map(({ kind }) => kind)).toEqual([
      "Role",
      "RoleBinding",
    ]);
    expect(find(manifests, "Role", "perch-kubernetes-endpoints").rules).toEqual([
      { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list", "watch"] },
    ]);
    const { metadata, roleRef, subjects } = find(manifests, "RoleBinding", "perch-kubernetes-endpoints");
    expect(metadata.namespace).toBe("shop");
    expect(roleRef).toMatchObject({ kind: "Role", name: "perch-kubernetes-endpoints" });
    expect(subjects).toEqual([{ kind: "ServiceAccount", name: serviceAccountName, namespace: "shop" }]);
  });

  test("tells Perch its zone, and goes together with config-api", async () => {
    const manifests = await buildWith("config-api", "kubernetes-endpoints");
    expect(manifests.flatMap(schemaProblems)).toEqual([]);
    const [{ env = [] }] = find(manifests, "Deployment", "perch").spec.template.spec.containers;
    expect(env).toContainEqual({
      name: "PERCH_ZONE",
      valueFrom: { fieldRef: { fieldPath: "metadata.labels['topology.kubernetes.io/zone']" } },
    });
    expect(env.map(({ name }) => name)).toContain("POD_NAMESPACE");
  });
});

describe.skipIf(kustomizeNeeds !== "")(`deploy/components/gateway-api${kustomizeNeeds}`, () => {
  test("has the rights of what Perch asks the API for, and no others", async () => {
    const manifests = await buildIn({
      "kustomization.yaml": `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: shop
resources: [../../base]
components: [../../components/gateway-api]
`,
    });
    // Of the Gateway API there is no schema here.
    expect(manifests.filter(({ kind }) => kind !== "GatewayClass").flatMap(schemaProblems)).toEqual([]);
    const { automountServiceAccountToken, serviceAccountName } = find(manifests, "Deployment", "perch").spec.template
      .spec;
    expect(automountServiceAccountToken).toBe(true);
    expect(find(manifests, "GatewayClass", "perch").spec).toEqual({ controllerName: "perch.dev/gateway" });
    /** The resources that a ClusterRole allows, by verb. */
    const allowedBy = (role: string) => {
      const allowed: Record<string, string[]> = {};
      for (const { resources, verbs } of find(manifests, "ClusterRole", role).rules) {
        for (const verb of verbs) allowed[verb] = [...(allowed[verb] ?? []), ...resources].toSorted();
      }
      return allowed;
    };
    expect(allowedBy("perch-gateway-api")).toEqual({
      get: ["gatewayclasses"],
      list: ["gatewayclasses", "namespaces"],
      watch: ["gatewayclasses", "namespaces"],
      update: ["gatewayclasses/status"],
    });
    // Of namespaces: this one may be bound in some of them only.
    const written = ["backendtlspolicies", "gateways", "grpcroutes", "httproutes"];
    const read = [...written, "referencegrants", "services"];
    expect(allowedBy("perch-gateway-routes")).toEqual({
      get: written,
      list: read,
      watch: read,
      update: written.map((kind) => `${kind}/status`),
    });
    expect(find(manifests, "Role", "perch-gateway-certificates").rules).toEqual([
      { apiGroups: [""], resources: ["secrets"], resourceNames: ["perch-tls"], verbs: ["list", "watch"] },
    ]);
    for (const [kind, name] of [
      ["ClusterRoleBinding", "perch-gateway-api"],
      ["ClusterRoleBinding", "perch-gateway-routes"],
      ["RoleBinding", "perch-gateway-certificates"],
    ] as const) {
      const { roleRef, subjects } = find(manifests, kind, name);
      expect(roleRef).toMatchObject({ name });
      expect(subjects).toEqual([{ kind: "ServiceAccount", name: serviceAccountName, namespace: "shop" }]);
    }
  });
});

describe.skipIf(kustomizeNeeds !== "")(`deploy/components/gateway-endpoints${kustomizeNeeds}`, () => {
  test("adds to gateway-api the right to follow EndpointSlices everywhere, and nothing else", async () => {
    const manifests = await buildIn({
      "kustomization.yaml": `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: shop
resources: [../../base]
components: [../../components/gateway-api, ../../components/gateway-endpoints]
`,
    });
    expect(manifests.filter(({ kind }) => kind !== "GatewayClass").flatMap(schemaProblems)).toEqual([]);
    const { rules } = find(manifests, "ClusterRole", "perch-gateway-endpoints");
    expect(rules).toEqual([
      { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list", "watch"] },
    ]);
    const { roleRef, subjects } = find(manifests, "ClusterRoleBinding", "perch-gateway-endpoints");
    expect(roleRef).toMatchObject({ kind: "ClusterRole", name: "perch-gateway-endpoints" });
    const { spec } = find(manifests, "Deployment", "perch").spec.template;
    expect(subjects).toEqual([{ kind: "ServiceAccount", name: spec.serviceAccountName, namespace: "shop" }]);
    expect(spec.containers[0].env?.map(({ name }: { name: string }) => name)).toContain("PERCH_ZONE");
  });
});

describe.skipIf(kustomizeNeeds !== "")(`deploy/components of a second gateway${kustomizeNeeds}`, () => {
  test("refer to its own objects, whose names have its suffix", async () => {
    const manifests = await buildIn({
      "perch.yaml": "routes: []\n",
      "kustomization.yaml": `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: shop
nameSuffix: -internal
resources: [../../base]
components: [../../components/shared-state, ../../components/config-api]
configMapGenerator: [{ name: perch-config, behavior: replace, files: [perch.yaml] }]
generatorOptions: { disableNameSuffixHash: true }
`,
    });
    const [{ args = [], env = [] }] = find(manifests, "Deployment", "perch-internal").spec.template.spec.containers;
    expect(args).toContain("--config=kubernetes://configmap/$(POD_NAMESPACE)/$(CONFIG_NAME)/perch.yaml");
    const variables = Object.fromEntries(env.map(({ name, value }) => [name, value]));
    expect(variables).toMatchObject({
      CONFIG_NAME: "perch-config-internal",
      STATE_CONFIG_MAP: "perch-rollouts-internal",
      STATE_LEASE: "perch-leader-internal",
    });
    for (const [kind, name] of [
      ["ConfigMap", "perch-config-internal"],
      ["ConfigMap", "perch-rollouts-internal"],
      ["Lease", "perch-leader-internal"],
    ] as const) {
      expect(find(manifests, kind, name).kind).toBe(kind);
    }
    const named = (role: string) => find(manifests, "Role", role).rules.map(({ resourceNames }) => resourceNames);
    expect(named("perch-config-api-internal")).toEqual([["perch-config-internal"]]);
    expect(named("perch-shared-state-internal")).toEqual([["perch-rollouts-internal"], ["perch-leader-internal"]]);
  });
});

describe.skipIf(kustomizeNeeds !== "")(`deploy/components/https-port${kustomizeNeeds}`, () => {
  test.each([
    ["alone", "[../../components/https-port]"],
    ["beside tls, which contains it", "[../../components/https-port, ../../components/tls]"],
  ])("opens port 443 once, %s", async (_sentence, components) => {
    const manifests = await buildIn({
      "kustomization.yaml": `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: shop
resources: [../../base]
components: ${components}
`,
    });
    expect(manifests.flatMap(schemaProblems)).toEqual([]);
    const https = find(manifests, "Service", "perch").spec.ports.filter(({ name }) => name === "https");
    expect(https).toEqual([{ name: "https", port: 443, targetPort: "https" }]);
    const [{ ports = [] }] = find(manifests, "Deployment", "perch").spec.template.spec.containers;
    expect(ports.filter(({ name }) => name === "https")).toEqual([{ name: "https", containerPort: 8443 }]);
  });
});

describe.skipIf(kustomizeNeeds !== "").each(["native", "classic"] as const)(
  `deploy/overlays/sidecar/%s${kustomizeNeeds}`,
  (variant) => {
    let manifests: readonly Manifest[];
    let perch: Container;
    let web: Container;
    beforeAll(() => {
      manifests = build(`deploy/overlays/sidecar/${variant}`);
      const { initContainers = [], containers } = find(manifests, "Deployment", "web").spec.template.spec;
      const all = [...initContainers, ...containers];
      perch = all.find(({ name }) => name === "perch") ?? containers[0];
      web = all.find(({ name }) => name === "web") ?? containers[0];
    });

    const pod = () => find(manifests, "Deployment", "web").spec.template;

    test("puts Perch into the caller's Pod as what it says", () => {
      const { initContainers = [], containers } = pod().spec;
      const native = variant === "native";
      expect(initContainers.map(({ name }) => name)).toEqual(native ? ["perch"] : []);
      expect(containers.map(({ name }) => name).sort()).toEqual(native ? ["web"] : ["perch", "web"]);
      expect(perch.restartPolicy).toBe(native ? "Always" : undefined);
    });

    test("lets the caller call where Perch listens, and nobody else", () => {
      const config = configIn(manifests, "perch-sidecar-config");
      if (!config.ok) throw new Error("the configuration is refused");
      expect(config.warnings).toEqual([]);
      expect(config.compiled.unsignedReleases).toEqual([]);
      const [listener] = config.compiled.listeners;
      expect(config.compiled.listeners).toMatchObject([{ address: { host: "127.0.0.1", port: 8080 } }]);
      const origin = web.env?.find(({ name }) => name === "SHOP_URL")?.value;
      expect(listener?.address).toMatchObject({ host: "127.0.0.1", port: Number(new URL(origin ?? "").port) });
      expect(config.compiled.admin).toEqual({ host: "*", port: perch.ports[0]?.containerPort });
      expect(config.compiled.adminAccess.withoutToken).toBe("probes-and-metrics");
    });

    test("mounts configuration and secret as whole volumes, readable without the Pod's fsGroup", () => {
      const file = String(flagsOf(perch)["config"]);
      const mounts = perch.volumeMounts ?? [];
      expect(mounts.filter(({ subPath }) => subPath !== undefined)).toEqual([]);
      const volumeAt = (path: string) => {
        const name = mounts.find(({ mountPath }) => mountPath === path)?.name;
        return pod().spec.volumes?.find((volume) => volume.name === name);
      };
      expect(volumeAt(posix.dirname(file))?.configMap?.name).toBe("perch-sidecar-config");
      expect(volumeAt("/run/secrets/perch")?.secret).toEqual({ secretName: "perch-sticky", defaultMode: 0o444 });
    });

    test("probes and scrapes Perch at its own port", () => {
      const { startupProbe, livenessProbe, readinessProbe } = perch;
      expect([startupProbe, livenessProbe, readinessProbe].map((probe) => probe?.httpGet)).toEqual([
        { path: "/livez", port: "perch-admin" },
        { path: "/livez", port: "perch-admin" },
        { path: "/readyz", port: "perch-admin" },
      ]);
      const monitor = find(build("deploy/overlays/gateway"), "PodMonitor", "perch-sidecar").spec;
      expect(isSelected(pod().metadata.labels, monitor.selector.matchLabels)).toBe(true);
      expect(monitor.podMetricsEndpoints).toMatchObject([{ port: "perch-admin", path: "/metrics" }]);
      // What selects the gateway must not select a caller.
      expect(pod().metadata.labels).not.toHaveProperty(["app.kubernetes.io/name"]);
    });

    test("outlives the caller's calls and ends within the Pod's time", () => {
      const { terminationGracePeriodSeconds = 30 } = pod().spec;
      expect(drainMs(perch)).toBeLessThanOrEqual(terminationGracePeriodSeconds * 1_000 - 5_000);
      // Told to end when the caller has ended, or together with it.
      expect(flagsOf(perch)["drain-delay"]).toBe(variant === "native" ? "0s" : "15s");
    });

    test("keeps to the restricted Pod security standard by itself, whatever the Pod's own context is", () => {
      expect(perch.securityContext).toEqual({
        runAsNonRoot: true,
        runAsUser: 10001,
        runAsGroup: 10001,
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
        seccompProfile: { type: "RuntimeDefault" },
      });
      expect(Object.keys(perch.resources?.requests ?? {}).sort()).toEqual(["cpu", "memory"]);
      expect(Object.keys(perch.resources?.limits ?? {})).toEqual(["memory"]);
    });
  },
);
