import type { Manifest } from "../manifests.ts";

/** A Service that a BackendTLSPolicy is for, in the policy's own namespace. */
interface TlsPolicyTarget {
  readonly service: string;
  /** The name of the Service's port; empty: all its ports. */
  readonly port: string;
}

export function tlsPolicyTargets({ spec }: Manifest): readonly TlsPolicyTarget[] {
  return spec
    .objects("targetRefs")
    .filter((one) => one.text("kind") === "Service")
    .map((one) => ({ service: one.text("name"), port: one.text("sectionName") }));
}

/**
 * The policy for a port of a Service: one for the port comes before that of the whole Service. `policies`: by age, since
 * of several the oldest counts.
 */
export function tlsPolicyFor<Policy extends { readonly manifest: Manifest }>(
  policies: readonly Policy[],
  namespace: string,
  service: string,
  portName: string,
): Policy | undefined {
  const withPort = (port: string) =>
    policies.find(
      ({ manifest }) =>
        manifest.namespace === namespace &&
        tlsPolicyTargets(manifest).some((target) => target.service === service && target.port === port),
    );
  return (portName === "" ? undefined : withPort(portName)) ?? withPort("");
}
