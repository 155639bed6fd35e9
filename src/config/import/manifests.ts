import { parseAllDocuments } from "yaml";

/** A Kubernetes object. */
export interface Manifest {
  readonly kind: string;
  /** The API group without the version, such as `networking.k8s.io`; empty for the core group. */
  readonly group: string;
  readonly namespace: string;
  readonly name: string;
  readonly annotations: Loose;
  readonly spec: Loose;
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
  const object = mapIn(value);
  if (Array.isArray(object["items"])) return listIn(object["items"]).flatMap(flatten);
  const kind = textIn(object["kind"]);
  if (kind === "") return [];
  const metadata = mapIn(object["metadata"]);
  const apiVersion = textIn(object["apiVersion"]);
  return [
    {
      kind,
      group: apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "",
      namespace: textIn(metadata["namespace"]) || "default",
      name: textIn(metadata["name"]),
      annotations: mapIn(metadata["annotations"]),
      spec: mapIn(object["spec"]),
    },
  ];
}

/** The object's name in messages. */
export function titleOf({ kind, namespace, name }: Manifest): string {
  return `${kind} ${namespace}/${name}`;
}

/** A map whose values are not validated. The readers below treat a value of an unexpected type as absent. */
export type Loose = Readonly<Record<string, unknown>>;

const nothing: Loose = Object.freeze({});

export function mapIn(value: unknown): Loose {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Loose) : nothing;
}

function listIn(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function mapsIn(value: unknown): readonly Loose[] {
  return listIn(value).map(mapIn);
}

/** A scalar as a string; empty for anything else. */
export function textIn(value: unknown): string {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? String(value) : "";
}

export function textsIn(value: unknown): readonly string[] {
  return listIn(value).map(textIn);
}

export function numberIn(value: unknown): number | undefined {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : undefined;
}
