import { parseAllDocuments } from "yaml";
import { isMap, type Loose, SourceObject } from "./source-object.ts";

/** A Kubernetes object. */
export interface Manifest {
  readonly kind: string;
  /** The API group without the version, such as `networking.k8s.io`; empty for the core group. */
  readonly group: string;
  /** The version of the API, such as `v1beta1`. */
  readonly version: string;
  /** `default` where the object does not say it. */
  readonly namespace: string;
  readonly name: string;
  /** Whether the object itself names its namespace. */
  readonly hasNamespace: boolean;
  /** When it was created, in RFC 3339; empty in files that did not come from a cluster. */
  readonly createdAt: string;
  readonly labels: SourceObject;
  readonly annotations: SourceObject;
  readonly spec: SourceObject;
  /** Of a ConfigMap. */
  readonly data: SourceObject;
}

export type Manifests =
  | { readonly ok: true; readonly manifests: readonly Manifest[] }
  | { readonly ok: false; readonly problem: string };

/** Parses a YAML stream (or JSON) of objects and lists of objects. Never throws. */
export function parseManifests(text: string, file: string): Manifests {
  const json = parseJson(text);
  if (json !== undefined) return { ok: true, manifests: flatten(json, file) };
  const documents = parseAllDocuments(text, { merge: true });
  const manifests: Manifest[] = [];
  for (const document of "empty" in documents ? [] : documents) {
    const [error] = document.errors;
    if (error !== undefined) return { ok: false, problem: `${file}: ${error.message.split("\n")[0]}` };
    try {
      for (const manifest of flatten(document.toJS(), file)) manifests.push(manifest);
    } catch (error) {
      // `yaml` throws if aliases expand to too many nodes.
      return { ok: false, problem: `${file}: ${error instanceof Error ? error.message : String(error)}` };
    }
  }
  return { ok: true, manifests };
}

/** JSON is YAML too, but its own parser is many times faster: `kubectl -o json` of a cluster has megabytes. */
function parseJson(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** An object as the API gives it. */
export function manifestOf(object: Loose): Manifest {
  const whole = new SourceObject(object);
  const metadata = whole.object("metadata");
  const [version = "", group = ""] = whole.text("apiVersion").split("/").reverse();
  return {
    kind: whole.text("kind"),
    group,
    version,
    namespace: metadata.text("namespace") || "default",
    hasNamespace: metadata.text("namespace") !== "",
    name: metadata.text("name"),
    createdAt: metadata.text("creationTimestamp"),
    labels: new SourceObject(metadata.peek("labels")),
    annotations: new SourceObject(metadata.peek("annotations")),
    spec: new SourceObject(object["spec"]),
    data: new SourceObject(object["data"]),
  };
}

function flatten(value: unknown, file: string): Manifest[] {
  const object: Loose = isMap(value) ? value : {};
  if (Array.isArray(object["items"])) return object["items"].flatMap((item) => flatten(item, file));
  const whole = new SourceObject(object);
  const kind = whole.text("kind");
  if (kind === "") return whole.keys().length === 0 ? [] : [fileOf(object, file)];
  return [manifestOf(object)];
}

/** A document that is no object of Kubernetes, such as a file of Traefik or values of Helm. */
function fileOf(content: Loose, file: string): Manifest {
  const none = new SourceObject(undefined);
  return {
    kind: "File",
    group: "file",
    version: "",
    namespace: "",
    hasNamespace: false,
    name: file,
    createdAt: "",
    labels: none,
    annotations: none,
    spec: new SourceObject({ content }),
    data: none,
  };
}

/** Sorts the older object first, those without a time last, and otherwise keeps the order of the input. */
export function olderFirst(a: Manifest, b: Manifest): number {
  return compare(ageKey(a), ageKey(b));
}

/** The order in which Kubernetes settles conflicts: the older object wins; of the same age the first by name. */
export function byAge(a: Manifest, b: Manifest): number {
  return olderFirst(a, b) || compare(`${a.namespace}/${a.name}`, `${b.namespace}/${b.name}`);
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** An object without a time is not in the cluster yet. */
const ageKey = ({ createdAt }: Manifest): string => createdAt || "9999";

/** The object's name in messages. */
export function titleOf({ kind, namespace, name }: Manifest): string {
  return namespace === "" ? `${kind} ${name}` : `${kind} ${namespace}/${name}`;
}
