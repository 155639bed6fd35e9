import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";

const root = fileURLToPath(new URL("../../", import.meta.url));

export type Labels = Readonly<Record<string, string>>;

interface Metadata {
  readonly name: string;
  readonly labels?: Labels;
  readonly annotations?: Labels;
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: string[];
  readonly ports: readonly { readonly name?: string; readonly containerPort: number }[];
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly lifecycle?: unknown;
  readonly securityContext?: unknown;
  readonly resources?: { readonly requests: Labels; readonly limits: Labels };
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string; readonly subPath?: string }[];
}

export interface Deployment {
  readonly kind: "Deployment";
  readonly metadata: Metadata;
  readonly spec: {
    readonly replicas: number;
    readonly selector: { readonly matchLabels: Labels };
    readonly template: {
      readonly metadata: { readonly labels: Labels; readonly annotations?: Labels };
      readonly spec: {
        readonly serviceAccountName?: string;
        readonly automountServiceAccountToken?: boolean;
        readonly enableServiceLinks?: boolean;
        readonly terminationGracePeriodSeconds?: number;
        readonly securityContext?: unknown;
        readonly containers: readonly [Container];
        readonly volumes?: readonly {
          readonly name: string;
          readonly configMap?: { readonly name: string };
          readonly secret?: { readonly secretName: string; readonly defaultMode: number };
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
    readonly selector: Labels;
    readonly ports: readonly {
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

export type Manifest = Deployment | Service | ConfigMap | ServiceAccount;

/** Runs kubectl on files alone: it asks no cluster for anything. Fails with what kubectl said. */
function kubectl(args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync("kubectl", args, { cwd: root, encoding: "utf8" });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`kubectl ${args.join(" ")}: ${stderr}`);
  return stdout;
}

/** The minor version of the kubectl on the PATH; undefined where there is none. */
export function kubectlMinorVersion(): number | undefined {
  try {
    const { clientVersion } = JSON.parse(kubectl(["version", "--client", "--output=json"]));
    return Number.parseInt(clientVersion.minor, 10);
  } catch {
    return undefined;
  }
}

/** Builds a kustomization of this repository and reads back what it would apply. */
export function build(folder: string): readonly Manifest[] {
  return manifestsIn(kubectl(["kustomize", folder]));
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

export function isSelected(labels: Labels, selector: Labels): boolean {
  return Object.entries(selector).every(([name, value]) => labels[name] === value);
}
