import { quote } from "./schema-kit/tree.ts";

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
const nameRule = "a-z, 0-9, dashes and dots, with a letter or digit at both ends";
const dataKey = /^[A-Za-z0-9._-]{1,253}$/;
const keyRule = "letters, digits, dashes, dots and underscores";
/** What a reference looks like, for messages. */
const form = "kubernetes://configmap/NAMESPACE/NAME/KEY, or secret";

/** Whether it is meant as a reference rather than as the name of a file. */
export function isKeyReference(text: string): boolean {
  return text.startsWith(scheme);
}

/** Reads `kubernetes://configmap/NAMESPACE/NAME/KEY`, or the same of a `secret`. Undefined if it is not of this form. */
export function parseKeyReference(text: string): KeyReference | undefined {
  const reading = isKeyReference(text) ? readParts(text.slice(scheme.length)) : undefined;
  return typeof reading === "string" ? undefined : reading;
}

/** A typing error in the scheme is not a file that does not exist. */
const url = /^(?:[a-z][a-z0-9+.-]+:\/\/|kubernetes:)/i;

/** What keeps a text from being a reference, as the rest of a sentence about it. Undefined: it is one, or names a file. */
export function referenceProblem(text: string): string | undefined {
  if (isKeyReference(text)) {
    const reading = readParts(text.slice(scheme.length));
    return typeof reading === "string" ? `is not of the form ${form}: ${reading}` : undefined;
  }
  return url.test(text) ? `is no file's path; of URLs only ${form}, is known` : undefined;
}

/** Or a clause that says what is wrong. */
function readParts(text: string): KeyReference | string {
  const [kind = "", namespace = "", name = "", key = "", ...surplus] = text.split("/");
  const missing = Object.entries({ kind, namespace, name, key }).find(([, part]) => part === "");
  if (missing !== undefined) return `the ${missing[0]} is missing`;
  if (kind !== "configmap" && kind !== "secret") return `the kind ${quote(kind)} must be configmap or secret`;
  if (surplus.length > 0) return `there is more behind the key: ${quote(surplus.join("/"))}`;
  for (const [what, part] of Object.entries({ namespace, name })) {
    if (!objectName.test(part)) return `the ${what} ${quote(part)} is not one that Kubernetes allows (${nameRule})`;
  }
  if (!dataKey.test(key)) return `the key ${quote(key)} is not one that Kubernetes allows (${keyRule})`;
  return { kind, namespace, name, key };
}

export function formatKeyReference({ kind, namespace, name, key }: KeyReference): string {
  return `${scheme}${kind}/${namespace}/${name}/${key}`;
}
