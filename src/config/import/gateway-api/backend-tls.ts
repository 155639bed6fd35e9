import { upstreamTlsSchema } from "../../sections/upstream-tls.ts";
import { problemWith } from "../accepts.ts";
import { certificateOf, type Draft, type YamlMap } from "../draft.ts";
import { byAge, type Manifest, titleOf } from "../manifests.ts";
import { type Advice, noteUnread } from "../notes.ts";
import type { SourceObject } from "../source-object.ts";
import { TlsPolicyTargets } from "./tls-policy-targets.ts";

const advice: Readonly<Record<string, Advice>> = {
  subjectAltNames: { text: "not imported: Perch verifies `tls.serverName`", protects: true },
  options: { text: "not imported: an extension of the gateway", protects: true },
};

/** BackendTLSPolicies: TLS to backends, with the name and the CAs that their certificates are verified by. */
export class BackendTls {
  readonly #policies: readonly Manifest[];
  readonly #targets: TlsPolicyTargets<{ readonly manifest: Manifest }>;
  readonly #draft: Draft;

  constructor(manifests: readonly Manifest[], draft: Draft) {
    this.#policies = manifests
      .filter(({ kind, group }) => kind === "BackendTLSPolicy" && group === "gateway.networking.k8s.io")
      .toSorted(byAge);
    this.#targets = new TlsPolicyTargets(this.#policies.map((manifest) => ({ manifest })));
    this.#draft = draft;
  }

  /** `tls` of a service in Perch for this Service; undefined if no policy is for it. */
  of(namespace: string, service: string, portName: string): YamlMap | undefined {
    const policy = this.#targets.find(namespace, service, portName);
    return policy && this.#settingsOf(policy.manifest);
  }

  noteUnread(): void {
    for (const policy of this.#policies) {
      for (const target of policy.spec.objects("targetRefs")) target.dismiss();
      noteUnread(policy, advice, this.#draft);
    }
  }

  #settingsOf(policy: Manifest): YamlMap {
    const validation = policy.spec.object("validation");
    const hostname = validation.take("hostname", (text) =>
      problemWith(upstreamTlsSchema, { serverName: text }) === undefined ? text : undefined,
    );
    const authorities = validation.objects("caCertificateRefs");
    const [authority] = authorities;
    validation.dismiss("caCertificateRefs", "wellKnownCACertificates");
    const [file] = authorities.map((one) => certificateOf(policy.namespace, one.text("name")).caFile);
    if (authority !== undefined) this.#noteMounts(policy, authorities, file);
    return {
      ...(file === undefined ? {} : { ca: file }),
      ...(hostname === undefined ? {} : { serverName: hostname }),
    };
  }

  #noteMounts(policy: Manifest, authorities: readonly SourceObject[], file: string | undefined): void {
    const [first = "", ...others] = authorities.map((one) => `${one.text("kind") || "ConfigMap"} ${one.text("name")}`);
    const more = others.length === 0 ? "" : `; add the CAs of ${others.join(", ")} to that file`;
    this.#draft.note(titleOf(policy), `mount the CAs of ${first} (ca.crt) as ${file}${more}`);
  }
}
