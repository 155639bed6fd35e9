import { parseAllDocuments } from "yaml";
import { isMap, type Loose, SourceObject } from "./source-object.ts";

/** A Kubernetes object. */
export interface Manifest {
  readonly kind: string;
  /** The API group without the version, such as `networking.k8s.io`; empty for the core group. */
  readonly group: string;
  readonly namespace: string;
  readonly name: string;
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
  const documents = parseAllDocuments(text, { merge: true });
  const manifests: Manifest[] = [];
  for (const document of "empty" in documents ? [] : documents) {
    const [error] = document.errors;
    if (error !== undefined) return { ok: false, problem: `${file}: ${error.message.split("\n")[0]}` };
    try {
      manifests.push(...flatten(document.toJS()));
    } catch (error) {
      // `yaml` throws if aliases expand to too many nodes.
      return { ok: false, problem: `${file}: ${error instanceof Error ? error.message : String(error)}` };
    }
  }
  return { ok: true, manifests };
}

function flatten(value: unknown): Manifest[] {
  const object: Loose = isMap(value) ? value : {};
  if (Array.isArray(object["items"])) return object["items"].flatMap(flatten);
  const whole = new SourceObject(object);
  const kind = whole.text("kind");
  if (kind === "") return [];
  const metadata = whole.object("metadata");
  const apiVersion = whole.text("apiVersion");
  return [
    {
      kind,
      group: apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "",
      namespace: metadata.text("namespace") || "default",
      name: metadata.text("name"),
      annotations: new SourceObject(metadata.peek("annotations")),
      spec: new SourceObject(object["spec"]),
      data: new SourceObject(object["data"]),
    },
  ];
}

/** The object's name in messages. */
export function titleOf({ kind, namespace, name }: Manifest): string {
  return `${kind} ${namespace}/${name}`;
}
