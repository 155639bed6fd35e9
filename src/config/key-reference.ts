/** A key of a ConfigMap or Secret, in place of a file. */
export interface KeyReference {
  readonly kind: "configmap" | "secret";
  readonly namespace: string;
  readonly name: string;
  readonly key: string;
}

const scheme = "kubernetes://";
/** RFC 1123 names, as Kubernetes has them for objects. */
const objectName = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;
const dataKey = /^[A-Za-z0-9._-]{1,253}$/;

/** Whether it is meant as a reference rather than as the name of a file. */
export function isKeyReference(text: string): boolean {
  return text.startsWith(scheme);
}

/** Reads `kubernetes://configmap/NAMESPACE/NAME/KEY`, or the same of a `secret`. Undefined if it is not of this form. */
export function parseKeyReference(text: string): KeyReference | undefined {
  const [kind, namespace = "", name = "", key = "", ...surplus] = text.slice(scheme.length).split("/");
  if (!isKeyReference(text) || (kind !== "configmap" && kind !== "secret") || surplus.length > 0) return undefined;
  if (!objectName.test(namespace) || !objectName.test(name) || !dataKey.test(key)) return undefined;
  return { kind, namespace, name, key };
}

export function formatKeyReference({ kind, namespace, name, key }: KeyReference): string {
  return `${scheme}${kind}/${namespace}/${name}/${key}`;
}

/** What a reference looks like, for messages. */
export const keyReferenceForm = "kubernetes://configmap/NAMESPACE/NAME/KEY, or secret";
