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
  const secret = tls.text("credentialName") || firstOf(tls, "credentialNames");
  const files = { certFile: tls.text("serverCertificate"), keyFile: tls.text("privateKey") };
  const ownCa = tls.text("caCertificates");
  if (secret === "" && (files.certFile === "" || files.keyFile === "")) {
    draft.note(where, `${tls.path} names no certificate: put one where the listener expects it`);
  }
  const hasFiles = secret === "" && files.certFile !== "" && files.keyFile !== "";
  const certificate = hasFiles ? files : certificateOf(gateway.namespace, secret || gateway.name);
  const clientCa = mode === "MUTUAL" ? ownCa || certificate.certFile.replace(/[^/]+$/, "ca.crt") : "";
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

function firstOf(tls: SourceObject, key: string): string {
  return tls.texts(key)[0] ?? "";
}
