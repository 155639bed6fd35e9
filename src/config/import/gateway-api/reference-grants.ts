import type { Manifest } from "../manifests.ts";
import type { Answer } from "./namespace-rules.ts";

/** What a route refers to. */
export interface Referent {
  readonly namespace: string;
  /** Empty for the core group. */
  readonly group: string;
  readonly kind: string;
  readonly name: string;
}

/** The ReferenceGrants of the input. */
export class ReferenceGrants {
  readonly #grants: readonly Manifest[];

  constructor(manifests: readonly Manifest[]) {
    this.#grants = manifests.filter(
      ({ kind, group }) => kind === "ReferenceGrant" && group === "gateway.networking.k8s.io",
    );
  }

  /** `unknown` if the referent's namespace has no ReferenceGrant in the input, which may be incomplete. */
  allow(from: Manifest, to: Referent): Answer {
    if (from.namespace === to.namespace) return "yes";
    const grants = this.#grants.filter(({ namespace }) => namespace === to.namespace);
    if (grants.length === 0) return "unknown";
    const isGranted = ({ spec }: Manifest) =>
      spec
        .objects("from")
        .some(
          (one) =>
            one.text("kind") === from.kind &&
            one.text("group") === from.group &&
            one.text("namespace") === from.namespace,
        ) &&
      spec
        .objects("to")
        .some(
          (one) =>
            one.text("kind") === to.kind &&
            one.text("group") === to.group &&
            (one.text("name") === "" || one.text("name") === to.name),
        );
    return grants.some(isGranted) ? "yes" : "no";
  }
}
