import { gatewayGroup } from "../gateway-api/gateways.ts";
import { NamespaceRules } from "../gateway-api/namespace-rules.ts";
import { ReferenceGrants, type Referent } from "../gateway-api/reference-grants.ts";
import { byAge, type Manifest, manifestOf, titleOf } from "../manifests.ts";
import { isMap, type Loose, type SourceObject } from "../source-object.ts";

/** An object of the API with what its status needs. */
export interface ClusterObject {
  readonly manifest: Manifest;
  /** Of its spec; statuses say which one they are about. */
  readonly generation: number;
}

/** The objects of the cluster that the Gateway API is made of, at one time. All of them are known. */
export class Cluster {
  readonly grants: ReferenceGrants;
  readonly namespaces: NamespaceRules;
  /** Those for `ServicePorts` and `BackendTls`. */
  readonly manifests: readonly Manifest[];
  readonly #objects: readonly ClusterObject[];
  readonly #data = new Map<string, SourceObject>();
  readonly #unreadable: ReadonlyMap<string, string>;
  readonly #services = new Map<string, Manifest>();

  /**
   * The objects need `apiVersion` and `kind`, which lists of the API leave out. `unreadable`: why the API does not give
   * some Secrets and ConfigMaps, by `kind namespace/name`.
   */
  constructor(objects: readonly Loose[], unreadable: ReadonlyMap<string, string>) {
    this.#unreadable = unreadable;
    const read = objects.map((object) => ({ manifest: manifestOf(object), generation: generationOf(object) }));
    // A ConfigMap may be followed by its label, and by its name as well.
    const unique = new Map(read.map((one) => [`${one.manifest.group}/${titleOf(one.manifest)}`, one]));
    this.#objects = [...unique.values()].toSorted((a, b) => byAge(a.manifest, b.manifest));
    this.manifests = this.#objects.map(({ manifest }) => manifest);
    this.grants = new ReferenceGrants(this.manifests);
    this.namespaces = new NamespaceRules(this.manifests);
    for (const manifest of this.manifests) {
      const { kind, group, namespace, name, data } = manifest;
      if (group !== "") continue;
      if (kind === "Secret" || kind === "ConfigMap") this.#data.set(`${kind} ${namespace}/${name}`, data);
      if (kind === "Service") this.#services.set(`${namespace}/${name}`, manifest);
    }
  }

  /** Of the Gateway API, by age. */
  all(kind: string): readonly ClusterObject[] {
    return this.#objects.filter(({ manifest }) => manifest.kind === kind && manifest.group === gatewayGroup);
  }

  configMaps(): readonly ClusterObject[] {
    return this.#objects.filter(({ manifest }) => manifest.kind === "ConfigMap" && manifest.group === "");
  }

  service(namespace: string, name: string): Manifest | undefined {
    return this.#services.get(`${namespace}/${name}`);
  }

  /** A key of a Secret or ConfigMap; undefined if it is not there. */
  file(kind: "Secret" | "ConfigMap", namespace: string, name: string, key: string): Uint8Array | undefined {
    const text = this.#data.get(`${kind} ${namespace}/${name}`)?.peek(key);
    if (typeof text !== "string") return undefined;
    return kind === "Secret" ? new Uint8Array(Buffer.from(text, "base64")) : new TextEncoder().encode(text);
  }

  /** Why `file` has not found something. `what`: what it should have, such as `no ca.crt`. */
  whyMissing(kind: "Secret" | "ConfigMap", namespace: string, name: string, what: string): string {
    const why = this.#unreadable.get(`${kind} ${namespace}/${name}`);
    const cause = why === undefined ? `does not exist, or has ${what}` : `cannot be read: ${why}`;
    return `the ${kind} ${namespace}/${name} ${cause}`;
  }

  /** Whether an object may refer to that one: in its own namespace, or by a ReferenceGrant. */
  mayRefer(from: Manifest, to: Referent): boolean {
    return this.grants.allow(from, to) === "yes";
  }
}

function generationOf({ metadata }: Loose): number {
  const generation = isMap(metadata) ? metadata["generation"] : undefined;
  return typeof generation === "number" ? generation : 0;
}
