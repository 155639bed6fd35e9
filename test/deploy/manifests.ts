import { spawnSync } from "node:child_process";
import { mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { parseAllDocuments } from "yaml";
import { serve } from "../../src/cli/serve.ts";
import { type LoadResult, loadConfigText } from "../../src/config/load.ts";
import { parseDuration } from "../../src/config/schema-kit/scalars.ts";
import { certPem, keyPem } from "../kit/pki.ts";
import { temporaryFolder } from "../kit/served.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

export type Labels = Readonly<Record<string, string>>;

interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Labels;
  readonly annotations?: Labels;
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
  readonly periodSeconds: number;
  /** Kubernetes' defaults: 1 second, 3 failures. */
  readonly timeoutSeconds?: number;
  readonly failureThreshold?: number;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: string[];
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  /** `Always` in an init container makes it a sidecar. */
  readonly restartPolicy?: string;
  readonly ports: readonly { readonly name?: string; readonly containerPort: number }[];
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly lifecycle?: unknown;
  readonly securityContext?: unknown;
  readonly resources?: { readonly requests: Labels; readonly limits: Labels };
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string; readonly subPath?: string }[];
}

interface ProjectedSecret {
  readonly secret: {
    readonly name: string;
    readonly items: readonly { readonly key: string; readonly path: string }[];
  };
}

/** A Pod's template, which every workload has. */
export type PodTemplate = Deployment["spec"]["template"];

export interface Deployment {
  readonly kind: "Deployment";
  readonly metadata: Metadata;
  readonly spec: {
    readonly replicas?: number;
    readonly selector: { readonly matchLabels: Labels };
    readonly template: {
      readonly metadata: { readonly labels: Labels; readonly annotations?: Labels };
      readonly spec: {
        readonly serviceAccountName?: string;
        readonly automountServiceAccountToken?: boolean;
        readonly enableServiceLinks?: boolean;
        readonly terminationGracePeriodSeconds?: number;
        readonly securityContext?: unknown;
        readonly initContainers?: readonly Container[];
        readonly containers: readonly [Container, ...Container[]];
        readonly topologySpreadConstraints?: readonly {
          readonly topologyKey: string;
          readonly labelSelector: { readonly matchLabels: Labels };
          readonly matchLabelKeys?: readonly string[];
        }[];
        readonly volumes?: readonly {
          readonly name: string;
          readonly configMap?: { readonly name: string };
          readonly secret?: { readonly secretName: string; readonly defaultMode: number };
          readonly projected?: { readonly sources: readonly ProjectedSecret[]; readonly defaultMode: number };
        }[];
      };
    };
  };
}

export interface Service {
  readonly kind: "Service";
  readonly metadata: Metadata;
  readonly spec: {
    readonly type?: string;
    readonly ipFamilyPolicy?: string;
    readonly selector: Labels;
    readonly externalTrafficPolicy?: string;
    readonly ports: readonly {
      readonly name?: string;
      readonly port: number;
      readonly targetPort: number | string;
      readonly nodePort?: number;
    }[];
  };
}

interface ConfigMap {
  readonly kind: "ConfigMap";
  readonly metadata: Metadata;
  readonly data: Labels;
}

interface ServiceAccount {
  readonly kind: "ServiceAccount";
  readonly metadata: Metadata;
  readonly automountServiceAccountToken: boolean;
}

interface RoleOf<Kind extends string> {
  readonly kind: Kind;
  readonly metadata: Metadata;
  readonly rules: readonly {
    readonly resources: readonly string[];
    readonly resourceNames?: readonly string[];
    readonly verbs: readonly string[];
  }[];
}

interface Lease {
  readonly kind: "Lease";
  readonly apiVersion: string;
  readonly metadata: Metadata;
}

interface GatewayClass {
  readonly kind: "GatewayClass";
  readonly metadata: Metadata;
  readonly spec: { readonly controllerName: string };
}

