import { createPrivateKey, X509Certificate } from "node:crypto";

export type TlsVersion = "TLSv1.2" | "TLSv1.3";

/** A certificate that a listener presents, with its key. */
export interface Certificate {
  /** PEM: the certificate, then the intermediates. */
  readonly chain: Uint8Array;
  /** PEM. Never logged or exported. */
  readonly key: Uint8Array;
  /** Server names (SNI) that select it, in lower case. A leading `*.` stands for one label. */
  readonly hosts: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export interface CertificateProblem {
  readonly file: "certificate" | "key";
  readonly problem: string;
}

/**
 * Reads a certificate and its key. `hosts` are the server names that select it; default: the names in the certificate.
 * Problem texts never quote the key.
 */
export function readCertificate(
  chain: Uint8Array,
  key: Uint8Array,
  hosts?: readonly string[],
): Certificate | CertificateProblem {
  const first = firstCertificate(chain);
  if (typeof first === "string") return { file: "certificate", problem: first };
  const keyProblem = checkKey(key, first);
  if (keyProblem !== undefined) return { file: "key", problem: keyProblem };
  const refusal = opensslProblem({ cert: Buffer.from(chain), key: Buffer.from(key) });
  if (refusal !== undefined) return { file: "certificate", problem: refusal };
  return {
    chain,
    key,
    hosts: hosts ?? namesOf(first),
    notBeforeMs: first.validFromDate.getTime(),
    notAfterMs: first.validToDate.getTime(),
  };
}

/** What is wrong with a file of CA certificates; undefined if nothing is. */
export function checkAuthorities(pem: Uint8Array): string | undefined {
  const blocks = blocksOf(pem).filter(({ label }) => isCertificate(label));
  if (blocks.length === 0) return "it contains no certificate (-----BEGIN CERTIFICATE-----)";
  for (const [index, { text }] of blocks.entries()) {
    if (parse(text) === undefined) return `certificate ${index + 1} in it cannot be parsed`;
  }
  return opensslProblem({ ca: Buffer.from(pem) });
}

const isCertificate = (label: string): boolean => label === "CERTIFICATE" || label === "TRUSTED CERTIFICATE";

const pemBlock = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]+?-----END \1-----/g;

function blocksOf(pem: Uint8Array): { readonly label: string; readonly text: string }[] {
  const text = Buffer.from(pem).toString("latin1");
  return Array.from(text.matchAll(pemBlock), ([block, label = ""]) => ({ label, text: block }));
}

function firstCertificate(chain: Uint8Array): X509Certificate | string {
  const blocks = blocksOf(chain);
  const first = blocks.find(({ label }) => isCertificate(label));
  if (first !== undefined) return parse(first.text) ?? "its first certificate cannot be parsed";
  if (blocks.some(({ label }) => label.endsWith("PRIVATE KEY"))) {
    return "it contains a private key and no certificate; are certFile and keyFile swapped?";
  }
  return "it contains no certificate (-----BEGIN CERTIFICATE-----)";
}

function parse(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

function checkKey(key: Uint8Array, certificate: X509Certificate): string | undefined {
  try {
    const privateKey = createPrivateKey(Buffer.from(key));
    return certificate.checkPrivateKey(privateKey) ? undefined : "it does not match the certificate";
  } catch {
    // The headers of both PEM forms (PKCS #8, RFC 1421), since OpenSSL's error texts differ between versions.
    return /^(?:-----BEGIN ENCRYPTED |Proc-Type: 4,ENCRYPTED)/m.test(Buffer.from(key).toString("latin1"))
      ? "it is encrypted, and a passphrase is not supported; store it decrypted"
      : "it contains no readable private key (-----BEGIN PRIVATE KEY-----)";
  }
}

/** OpenSSL has further rules, such as a minimum key size. Checked here, before a listener depends on it. */
function opensslProblem(material: { readonly cert?: Buffer; readonly key?: Buffer; readonly ca?: Buffer }) {
  try {
    // Loaded on demand: the library should not load node:tls for configurations without certificates.
    process.getBuiltinModule("node:tls").createSecureContext(material);
    return undefined;
  } catch (error) {
    const reason = error instanceof Error && "reason" in error ? String(error.reason) : "no reason given";
    return `OpenSSL rejects it: ${reason}`;
  }
}

/** Its DNS names, or the common name if it has none, as old certificates do. */
function namesOf(certificate: X509Certificate): readonly string[] {
  // Names that Node quotes in this list cannot occur in SNI, so a plain split is enough.
  const entries = certificate.subjectAltName?.split(", ") ?? [];
  const alternatives = entries.flatMap((entry) => (entry.startsWith("DNS:") ? [entry.slice(4).toLowerCase()] : []));
  const names = alternatives.length > 0 ? alternatives : [commonName(certificate) ?? ""];
  return names.filter((name) => serverName.test(name));
}

const serverName = /^(?:\*\.)?[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;

function commonName(certificate: X509Certificate): string | undefined {
  const line = certificate.subject?.split("\n").find((part) => part.startsWith("CN="));
  return line?.slice(3).toLowerCase();
}

/**
 * A warning for a certificate that is not yet valid, has expired, or expires within 14 days; for a short-lived one within
 * the last third of its lifetime.
 */
export function expiryWarning(
  { notBeforeMs, notAfterMs }: Pick<Certificate, "notBeforeMs" | "notAfterMs">,
  nowMs: number,
): string | undefined {
  if (nowMs < notBeforeMs) return `the certificate is not valid before ${timeText(notBeforeMs)}`;
  if (nowMs > notAfterMs) return `the certificate expired at ${timeText(notAfterMs)}`;
  const soonMs = Math.min(14 * dayMs, (notAfterMs - notBeforeMs) / 3);
  return notAfterMs - nowMs < soonMs ? `the certificate expires at ${timeText(notAfterMs)}` : undefined;
}

const dayMs = 86_400_000;

const timeText = (ms: number): string => new Date(ms).toISOString().replace(".000Z", "Z");
