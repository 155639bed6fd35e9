import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { posix } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import type { LoadResult } from "../../src/config/load.ts";
import { describeSpec } from "../../src/upstream/service-spec.ts";
import { temporaryFolder } from "../kit/served.ts";
import {
  build,
  type Container,
  configIn,
  type Deployment,
  drainMs,
  find,
  flagsOf,
  isSelected,
  kustomizeNeeds,
  loadedAsInTheBase,
  type Manifest,
  patched,
  selectedBy,
} from "./manifests.ts";

const example = new URL("../../deploy/examples/nginx/", import.meta.url);
const stepFiles = readdirSync(new URL("steps/", example)).sort();
const stepText = (name: string) => readFileSync(new URL(`steps/${name}`, example), "utf8");

const packageVersion: string = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")).version;

interface Gateway {
  readonly manifests: readonly Manifest[];
  readonly deployment: Deployment;
  readonly container: Container;
  readonly config: LoadResult;
}

/** Reads the built Perch as the cluster would: its configuration is loaded with the mounted Secret in place. */
function gatewayIn(manifests: readonly Manifest[]): Gateway {
  const deployment = find(manifests, "Deployment", "perch");
  return {
    manifests,
    deployment,
    container: deployment.spec.template.spec.containers[0],
    config: configIn(manifests, "perch-config"),
  };
}

/** Where a container sees a volume, and the volume itself. */
function mounted({ deployment, container }: Gateway, mountPath: string) {
  const mount = container.volumeMounts?.find((candidate) => candidate.mountPath === mountPath);
  const volume = deployment.spec.template.spec.volumes?.find(({ name }) => name === mount?.name);
  return { mount, volume };
}

function containerPort({ container }: Gateway, name: string | number): number | undefined {
  return container.ports.find((port) => port.name === name)?.containerPort;
}