interface BindingOf<Kind extends string> {
  readonly kind: Kind;
  readonly metadata: Metadata;
  readonly roleRef: unknown;
  readonly subjects: readonly unknown[];
}

interface HorizontalPodAutoscaler {
  readonly kind: "HorizontalPodAutoscaler";
  readonly metadata: Metadata;
  readonly spec: {
    readonly scaleTargetRef: { readonly apiVersion: string; readonly kind: string; readonly name: string };
    readonly minReplicas: number;
    readonly maxReplicas: number;
  };
}

interface PodDisruptionBudget {
  readonly kind: "PodDisruptionBudget";
  readonly metadata: Metadata;
  readonly spec: { readonly maxUnavailable: number; readonly selector: { readonly matchLabels: Labels } };
}

interface NetworkPolicy {
  readonly kind: "NetworkPolicy";
  readonly metadata: Metadata;
  readonly spec: {
    readonly podSelector: { readonly matchLabels: Labels };
    readonly policyTypes: readonly string[];
    readonly ingress: readonly { readonly from?: readonly unknown[]; readonly ports: readonly { port: string }[] }[];
    readonly egress: readonly {
      readonly to?: readonly { readonly namespaceSelector?: object; readonly ipBlock?: { readonly cidr: string } }[];
      readonly ports?: readonly { readonly port: number; readonly protocol: string }[];
    }[];
  };
}

interface PodMonitor {
  readonly kind: "PodMonitor";
  readonly metadata: Metadata;
  readonly spec: {
    readonly jobLabel?: string;
    readonly selector: { readonly matchLabels: Labels };
    readonly podMetricsEndpoints: readonly {
      readonly port: string;
      readonly path: string;
      readonly relabelings?: readonly {
        readonly sourceLabels: readonly string[];
        readonly regex: string;
        readonly targetLabel: string;
        readonly replacement: string;
      }[];
    }[];
  };
}

interface PrometheusRule {
  readonly kind: "PrometheusRule";
  readonly metadata: Metadata;
  readonly spec: { readonly groups: readonly unknown[] };
}

export type Manifest =
  | Deployment
  | Service
  | ConfigMap
  | ServiceAccount
  | RoleOf<"Role">
  | RoleOf<"ClusterRole">
  | BindingOf<"RoleBinding">
  | BindingOf<"ClusterRoleBinding">
  | GatewayClass
  | Lease
  | HorizontalPodAutoscaler
  | PodDisruptionBudget
  | NetworkPolicy
  | PodMonitor
  | PrometheusRule;

/** Runs kubectl on files alone: it asks no cluster for anything. Fails with what kubectl said. */
function kubectl(args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync("kubectl", args, { cwd: root, encoding: "utf8" });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`kubectl ${args.join(" ")}: ${stderr}`);
  return stdout;
}

/** The minor version of the kubectl on the PATH; undefined where there is none. */
function kubectlMinorVersion(): number | undefined {
  try {
    const { clientVersion } = JSON.parse(kubectl(["version", "--client", "--output=json"]));
    return Number.parseInt(clientVersion.minor, 10);
  } catch {
    return undefined;
  }
}

const minor = kubectlMinorVersion();
/** Why what builds a kustomization is skipped; empty where it is not. kubectl 1.20 carries kustomize 2: no components. */
export const kustomizeNeeds =
  minor === undefined
    ? " (skipped: kubectl is not installed)"
    : minor < 21
      ? " (skipped: kubectl is older than 1.21)"
      : "";

const built = new Map<string, readonly Manifest[]>();

/** Builds a kustomization of this repository and reads back what it would apply. */
export function build(folder: string): readonly Manifest[] {
  const manifests = built.get(folder) ?? manifestsIn(kubectl(["kustomize", folder]));
  built.set(folder, manifests);
  return manifests;
}

/**
 * Builds a reader's own kustomization, which is not in this repository. `files` by path; `../../` in a kustomization.yaml
 * leads to deploy/, as it does in deploy/overlays/NAME.
 */
