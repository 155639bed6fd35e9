import { certificateOf, type Draft, defaultCertificate, type MountedSecret, type YamlMap } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { dismissAnnotations, peekAnnotation } from "./ingress-annotations.ts";

export interface CertifiedHosts {
  covers(host: string): boolean;
}

/** The hosts with a certificate: ingress-nginx redirects their plain requests. An entry without hosts is for all. */
export function certifiedHosts(mains: readonly Manifest[]): CertifiedHosts {
  const names = new Set<string>();
  for (const { spec } of mains) {
    const hosts = spec.objects("rules").map((rule) => rule.text("host"));
    for (const entry of spec.objects("tls")) {
      const named = entry.texts("hosts");
      for (const host of named.length === 0 ? hosts : named) names.add(host.toLowerCase());
    }
  }
  return {
    // A wildcard certificate covers one label (RFC 9525 §6.3).
    covers: (host) => host !== "" && (names.has(host) || names.has(host.replace(/^[^.]+/, "*"))),
  };
}

/** Listeners for http and https, where an Ingress has `tls`. The Secrets are files that the Pod mounts. */
export function importListeners(mains: readonly Manifest[], draft: Draft): void {
  const withTls = mains.filter(({ spec }) => spec.objects("tls").length > 0);
  if (withTls.length === 0) return;
  const certificates = new Map<string, MountedSecret>();
  const unnamed: Manifest[] = [];
  for (const ingress of withTls) {
    for (const entry of ingress.spec.objects("tls")) {
      const secret = entry.text("secretName");
      const certificate = certificateOf(ingress.namespace, secret);
      if (secret !== "") certificates.set(`${ingress.namespace}/${secret}`, certificate);
      else unnamed.push(ingress);
    }
  }
  draft.listener(80);
  for (const ingress of unnamed) noteDefaultCertificate(ingress, draft);
  // The first one is for hosts that none of the others names.
  const served = [...(unnamed.length === 0 ? [] : [defaultCertificate]), ...certificates.values()];
  draft.listener(443, served, clientAuthority(mains));
  const [first] = certificates;
  if (first === undefined) return;
  const example = `, such as ${first[0]} at ${first[1].folder}`;
  draft.note(
    "listeners",
    `mount the Secrets of tls (${certificates.size}) where the listener https expects them${example}. Behind a load balancer that ends TLS, list it in \`trustedProxies\`, or redirects to https loop`,
  );
}

function noteDefaultCertificate(ingress: Manifest, draft: Draft): void {
  const what = "tls without a secretName used the controller's default certificate";
  draft.note(titleOf(ingress), `${what}: mount it at ${defaultCertificate.folder}`);
}

/**
 * `clientCa`, where every Ingress asks clients for a certificate of the same Secret: it is a listener's, and would
 * refuse the clients of other hosts.
 */
function clientAuthority(mains: readonly Manifest[]): YamlMap {
  const needs = (ingress: Manifest) => {
    const isOptional = !/^(?:on|)$/.test(peekAnnotation(ingress, "auth-tls-verify-client"));
    return isOptional ? "" : peekAnnotation(ingress, "auth-tls-secret");
  };
  const [secret = "", ...others] = new Set(mains.map(needs));
  const [, namespace, name] = /^([\w.-]+)\/([\w.-]+)$/.exec(secret) ?? [];
  if (namespace === undefined || name === undefined || others.length > 0) return {};
  for (const ingress of mains) dismissAnnotations(ingress, "auth-tls-secret", "auth-tls-verify-client");
  return { clientCa: certificateOf(namespace, name).caFile };
}
