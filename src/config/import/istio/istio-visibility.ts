import type { Manifest } from "../manifests.ts";

/** Whether proxies in a namespace see an object. Without `exportTo` all do; `.` is the object's own, `~` is none. */
export function isVisibleIn(namespace: string, { spec, namespace: own }: Manifest): boolean {
  const written = spec.peek("exportTo");
  if (written === undefined || (Array.isArray(written) && written.length === 0)) return true;
  return spec.texts("exportTo").some((one) => one === "*" || one === namespace || (one === "." && own === namespace));
}
