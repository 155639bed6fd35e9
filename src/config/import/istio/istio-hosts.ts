import { hostPattern } from "../../scalars.ts";
import { accepts } from "../accepts.ts";
import type { Draft } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";

/** Any host, as Istio writes it. */
export const anyHost = "*";

/** Hosts of one specificity, with the listeners that have them: what Envoy calls a virtual host. */
export interface VirtualHost {
  /** Empty: any host. */
  readonly hosts: readonly string[];
  /** Undefined: every listener, for the Gateways are not in the input. */
  readonly listeners: readonly string[] | undefined;
  readonly specificity: number;
}

/** The hosts of a VirtualService in every form in which clients address them. Others are noted. */
export function hostsOf(manifest: Manifest, shared: ReadonlyMap<string, string>, draft: Draft): readonly string[] {
  const written = manifest.spec.texts("hosts").map((host) => host.toLowerCase().replace(/\.$/, ""));
  const usable = written.filter((host) => host === anyHost || accepts(hostPattern, host));
  for (const host of written.filter((one) => !usable.includes(one))) {
    draft.note(titleOf(manifest), `the host ${host} has no equivalent: left out`);
  }
  const forms = [...new Set(usable.flatMap((host) => formsOf(host, manifest.namespace)))];
  return forms.filter((host) => {
    const namespaces = shared.get(host);
    if (namespaces === undefined) return true;
    const why = `it is a Service of each of the namespaces ${namespaces}, and Perch does not know its clients' own`;
    draft.note(titleOf(manifest), `the host ${host} is left out, the longer forms of its name are not: ${why}`);
    return false;
  });
}

/** The short names that VirtualServices of several namespaces have, with these namespaces. */
export function sharedNames(services: readonly Manifest[]): ReadonlyMap<string, string> {
  const namespaces = new Map<string, Set<string>>();
  for (const { spec, namespace } of services.filter((one) => one.spec.has("http"))) {
    for (const host of spec.texts("hosts")) {
      const service = serviceIn(host.toLowerCase().replace(/\.$/, ""), namespace);
      if (service?.namespace !== namespace) continue;
      namespaces.set(service.name, (namespaces.get(service.name) ?? new Set()).add(namespace));
    }
  }
  const shared = [...namespaces].filter(([, of]) => of.size > 1);
  return new Map(shared.map(([name, of]) => [name, [...of].join(", ")]));
}

/**
 * In the namespace shop, `reviews`, `reviews.shop`, `reviews.shop.svc` and `reviews.shop.svc.cluster.local` are one
 * Service. The short name is that of the own namespace only. A cluster can have another domain than `cluster.local`.
 */
function formsOf(host: string, namespace: string): readonly string[] {
  const service = serviceIn(host, namespace);
  if (service === undefined) return [host];
  const { name, namespace: own } = service;
  const long = `${name}.${own}`;
  return [...(own === namespace ? [name] : []), long, `${long}.svc`, `${long}.svc.cluster.local`, host];
}

interface ServiceName {
  readonly name: string;
  readonly namespace: string;
}

/** The Service that a host names; undefined for other hosts, such as shop.example.com. */
export function serviceIn(host: string, namespace: string): ServiceName | undefined {
  const [, name = "", own = ""] = /^([^.*]+)(?:\.([^.]+)\.svc(?:\.[^*]+)?)?$/.exec(host) ?? [];
  if (name !== "") return { name, namespace: own || namespace };
  return host.endsWith(`.${namespace}`) && host.split(".").length === 2
    ? { name: host.slice(0, -namespace.length - 1), namespace }
    : undefined;
}

/** Envoy chooses the most specific host first: exact ones, then the longest wildcards, then any host. */
export function specificityOf(host: string): number {
  if (host === anyHost) return 0;
  return host.startsWith("*.") ? host.length : Number.MAX_SAFE_INTEGER;
}