describe.skipIf(kustomizeNeeds !== "")(`deploy/base${kustomizeNeeds}`, () => {
  let gateway: Gateway;
  beforeAll(() => {
    gateway = gatewayIn(build("deploy/base"));
  });

  test("holds a gateway and nothing else, under names that edits do not change", () => {
    const names = gateway.manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    expect(names.sort()).toEqual([
      "ConfigMap perch-config",
      "Deployment perch",
      "Service perch",
      "ServiceAccount perch",
    ]);
  });

  test("carries the recommended labels, the version of this package among them", () => {
    const labels = {
      "app.kubernetes.io/name": "perch",
      "app.kubernetes.io/instance": "perch",
      "app.kubernetes.io/component": "gateway",
      "app.kubernetes.io/part-of": "perch",
      "app.kubernetes.io/version": packageVersion,
      "app.kubernetes.io/managed-by": "kustomize",
    };
    for (const { metadata } of gateway.manifests) expect(metadata.labels).toEqual(labels);
    expect(gateway.deployment.spec.template.metadata.labels).toEqual(labels);
    expect(gateway.container.image).toBe(`perch-proxy:${packageVersion}`);
  });

  test("embeds a configuration with nothing to warn of", () => {
    expect(gateway.config).toMatchObject({ ok: true, warnings: [] });
  });

  test("exposes the ports that the configuration listens on, to every interface of the Pod", () => {
    const { config } = gateway;
    if (!config.ok) throw new Error("the configuration is refused");
    const address = { host: "*", port: containerPort(gateway, "web") };
    expect(config.compiled.listeners).toMatchObject([{ name: "web", address }]);
    expect(config.compiled.admin).toEqual({ host: "*", port: containerPort(gateway, "admin") });
    // Whoever else reaches the port gets what probes and Prometheus need, and no more.
    expect(config.compiled.adminAccess).toEqual({ tokens: [], withoutToken: "probes-and-metrics" });
  });

  test("leads clients to the listener and leaves the admin port out", () => {
    const service = find(gateway.manifests, "Service", "perch");
    expect(selectedBy(service, gateway.manifests)).toEqual(["perch"]);
    expect(service.spec.ports.map(({ targetPort }) => targetPort)).toEqual(["web"]);
  });

  test("serves clusters of either address family, and both where there are both", () => {
    expect(find(gateway.manifests, "Service", "perch").spec.ipFamilyPolicy).toBe("PreferDualStack");
  });

  test("selects its own Pods", () => {
    const { selector, template } = gateway.deployment.spec;
    expect(isSelected(template.metadata.labels, selector.matchLabels)).toBe(true);
  });

  test("probes the admin port", () => {
    const { startupProbe, livenessProbe, readinessProbe } = gateway.container;
    expect(startupProbe?.httpGet).toEqual({ path: "/livez", port: "admin" });
    expect(livenessProbe?.httpGet).toEqual({ path: "/livez", port: "admin" });
    expect(readinessProbe?.httpGet).toEqual({ path: "/readyz", port: "admin" });
  });

  test("is scraped at the admin port", () => {
    expect(gateway.deployment.spec.template.metadata.annotations).toEqual({
      "prometheus.io/scrape": "true",
      "prometheus.io/port": String(containerPort(gateway, "admin")),
      "prometheus.io/path": "/metrics",
    });
  });

  test("starts with flags that perch serve knows, on the file that the ConfigMap holds", () => {
    const file = String(flagsOf(gateway.container)["config"]);
    const { volume } = mounted(gateway, posix.dirname(file));
    expect(volume?.configMap?.name).toBe("perch-config");
    expect(find(gateway.manifests, "ConfigMap", "perch-config").data).toHaveProperty([posix.basename(file)]);
  });

  test("mounts whole volumes, since a subPath is never updated", () => {
    const { volumeMounts = [] } = gateway.container;
    expect(volumeMounts.map(({ subPath }) => subPath)).toEqual(volumeMounts.map(() => undefined));
  });

  test("signs pins with the Secret that the guide tells how to make, readable to the group of the Pod alone", () => {
    const { config } = gateway;
    if (!config.ok) throw new Error("the configuration is refused");
    expect(config.compiled.unsignedReleases).toEqual([]);
    const [file = "", ...more] = config.compiled.files;
    expect(more).toEqual([]);
    const { volume } = mounted(gateway, posix.dirname(file));
    expect(volume?.secret).toEqual({ secretName: "perch-sticky", defaultMode: 0o440 });
    const guide = readFileSync(new URL("../../deploy/README.md", import.meta.url), "utf8");
    expect(guide).toContain(`kubectl create secret generic perch-sticky --from-literal=${posix.basename(file)}=`);
  });

  test("has time to drain before it is killed", () => {
    const { terminationGracePeriodSeconds = 30 } = gateway.deployment.spec.template.spec;
    expect(terminationGracePeriodSeconds * 1_000).toBeGreaterThanOrEqual(drainMs(gateway.container) + 5_000);
    // A preStop hook would take its time from the same period, and the image may have no shell to run one.
    expect(gateway.container.lifecycle).toBeUndefined();
  });

  test("keeps to the restricted Pod security standard", () => {
    const { spec } = gateway.deployment.spec.template;
    expect(spec.securityContext).toEqual({
      runAsNonRoot: true,
      runAsUser: 10001,
      runAsGroup: 10001,
      fsGroup: 10001,
      seccompProfile: { type: "RuntimeDefault" },
    });
    expect(gateway.container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
    expect(spec).not.toHaveProperty("hostNetwork");
    expect(gateway.container.ports.filter((port) => "hostPort" in port)).toEqual([]);
    expect(spec.volumes?.filter((volume) => "hostPath" in volume)).toEqual([]);
  });

  test("gets no token and no variables that it never asked for", () => {
    const { serviceAccountName, automountServiceAccountToken, enableServiceLinks } =
      gateway.deployment.spec.template.spec;
    expect(find(gateway.manifests, "ServiceAccount", serviceAccountName ?? "").automountServiceAccountToken).toBe(
      false,
    );
    expect(automountServiceAccountToken).toBe(false);
    expect(enableServiceLinks).toBe(false);
  });

  test("says what it needs: processor and memory, and a limit on memory only", () => {
    expect(Object.keys(gateway.container.resources?.requests ?? {}).sort()).toEqual(["cpu", "memory"]);
    expect(Object.keys(gateway.container.resources?.limits ?? {})).toEqual(["memory"]);
  });
});

describe.skipIf(kustomizeNeeds !== "")(`deploy/examples/nginx${kustomizeNeeds}`, () => {
  let start: readonly Manifest[];
  let goal: readonly Manifest[];
  beforeAll(() => {
    start = build("deploy/examples/nginx/start");
    goal = build("deploy/examples/nginx");
  });

  test("starts where people are: both Deployments behind one NodePort, told apart by nothing", () => {
    const service = find(start, "Service", "nginx-service");
    expect(service.spec).toMatchObject({ type: "NodePort", ports: [{ port: 80, nodePort: 32600 }] });
    expect(selectedBy(service, start)).toEqual(["nginx-deployment", "nginx-deployment-canary"]);
    const shapes = ["nginx-deployment", "nginx-deployment-canary"].map((name) => {
      const { replicas, template } = find(start, "Deployment", name).spec;
      return { replicas, labels: template.metadata.labels, image: template.spec.containers[0].image };
    });
    expect(shapes).toEqual([
      { replicas: 3, labels: { app: "nginx" }, image: "nginx:1.7.9" },
      { replicas: 1, labels: { app: "nginx", track: "canary" }, image: "nginx:1.8.0" },
    ]);
  });

  test.each([
    { service: "nginx-stable", deployments: ["nginx-deployment"] },
    { service: "nginx-canary", deployments: ["nginx-deployment-canary"] },
    { service: "nginx-service", deployments: ["perch"] },
    { service: "perch", deployments: ["perch"] },
  ])("leads $service to $deployments and no other", ({ service, deployments }) => {
    expect(selectedBy(find(goal, "Service", service), goal)).toEqual(deployments);
  });

  test("keeps selecting every Pod by the old Service while the new label rolls out", () => {
    const service = find(start, "Service", "nginx-service");
    expect(selectedBy(service, goal)).toEqual(selectedBy(service, start));
  });

  test("changes no Deployment's selector, which Kubernetes would refuse", () => {
    for (const name of ["nginx-deployment", "nginx-deployment-canary"]) {
      expect(find(goal, "Deployment", name).spec.selector).toEqual(find(start, "Deployment", name).spec.selector);
    }
  });

  test("moves clients by one patch of the Service that they use, name and port kept", () => {
    const [service] = patched(
      "deploy/examples/nginx/start/service.yaml",
      "deploy/examples/nginx/nginx-service-to-perch.yaml",
    );
    expect(service).toEqual(find(goal, "Service", "nginx-service"));
    expect(find(goal, "Service", "nginx-service").spec).toMatchObject({
      type: "NodePort",
      ports: [{ port: 80, targetPort: "web", nodePort: 32600 }],
    });
  });

  test("has a Service for each endpoint that the configuration names", () => {
    const { config } = gatewayIn(goal);
    if (!config.ok) throw new Error("the configuration is refused");
    const origins = config.compiled.services
      .flatMap(({ versions }) => versions)
      .flatMap(({ endpoints }) => endpoints.map((endpoint) => new URL(describeSpec(endpoint))));
    expect(origins.map(({ hostname }) => hostname)).toEqual(["nginx-stable", "nginx-canary"]);
    for (const { hostname, port } of origins) {
      const ports = find(goal, "Service", hostname).spec.ports.map((servicePort) => servicePort.port);
      expect(ports).toContain(Number(port === "" ? 80 : port));
    }
  });

  test.each(stepFiles)("%s is a configuration with nothing to warn of, for the cluster that the base makes", (name) => {
    const loaded = loadedAsInTheBase(stepText(name));
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    expect(loaded.warnings).toEqual([]);
    const { config } = gatewayIn(goal);
    if (!config.ok) throw new Error("the configuration is refused");
    expect(loaded.compiled).toMatchObject({
      listeners: config.compiled.listeners,
      admin: config.compiled.admin,
      adminAccess: config.compiled.adminAccess,
      services: config.compiled.services,
      unsignedReleases: [],
    });
  });

  test("starts with everybody on stable, by a file of its own", () => {
    expect(find(build("deploy/examples/nginx/gateway"), "ConfigMap", "perch-config").data).toEqual({
      "perch.yaml": stepText("1-all-stable.yaml"),
    });
    const { config } = gatewayIn(goal);
    if (!config.ok) throw new Error("the configuration is refused");
    expect(config.compiled.releases[0]?.split).toEqual({ stable: 100, canary: 0 });
  });

  test("has images that can be pulled where everything is made at once, and else the same Deployments", () => {
    const current = build("deploy/examples/nginx/start-current");
    const images = (manifests: readonly Manifest[]) =>
      ["nginx-deployment", "nginx-deployment-canary"].map(
        (name) => find(manifests, "Deployment", name).spec.template.spec.containers[0].image,
      );
    expect(images(current)).toEqual(["nginx:1.28", "nginx:1.29"]);
    expect(images(goal)).toEqual(images(current));
    const withOldImages = JSON.stringify(current)
      .replace("nginx:1.28", "nginx:1.7.9")
      .replace("nginx:1.29", "nginx:1.8.0");
    expect(JSON.parse(withOldImages)).toEqual(start);
  });

  test("puts a step's file into the overlay and applies that, so that a later apply keeps the step", async () => {
    // What would reach the cluster: the real kubectl builds, and what it would send is caught.
    const folder = await temporaryFolder();
    for (const name of ["base", "examples/nginx"]) {
      cpSync(new URL(`../../deploy/${name}`, import.meta.url), posix.join(folder, "deploy", name), { recursive: true });
    }
    const real = execFileSync("sh", ["-c", "command -v kubectl"], { encoding: "utf8" }).trim();
    const script = `#!/bin/sh
case $1 in
  apply) exec ${real} kustomize "$3" > ${folder}/applied.yaml ;;
  get) echo pod/perch-a; echo pod/perch-b ;;
  *) echo "$*" >> ${folder}/others ;;
esac
`;
    writeFileSync(posix.join(folder, "kubectl"), script, { mode: 0o755 });
    const env = { ...process.env, PATH: `${folder}:${process.env["PATH"]}` };
    execFileSync("sh", [posix.join(folder, "deploy/examples/nginx/step.sh"), "2-rule"], { env });
    const applied = parseAllDocuments(readFileSync(posix.join(folder, "applied.yaml"), "utf8")).map(
      (document) => document.toJS() as Manifest,
    );
    expect(find(applied, "ConfigMap", "perch-config").data).toEqual({ "perch.yaml": stepText("2-rule.yaml") });
    expect(readFileSync(posix.join(folder, "deploy/examples/nginx/gateway/perch.yaml"), "utf8")).toBe(
      stepText("2-rule.yaml"),
    );
    expect(readFileSync(posix.join(folder, "others"), "utf8")).toBe(
      "annotate pod/perch-a perch-step=2-rule --overwrite\nannotate pod/perch-b perch-step=2-rule --overwrite\n",
    );
  });

  test("runs the play with the Node of the checkout, whichever Node starts it, and hands on its exit code", async () => {
    const folder = await temporaryFolder();
    const own = posix.join(folder, "deploy/examples/nginx");
    mkdirSync(own, { recursive: true });
    mkdirSync(posix.join(folder, "node_modules/.bin"), { recursive: true });
    writeFileSync(posix.join(folder, "package.json"), '{ "type": "module" }');
    cpSync(new URL("run.js", example), posix.join(own, "run.js"));
    writeFileSync(posix.join(folder, "node_modules/.bin/node"), '#!/bin/sh\necho "installed $*"\nexit 3\n', {
      mode: 0o755,
    });
    const { status, stdout } = spawnSync(process.execPath, [posix.join(own, "run.js"), "more"], { encoding: "utf8" });
    expect({ status, stdout }).toEqual({ status: 3, stdout: `installed ${posix.join(own, "run.ts")} more\n` });
  });

  test("names every step's file in the guide, in their order", () => {
    const guide = readFileSync(new URL("README.md", example), "utf8");
    const named = Array.from(guide.matchAll(/step\.sh (\d-[a-z-]+)$/gm), ([, name]) => `${name}.yaml`);
    expect(named).toEqual([
      "2-rule.yaml",
      "3-quarter.yaml",
      "1-all-stable.yaml",
      "4-half.yaml",
      "5-all-canary.yaml",
      "1-all-stable.yaml",
    ]);
    expect(new Set(named)).toEqual(new Set(stepFiles));
  });
});
