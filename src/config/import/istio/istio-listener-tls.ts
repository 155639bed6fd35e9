import { certificateOf, type Draft, type DraftCertificate } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import type { SourceObject } from "../source-object.ts";

export interface ListenerTls {
  readonly certificates: readonly DraftCertificate[];
  readonly clientCa?: string;
  readonly minVersion?: string;
}

/** Modes in which the gateway ends TLS, so that it reads requests. The first is the default of HTTPS. */
const terminating: readonly string[] = ["", "SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL", "ISTIO_MUTUAL"];

export function terminatesTls(tls: SourceObject): boolean {
  return terminating.includes(String(tls.peek("mode") ?? ""));
}

/** The TLS of a server's listener. What it asked of clients and the listener does not is noted as lost protection. */
export function listenerTlsOf(tls: SourceObject, gateway: Manifest, draft: Draft): ListenerTls {
  const where = titleOf(gateway);
  const mode = tls.text("mode");
  const { certificate, isNamed } = certificateIn(tls, gateway);
  tls.text("caCertificates");
  if (!isNamed) draft.note(where, `${tls.path} names no certificate: put one where the listener expects it`);
  const clientCa = clientCaOf(tls, gateway);
  if (mode === "MUTUAL") {
    draft.note(where, `${tls.path}: clients need a certificate; put the CA's certificates in ${clientCa}`);
  }
  if (mode === "OPTIONAL_MUTUAL" || mode === "ISTIO_MUTUAL") {
    const what = mode === "ISTIO_MUTUAL" ? "clients needed a certificate of the mesh" : "clients' certificates counted";
    draft.noteLostProtection(where, `${tls.path} (${mode}): ${what}; no equivalent`);
  }
  const oldest = tls.text("minProtocolVersion");
  return {
    certificates: [certificate],
    ...(clientCa === "" ? {} : { clientCa }),
    ...(oldest === "TLSV1_3" ? { minVersion: "TLSv1.3" } : {}),
  };
}

/** The file with the CA of the certificates that clients need; empty if they need none. */
export function clientCaOf(tls: SourceObject, gateway: Manifest): string {
  if (tls.peek("mode") !== "MUTUAL") return "";
  const ownSecret = tls.text("caCertCredentialName");
  const { caFile } = ownSecret === "" ? certificateIn(tls, gateway) : certificateOf(gateway.namespace, ownSecret);
  return tls.text("caCertificates") || caFile;
}

function certificateIn(
  tls: SourceObject,
  gateway: Manifest,
): { readonly certificate: DraftCertificate; readonly caFile: string; readonly isNamed: boolean } {
  const secret = tls.text("credentialName") || firstOf(tls, "credentialNames");
  const files = { certFile: tls.text("serverCertificate"), keyFile: tls.text("privateKey") };
  const hasFiles = secret === "" && files.certFile !== "" && files.keyFile !== "";
  if (hasFiles) return { certificate: files, caFile: files.certFile.replace(/[^/]+$/, "ca.crt"), isNamed: true };
  const mounted = certificateOf(gateway.namespace, secret || gateway.name);
  return { certificate: mounted, caFile: mounted.caFile, isNamed: secret !== "" };
}

function firstOf(tls: SourceObject, key: string): string {
  return tls.texts(key)[0] ?? "";
}
