import { createPrivateKey, X509Certificate } from "node:crypto";

export type TlsVersion = "TLSv1.2" | "TLSv1.3";

/** A certificate that a listener shows, with all that it takes to show it. */
export interface Certificate {
  /** PEM: the certificate, then those between it and its root. */
  readonly chain: Uint8Array;
  /** PEM; it never leaves the process. */
  readonly key: Uint8Array;
  /** Server names that it is shown for, lower case; a `*.` in front stands for one label. */
  readonly hosts: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** What is wrong with a pair of files, and with which of them. */
export interface CertificateProblem {
  readonly file: "certificate" | "key";
  readonly problem: string;
}

const pemBlock = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]+?-----END \1-----/g;

/**
 * Reads a certificate and its key. `hosts` are the names that it is shown for; default: its own. No words of a problem
 * quote the key.
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
  const refusal = whyRefused({ cert: Buffer.from(chain), key: Buffer.from(key) });
  if (refusal !== undefined) return { file: "certificate", problem: refusal };
  return {
    chain,
    key,
    hosts: hosts ?? namesOf(first),
    notBeforeMs: first.validFromDate.getTime(),
    notAfterMs: first.validToDate.getTime(),
  };
}

/** What is wrong with a file of certificates that clients' certificates are verified by; undefined where nothing is. */
export function checkAuthorities(pem: Uint8Array): string | undefined {
  const blocks = blocksOf(pem).filter(({ label }) => isCertificate(label));
  if (blocks.length === 0) return "it holds no certificate (-----BEGIN CERTIFICATE-----)";
  for (const [index, { text }] of blocks.entries()) {
    if (parse(text) === undefined) return `its certificate ${index + 1} can not be read`;
  }
  return whyRefused({ ca: Buffer.from(pem) });
}

const isCertificate = (label: string): boolean => label === "CERTIFICATE" || label === "TRUSTED CERTIFICATE";

function blocksOf(pem: Uint8Array): { readonly label: string; readonly text: string }[] {
  const text = Buffer.from(pem).toString("latin1");
  return Array.from(text.matchAll(pemBlock), ([block, label = ""]) => ({ label, text: block }));
}

function firstCertificate(chain: Uint8Array): X509Certificate | string {
  const blocks = blocksOf(chain);
  const first = blocks.find(({ label }) => isCertificate(label));
  if (first !== undefined) return parse(first.text) ?? "its first certificate can not be read";
  if (blocks.some(({ label }) => label.endsWith("PRIVATE KEY"))) {
    return "it holds a private key and no certificate; are certFile and keyFile swapped?";
  }
  return "it holds no certificate (-----BEGIN CERTIFICATE-----)";
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
    return certificate.checkPrivateKey(privateKey) ? undefined : "it is not the key of the certificate in certFile";
  } catch {
    // As both kinds of PEM say it; what OpenSSL says differs from version to version.
    return /^(?:-----BEGIN ENCRYPTED |Proc-Type: 4,ENCRYPTED)/m.test(Buffer.from(key).toString("latin1"))
      ? "it is encrypted, and there is nobody to ask for its passphrase; store it decrypted"
      : "it holds no private key that can be read (-----BEGIN PRIVATE KEY-----)";
  }
}

/** OpenSSL has rules of its own, such as a shortest key; it is asked before a listener depends on its answer. */
function whyRefused(material: { readonly cert?: Buffer; readonly key?: Buffer; readonly ca?: Buffer }) {
  try {
    // Loaded here and not above: the library reads configurations too, and most name no certificate.
    process.getBuiltinModule("node:tls").createSecureContext(material);
    return undefined;
  } catch (error) {
    const reason = error instanceof Error && "reason" in error ? String(error.reason) : "no reason given";
    return `OpenSSL refuses it: ${reason}`;
  }
}

const serverName = /^(?:\*\.)?[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;

/** The DNS names that it was issued for; its common name where it has none, as old ones do. */
function namesOf(certificate: X509Certificate): readonly string[] {
  // Names that need quotes in this list are none that a client could ask for.
  const entries = certificate.subjectAltName?.split(", ") ?? [];
  const alternatives = entries.flatMap((entry) => (entry.startsWith("DNS:") ? [entry.slice(4).toLowerCase()] : []));
  const names = alternatives.length > 0 ? alternatives : [commonName(certificate) ?? ""];
  return names.filter((name) => serverName.test(name));
}

function commonName(certificate: X509Certificate): string | undefined {
  const line = certificate.subject?.split("\n").find((part) => part.startsWith("CN="));
  return line?.slice(3).toLowerCase();
}

const dayMs = 86_400_000;

/** What is to be said of a certificate's time; undefined where nothing is: not long before its end, be it a short one. */
export function expiryWarning(
  { notBeforeMs, notAfterMs }: Pick<Certificate, "notBeforeMs" | "notAfterMs">,
  nowMs: number,
): string | undefined {
  if (nowMs < notBeforeMs) return `the certificate is not valid before ${timeText(notBeforeMs)}`;
  if (nowMs > notAfterMs) return `the certificate expired at ${timeText(notAfterMs)}`;
  const soonMs = Math.min(14 * dayMs, (notAfterMs - notBeforeMs) / 3);
  return notAfterMs - nowMs < soonMs ? `the certificate expires at ${timeText(notAfterMs)}` : undefined;
}

const timeText = (ms: number): string => new Date(ms).toISOString().replace(".000Z", "Z");
