import type { NamedObject } from "../../config/import/live-gateway/live-listeners.ts";
import type { ApiClient, ApiObject } from "../../kubernetes/api-client.ts";
import { ListWatch } from "../../kubernetes/list-watch.ts";
import { systemTimers } from "../system-timers.ts";

/** An object as the API gives it, with its kind. */
export type WatchedObject = ApiObject & Readonly<Record<string, unknown>>;

interface WatchedKind {
  readonly kind: string;
  readonly apiVersion: string;
  readonly plural: string;
  readonly scope: "cluster" | "namespace";
  readonly labelSelector?: string;
}

const gatewayApi = "gateway.networking.k8s.io";

const kinds: readonly WatchedKind[] = [
  { kind: "GatewayClass", apiVersion: `${gatewayApi}/v1`, plural: "gatewayclasses", scope: "cluster" },
  { kind: "Gateway", apiVersion: `${gatewayApi}/v1`, plural: "gateways", scope: "namespace" },
  { kind: "HTTPRoute", apiVersion: `${gatewayApi}/v1`, plural: "httproutes", scope: "namespace" },
  { kind: "GRPCRoute", apiVersion: `${gatewayApi}/v1`, plural: "grpcroutes", scope: "namespace" },
  { kind: "ReferenceGrant", apiVersion: `${gatewayApi}/v1beta1`, plural: "referencegrants", scope: "namespace" },
  { kind: "BackendTLSPolicy", apiVersion: `${gatewayApi}/v1`, plural: "backendtlspolicies", scope: "namespace" },
  { kind: "Service", apiVersion: "v1", plural: "services", scope: "namespace" },
  { kind: "Namespace", apiVersion: "v1", plural: "namespaces", scope: "cluster" },
  {
    kind: "ConfigMap",
    apiVersion: "v1",
    plural: "configmaps",
    scope: "namespace",
    labelSelector: "perch.dev/policy=true",
  },
];

const plurals = { Secret: "secrets", ConfigMap: "configmaps" } as const;

/** Without which there is nothing to serve. Others may not be installed. */
const needed: ReadonlySet<string> = new Set(["GatewayClass", "Gateway", "HTTPRoute"]);
/** Policies may be left to annotations: then nobody needs to let Perch read ConfigMaps. */
const forbidable: ReadonlySet<string> = new Set(["ConfigMap"]);

/** Whether the API says that it has no such objects for Perch. */
function isAbsent(kind: string, status: number | undefined): boolean {
  return (status === 404 && !needed.has(kind)) || (status === 403 && forbidable.has(kind));
}

export interface GatewayWatchesOptions {
  readonly client: ApiClient;
  /** Empty: all. */
  readonly namespaces: readonly string[];
  /** Called after each change of what is watched. */
  readonly onChange: () => void;
  /** Called when the API stops answering, and with undefined when it answers again. */
  readonly onTrouble: (why: string | undefined) => void;
}

/** One collection, followed. */
interface Followed {
  readonly kind: string;
  readonly apiVersion: string;
  readonly watch: ListWatch<WatchedObject>;
  objects: ReadonlyMap<string, WatchedObject> | undefined;
  trouble: string | undefined;
}

/** Follows the kinds of the Gateway API and what they refer to. */
export class GatewayWatches {
  readonly #options: GatewayWatchesOptions;
  readonly #collections: readonly Followed[];
  /** Secrets and ConfigMaps that are followed by name. */
  readonly #named = new Map<string, Followed>();
  #isTroubled = false;

  constructor(options: GatewayWatchesOptions) {
    this.#options = options;
    const { namespaces } = options;
    this.#collections = kinds.flatMap((kind) => {
      const places = kind.scope === "cluster" || namespaces.length === 0 ? [undefined] : namespaces;
      return places.map((namespace) => this.#follow(kind, pathOf(kind.apiVersion, kind.plural, namespace)));
    });
  }

  /** Why not all collections are known yet; undefined if they are. */
  get unready(): string | undefined {
    const unknown = this.#collections.find(({ objects }) => objects === undefined);
    return unknown && `${unknown.kind} objects cannot be listed: ${unknown.trouble ?? "no answer yet"}`;
  }

  /** Whether what `follow` was told to is known, or cannot be. */
  get isSettled(): boolean {
    return [...this.#named.values()].every(({ objects, trouble }) => objects !== undefined || trouble !== undefined);
  }

  /** All objects, with their kinds. */
  *objects(): Generator<WatchedObject> {
    for (const { kind, apiVersion, objects } of [...this.#collections, ...this.#named.values()]) {
      for (const object of objects?.values() ?? []) yield { ...object, kind, apiVersion };
    }
  }

  /** Why the API does not give some of those that are followed by name, by `kind namespace/name`. */
  unreadable(): ReadonlyMap<string, string> {
    const found = Array.from(this.#named, ([key, { objects, trouble }]) =>
      objects === undefined && trouble !== undefined ? ([key, trouble] as const) : undefined,
    );
    return new Map(found.filter((entry) => entry !== undefined));
  }

  /** Follows these Secrets and ConfigMaps, and no others. */
  follow(objects: readonly NamedObject[]): void {
    const wanted = new Map(objects.map((one) => [`${one.kind} ${one.namespace}/${one.name}`, one]));
    for (const [key, { watch }] of this.#named) {
      if (wanted.has(key)) continue;
      void watch.close();
      this.#named.delete(key);
    }
    for (const [key, { kind, namespace, name }] of wanted) {
      if (this.#named.has(key)) continue;
      const path = pathOf("v1", plurals[kind], namespace);
      this.#named.set(key, this.#follow({ kind, apiVersion: "v1" }, path, `metadata.name=${name}`));
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#collections, ...this.#named.values()].map(({ watch }) => watch.close()));
  }

  #follow(
    { kind, apiVersion, labelSelector }: Pick<WatchedKind, "kind" | "apiVersion" | "labelSelector">,
    path: string,
    fieldSelector?: string,
  ): Followed {
    const { client, onChange } = this.#options;
    const watch = new ListWatch<WatchedObject>({
      client,
      path,
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
      timers: systemTimers,
      randomFraction: Math.random,
      onObjects(objects) {
        followed.objects = objects;
        followed.trouble = undefined;
        onChange();
      },
      onTrouble: (why, status) => {
        const isMissing = isAbsent(kind, status);
        followed.trouble = why;
        if (isMissing && followed.objects === undefined) {
          followed.objects = new Map();
          onChange();
        }
        // A Secret that may not be read is a problem of its listener, not of the API.
        if (fieldSelector !== undefined) onChange();
        else if (!isMissing) this.#tell();
      },
    });
    const followed: Followed = { kind, apiVersion, watch, objects: undefined, trouble: undefined };
    return followed;
  }

  /** Once when it begins, and once when it ends. */
  #tell(): void {
    const troubled = this.#collections.find(({ trouble, objects }) => trouble !== undefined && objects?.size !== 0);
    if ((troubled !== undefined) === this.#isTroubled) return;
    this.#isTroubled = troubled !== undefined;
    this.#options.onTrouble(troubled && `${troubled.kind}: ${troubled.trouble}`);
  }
}

function pathOf(apiVersion: string, plural: string, namespace: string | undefined): string {
  const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return namespace === undefined ? `${root}/${plural}` : `${root}/namespaces/${namespace}/${plural}`;
}

/** Of one object. */
export function objectPath({ apiVersion, kind, metadata }: WatchedObject): string {
  const plural = kinds.find((one) => one.kind === kind)?.plural ?? "";
  return `${pathOf(String(apiVersion), plural, metadata.namespace)}/${metadata.name}`;
}
