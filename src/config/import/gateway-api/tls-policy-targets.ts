import type { Manifest } from "../manifests.ts";

/** BackendTLSPolicies by what they are for: ports of Services in their own namespace. */
export class TlsPolicyTargets<Policy extends { readonly manifest: Manifest }> {
  /** By `namespace/service`. `port`: its name; empty: all ports. */
  readonly #byService = new Map<string, { readonly policy: Policy; readonly port: string }[]>();

  /** `policies`: by age, since of several for one target the oldest counts. */
  constructor(policies: readonly Policy[]) {
    for (const policy of policies) {
      const { namespace } = policy.manifest;
      for (const { service, port } of targetsOf(policy.manifest)) {
        const key = `${namespace}/${service}`;
        const known = this.#byService.get(key) ?? [];
        known.push({ policy, port });
        this.#byService.set(key, known);
      }
    }
  }

  /** The policy for a port: one for the port itself comes before that of the whole Service. */
  find(namespace: string, service: string, portName: string): Policy | undefined {
    return this.#first(namespace, service, portName) ?? this.#first(namespace, service, "");
  }

  /** All for a port or the whole Service. */
  all(namespace: string, service: string, portName: string): readonly Policy[] {
    const ofService = this.#byService.get(`${namespace}/${service}`) ?? [];
    return ofService.filter(({ port }) => port === "" || port === portName).map(({ policy }) => policy);
  }

  /**
   * The older policies that are for the same, if they are for all that this one is for; else empty. `isUsed`: whether a
   * target counts. `port`: as in `find`; empty: the whole Service.
   */
  allBefore(policy: Policy, isUsed: (namespace: string, service: string, port: string) => boolean): readonly Policy[] {
    const { namespace } = policy.manifest;
    const firsts = targetsOf(policy.manifest)
      .filter(({ service, port }) => isUsed(namespace, service, port))
      .flatMap(({ service, port }) => this.#first(namespace, service, port) ?? []);
    return firsts.includes(policy) ? [] : firsts;
  }

  #first(namespace: string, service: string, port: string): Policy | undefined {
    return this.#byService.get(`${namespace}/${service}`)?.find((one) => one.port === port)?.policy;
  }
}

function targetsOf({ spec }: Manifest) {
  return spec
    .objects("targetRefs")
    .filter((one) => one.text("group") === "" && one.text("kind") === "Service")
    .map((one) => ({ service: one.text("name"), port: one.text("sectionName") }));
}
