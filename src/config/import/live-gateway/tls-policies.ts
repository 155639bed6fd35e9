import { checkAuthorities } from "../../certificate.ts";
import { apiFile } from "../../named-files.ts";
import { upstreamTlsSchema } from "../../sections/upstream-tls.ts";
import { problemWith } from "../accepts.ts";
import type { YamlMap } from "../draft.ts";
import { TlsPolicyTargets } from "../gateway-api/tls-policy-targets.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import type { SourceObject } from "../source-object.ts";
import type { Cluster, ClusterObject } from "./cluster.ts";
import type { Problem } from "./conditions.ts";
import type { NamedObject } from "./live-listeners.ts";

/** A BackendTLSPolicy for a Service that routes lead to. */
export interface TlsPolicy extends ClusterObject {
  readonly notAccepted: Problem | undefined;
  readonly unresolved: Problem | undefined;
  /** Routes with a backend that it is for. */
  readonly routes: ReadonlySet<Manifest>;
}

type Outcome =
  | { readonly settings: YamlMap; readonly ca?: { readonly file: string; readonly pem: Uint8Array } }
  | Pick<TlsPolicy, "notAccepted" | "unresolved">;

interface KnownPolicy extends ClusterObject {
  readonly outcome: Outcome;
  readonly routes: Set<Manifest>;
}

/** BackendTLSPolicies: how backends are spoken to by TLS, and what became of each policy. */
export class TlsPolicies {
  readonly #cluster: Cluster;
  readonly #policies: readonly KnownPolicy[];
  readonly #targets: TlsPolicyTargets<KnownPolicy>;
  /** Services that routes lead to, with an empty port and with that one: `namespace/name:port`. */
  readonly #used = new Set<string>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#policies = cluster
      .all("BackendTLSPolicy")
      .map((object) => ({ ...object, outcome: this.#read(object.manifest), routes: new Set() }));
    this.#targets = new TlsPolicyTargets(this.#policies);
  }

  /** `tls` for a backend of this route; undefined if no policy is for it. */
  settingsFor(
    route: Manifest,
    namespace: string,
    service: string,
    portName: string,
  ): { readonly settings: YamlMap } | Problem | undefined {
    for (const port of ["", portName]) this.#used.add(`${namespace}/${service}:${port}`);
    for (const { routes } of this.#targets.all(namespace, service, portName)) routes.add(route);
    const policy = this.#targets.find(namespace, service, portName);
    if (policy === undefined) return undefined;
    const { outcome } = policy;
    if ("settings" in outcome) return { settings: outcome.settings };
    const why = (outcome.unresolved ?? outcome.notAccepted)?.message;
    return { reason: "BackendNotFound", message: `${titleOf(policy.manifest)} cannot be followed: ${why}` };
  }

  /** CAs that settings name. */
  files(): ReadonlyMap<string, Uint8Array> {
    const inUse = this.#policies.filter(({ routes }) => routes.size > 0);
    return new Map(
      inUse.flatMap(({ outcome }) => {
        const ca = "settings" in outcome ? outcome.ca : undefined;
        return ca === undefined ? [] : [[ca.file, ca.pem] as const];
      }),
    );
  }

  /** Those for Services that routes lead to. */
  inUse(): readonly TlsPolicy[] {
    return this.#policies
      .filter(({ routes }) => routes.size > 0)
      .map((policy) => {
        const { manifest, generation, outcome, routes } = policy;
        const { notAccepted, unresolved } = "settings" in outcome ? noProblem : outcome;
        return { manifest, generation, notAccepted: notAccepted ?? this.#conflictOf(policy), unresolved, routes };
      });
  }

  #conflictOf(policy: KnownPolicy): Problem | undefined {
    const [older] = this.#targets.allBefore(policy, (namespace, service, port) =>
      this.#used.has(`${namespace}/${service}:${port}`),
    );
    if (older === undefined) return undefined;
    return { reason: "Conflicted", message: `${titleOf(older.manifest)} is for the same Service, and older` };
  }

  #read(policy: Manifest): Outcome {
    const validation = policy.spec.object("validation");
    const hostname = validation.text("hostname");
    if (validation.objects("subjectAltNames").length > 0) {
      return invalid("Perch verifies the hostname alone, and no subjectAltNames");
    }
    const problem = problemWith(upstreamTlsSchema, { serverName: hostname });
    if (problem !== undefined) return invalid(problem);
    const refs = validation.objects("caCertificateRefs");
    const [ref] = refs;
    if (ref === undefined) {
      const isSystem = validation.text("wellKnownCACertificates") === "System";
      return isSystem ? { settings: { serverName: hostname } } : invalid("it names no CA");
    }
    if (refs.length > 1) return invalid("Perch takes CAs from one ConfigMap");
    const authority = authorityOf(ref, policy);
    if (authority === undefined) {
      return unresolvedCa("InvalidKind", `CAs are taken from a ConfigMap, not from a ${ref.text("kind")}`);
    }
    const { namespace, name } = authority;
    const pem = this.#cluster.file("ConfigMap", namespace, name, "ca.crt");
    const unresolved = (message: string) => unresolvedCa("InvalidCACertificateRef", message);
    if (pem === undefined) return unresolved(this.#cluster.whyMissing("ConfigMap", namespace, name, "no ca.crt"));
    const problemOfCa = checkAuthorities(pem);
    if (problemOfCa !== undefined) return unresolved(`the ConfigMap ${namespace}/${name}: ${problemOfCa}`);
    const file = apiFile(`configmaps/${namespace}/${name}/ca.crt`);
    return { settings: { ca: file, serverName: hostname }, ca: { file, pem } };
  }
}

const noProblem = { notAccepted: undefined, unresolved: undefined };

function invalid(message: string): Outcome {
  return { notAccepted: { reason: "Invalid", message }, unresolved: undefined };
}

function unresolvedCa(reason: string, message: string): Outcome {
  return { notAccepted: { reason: "NoValidCACertificate", message }, unresolved: { reason, message } };
}

/** The ConfigMaps with CAs that BackendTLSPolicies for these Services name, if they may be followed. */
export function objectsOfPolicies(cluster: Cluster, services: ReadonlySet<string>): readonly NamedObject[] {
  return cluster.all("BackendTLSPolicy").flatMap(({ manifest }) => {
    const { spec, namespace } = manifest;
    const isWanted = spec
      .objects("targetRefs")
      .some((one) => one.text("kind") === "Service" && services.has(`${namespace}/${one.text("name")}`));
    const validation = spec.object("validation");
    const [ref, ...others] = validation.objects("caCertificateRefs");
    if (!isWanted || ref === undefined || others.length > 0) return [];
    if (validation.objects("subjectAltNames").length > 0) return [];
    return authorityOf(ref, manifest) ?? [];
  });
}

function authorityOf(ref: SourceObject, policy: Manifest): NamedObject | undefined {
  if ((ref.text("kind") || "ConfigMap") !== "ConfigMap" || ref.text("group") !== "") return undefined;
  return { kind: "ConfigMap", namespace: policy.namespace, name: ref.text("name") };
}