export async function buildIn(files: Readonly<Record<string, string>>): Promise<readonly Manifest[]> {
  const folder = await temporaryFolder();
  for (const [path, text] of Object.entries(files)) {
    const own = join(realpathSync(folder), dirname(path));
    mkdirSync(own, { recursive: true });
    const deploy = relative(own, join(root, "deploy"));
    const isKustomization = basename(path) === "kustomization.yaml";
    writeFileSync(join(folder, path), isKustomization ? text.replaceAll("../..", deploy) : text);
  }
  return build(folder);
}

/** What `kubectl patch` makes of a manifest file. */
export function patched(file: string, patchFile: string): readonly Manifest[] {
  return manifestsIn(kubectl(["patch", "--local", "--output=yaml", `--filename=${file}`, `--patch-file=${patchFile}`]));
}

function manifestsIn(text: string): readonly Manifest[] {
  const documents = parseAllDocuments(text);
  if (!Array.isArray(documents)) return [];
  return documents.map((document) => {
    for (const problem of document.errors) throw problem;
    return document.toJS() as Manifest;
  });
}

export function find<Kind extends Manifest["kind"]>(
  manifests: readonly Manifest[],
  kind: Kind,
  name: string,
): Extract<Manifest, { kind: Kind }> {
  for (const manifest of manifests) {
    if (manifest.kind === kind && manifest.metadata.name === name) return manifest as Extract<Manifest, { kind: Kind }>;
  }
  throw new Error(`no ${kind} ${name}`);
}

/** Names of the Deployments whose Pods a Service selects. */
export function selectedBy(service: Service, manifests: readonly Manifest[]): readonly string[] {
  return manifests
    .filter((manifest) => manifest.kind === "Deployment")
    .filter(({ spec }) => isSelected(spec.template.metadata.labels, service.spec.selector))
    .map(({ metadata }) => metadata.name);
}

/** A file as the cluster mounts it: a certificate or its key by the ending, else the secret of the guide. */
function mountedFile(path: string): Uint8Array {
  if (path.endsWith(".crt")) return Buffer.from(certPem("shop"));
  return Buffer.from(path.endsWith(".key") ? keyPem("shop") : "a-secret-of-thirty-two-bytes-or-more");
}

/** What `perch validate` would say of a configuration in the cluster, with all its Secrets in place. */
export function loadedAsInTheBase(text: string): LoadResult {
  return loadConfigText(text, {
    file: "/etc/perch/perch.yaml",
    env: {},
    readFile: mountedFile,
    randomSecret: () => new Uint8Array(32),
  });
}

export function configIn(manifests: readonly Manifest[], name: string): LoadResult {
  return loadedAsInTheBase(find(manifests, "ConfigMap", name).data["perch.yaml"] ?? "");
}

/** The flags that a container gives `perch serve`; throws where Perch would. */
export function flagsOf({ args = [], env = [] }: Container): Readonly<Record<string, unknown>> {
  const values = new Map(env.map(({ name, value = "" }) => [name, value]));
  // Kubernetes replaces $(NAME), and leaves it as it is where there is no such variable.
  const replaced = args.map((arg) => arg.replace(/\$\((\w+)\)/g, (written, name) => values.get(name) ?? written));
  const [command, ...flags] = replaced;
  if (command !== "serve") throw new Error(`not serve but ${command}`);
  return parseArgs({ args: flags, options: serve.options, strict: true }).values;
}

/** How long Perch takes at most from SIGTERM to its end. */
export function drainMs(container: Container): number {
  const flags = flagsOf(container);
  return ["drain-delay", "drain-timeout"].reduce(
    (sum, flag) => sum + (parseDuration(String(flags[flag])) ?? Number.NaN),
    0,
  );
}

export function isSelected(labels: Labels, selector: Labels): boolean {
  return Object.entries(selector).every(([name, value]) => labels[name] === value);
}
