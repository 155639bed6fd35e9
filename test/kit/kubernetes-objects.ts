import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";

export interface StoredObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Metadata;
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: unknown;
  readonly status?: unknown;
}

interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly creationTimestamp: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** An object as somebody writes it. */
export type DraftObject = Omit<StoredObject, "metadata"> & {
  readonly metadata: Partial<Metadata>;
  readonly [field: string]: unknown;
};

export interface Change {
  readonly version: number;
  /** Without the namespace, as `/api/v1/configmaps`. */
  readonly resource: string;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: StoredObject;
}

/** Where a request leads: `/apis/apps/v1/namespaces/shop/deployments/web/status`. */
export interface Place {
  readonly resource: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

export class Refused extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

const plurals: Readonly<Record<string, string>> = {
  GatewayClass: "gatewayclasses",
  BackendTLSPolicy: "backendtlspolicies",
  BackendTrafficPolicy: "backendtrafficpolicies",
};
const clusterScoped: ReadonlySet<string> = new Set(["GatewayClass", "Namespace"]);

/** The objects of an API server, with its rules for versions, generations and conflicts. */
export class KubernetesObjects {
  readonly #objects = new Map<string, StoredObject>();
  readonly #onChange: (change: Change) => void;
  changes: Change[] = [];
  version = 100;

  constructor(onChange: (change: Change) => void) {
    this.#onChange = onChange;
  }

  list({ resource, namespace }: Place, query: URLSearchParams): StoredObject[] {
    const all = [...this.#objects].filter(([key]) => key.startsWith(`${resource}|`)).map(([, object]) => object);
    return all.filter((object) => isSelected(object, namespace, query));
  }

  get(place: Place): StoredObject {
    const object = this.#objects.get(keyOf(place));
    if (object === undefined) throw new Refused(404, "NotFound", `${place.resource} "${place.name}" not found`);
    return object;
  }

  find(place: Place): StoredObject | undefined {
    return this.#objects.get(keyOf(place));
  }

  create(place: Place, draft: DraftObject): StoredObject {
    const named = { ...place, name: draft.metadata.name };
    if (this.find(named) !== undefined) {
      throw new Refused(409, "AlreadyExists", `${place.resource} "${named.name}" already exists`);
    }
    return this.#store(named, "ADDED", draft, {
      uid: randomUUID(),
      generation: 1,
      creationTimestamp: draft.metadata.creationTimestamp ?? new Date().toISOString(),
    });
  }

  /** PUT: of an object as a whole, or of its status. */
  replace(place: Place, draft: DraftObject): StoredObject {
    const found = this.get(place);
    this.#refuseConflict(found, draft.metadata.resourceVersion);
    const { status: newStatus, ...rest } = draft;
    const ofStatus = place.subresource === "status";
    const content = ofStatus ? { ...found, status: newStatus } : { ...rest, status: found.status };
    return this.#modify(place, found, content as DraftObject);
  }

  /** A merge patch (RFC 7396). */
  merge(place: Place, patch: DraftObject): StoredObject {
    const found = this.get(place);
    this.#refuseConflict(found, patch.metadata?.resourceVersion);
    const { status, ...rest } = patch;
    const part = place.subresource === "status" ? { status } : rest;
    return this.#modify(place, found, mergePatch(found, part) as DraftObject);
  }

  delete(place: Place): StoredObject {
    const found = this.get(place);
    this.#objects.delete(keyOf(place));
    const version = ++this.version;
    const object = { ...found, metadata: { ...found.metadata, resourceVersion: String(version) } };
    this.#tell({ version, resource: place.resource, type: "DELETED", object });
    return object;
  }

  /** Returns what brings back all as it is now, and the versions with it. */
  backup(): () => void {
    const objects = [...this.#objects];
    const { version } = this;
    return () => {
      this.#objects.clear();
      for (const [key, object] of objects) this.#objects.set(key, object);
      this.version = version;
      this.changes = [];
    };
  }

  #refuseConflict({ metadata }: StoredObject, expected: string | undefined): void {
    if (expected === undefined || expected === metadata.resourceVersion) return;
    const what = "the object has been modified; please apply your changes to the latest version and try again";
    throw new Refused(409, "Conflict", `Operation cannot be fulfilled on "${metadata.name}": ${what}`);
  }

  #modify(place: Place, found: StoredObject, draft: DraftObject): StoredObject {
    const isSame = isDeepStrictEqual(contentOf(found), contentOf(draft));
    // A write that changes nothing gets no new version.
    if (isSame) return found;
    const { uid, creationTimestamp, generation } = found.metadata;
    const next = isDeepStrictEqual(found.spec, draft.spec) ? generation : generation + 1;
    return this.#store(place, "MODIFIED", draft, { uid, creationTimestamp, generation: next });
  }

  #store(
    place: Place,
    type: "ADDED" | "MODIFIED",
    draft: DraftObject,
    own: Pick<Metadata, "uid" | "generation" | "creationTimestamp">,
  ): StoredObject {
    const version = ++this.version;
    const namespace = place.namespace === undefined ? {} : { namespace: place.namespace };
    const metadata = {
      ...draft.metadata,
      ...own,
      ...namespace,
      name: place.name ?? "",
      resourceVersion: String(version),
    };
    const object = { ...draft, metadata };
    this.#objects.set(keyOf(place), object);
    this.#tell({ version, resource: place.resource, type, object });
    return object;
  }

  #tell(change: Change): void {
    this.changes.push(change);
    this.#onChange(change);
  }
}

/** The place of an object by its kind. */
export function placeOf({ apiVersion, kind, metadata }: Pick<DraftObject, "apiVersion" | "kind" | "metadata">): Place {
  const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const plural = plurals[kind] ?? `${kind.toLowerCase()}s`;
  const namespace = clusterScoped.has(kind) ? undefined : (metadata.namespace ?? "default");
  return { resource: `${root}/${plural}`, namespace, name: metadata.name, subresource: undefined };
}

export function readPlace(pathname: string): Place | undefined {
  const found =
    /^(\/api\/v1|\/apis\/[^/]+\/[^/]+)(?:\/namespaces\/([^/]+)(?=\/))?\/([a-z]+)(?:\/([^/]+))?(?:\/([a-z]+))?$/.exec(
      pathname,
    );
  if (found === null) return undefined;
  const [, root, namespace, plural, name, subresource] = found;
  return { resource: `${root}/${plural}`, namespace, name, subresource };
}

export function isSelected({ metadata }: StoredObject, namespace: string | undefined, query: URLSearchParams): boolean {
  if (namespace !== undefined && metadata.namespace !== namespace) return false;
  const name = /^metadata\.name=(.+)$/.exec(query.get("fieldSelector") ?? "")?.[1];
  if (name !== undefined && name !== metadata.name) return false;
  const labels = (query.get("labelSelector") ?? "").split(",").filter((each) => each !== "");
  return labels.every((each) => {
    const [key = "", value] = each.split("=");
    return value === undefined ? key in (metadata.labels ?? {}) : metadata.labels?.[key] === value;
  });
}

const keyOf = ({ resource, namespace = "", name = "" }: Place): string => `${resource}|${namespace}/${name}`;

function contentOf({ metadata, ...rest }: DraftObject | StoredObject): unknown {
  const { labels, annotations } = metadata;
  return { ...rest, labels, annotations };
}

function mergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const base = typeof target === "object" && target !== null && !Array.isArray(target) ? target : {};
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else merged[key] = mergePatch(merged[key], value);
  }
  return merged;
}
