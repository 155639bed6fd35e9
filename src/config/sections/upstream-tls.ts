import { createHash } from "node:crypto";
import type { UpstreamTls } from "../../upstream/service-spec.ts";
import { checkAuthorities, expiryWarning, readCertificate } from "../certificate.ts";
import type { CompileContext } from "../compile-context.ts";
import { filePath, secretPath } from "../scalars.ts";
import { defaulted, object, optional } from "../schema-kit/object.ts";
import { boolean, text } from "../schema-kit/scalars.ts";
import type { Infer } from "../schema-kit/schema.ts";

/** TLS to the https endpoints of a service. */
export const upstreamTlsSchema = object(
  {
    ca: optional("A PEM file of CA certificates that replace the system's.", filePath),
    cert: optional("A PEM file: the client certificate (mutual TLS), then the intermediates.", filePath),
    key: optional("A PEM file: the private key of cert, unencrypted.", secretPath),
    serverName: optional(
      "The name that certificates must contain, also sent as SNI. Default: each endpoint's own.",
      text({
        what: "a server name",
        pattern: /^(?=.*[A-Za-z_-])[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_-]{1,63})*$/,
        rule: "a DNS name such as shop.example.com",
        maxLength: 253,
      }),
    ),
    insecureSkipVerify: defaulted("Whether server certificates are not verified at all.", boolean(), false),
  },
  { what: "tls" },
);

export type UpstreamTlsConfig = Infer<typeof upstreamTlsSchema>;

/** Five times the size of the largest CA bundles of operating systems. */
const maxPemBytes = 1024 * 1024;

export function compileUpstreamTls(service: string, tls: UpstreamTlsConfig, context: CompileContext): UpstreamTls {
  const { parsing } = context;
  const ca = compileAuthorities(tls, context);
  const client = compileClient(tls, context);
  const { serverName, insecureSkipVerify } = tls;
  if (insecureSkipVerify) {
    const message = `service ${service} does not verify certificates: anyone on the network path can read and change its traffic`;
    parsing.warn(parsing.spanOf(tls, "insecureSkipVerify"), "risky", message, "set ca instead");
  }
  const verify = insecureSkipVerify ? "nothing" : "certificates";
  const parts = [ca, client?.chain, client?.key, serverName, verify];
  return { ca, client, serverName, verify, digest: digestOf(parts) };
}

function compileAuthorities(tls: UpstreamTlsConfig, context: CompileContext): Uint8Array | undefined {
  if (tls.ca === undefined) return undefined;
  const span = context.parsing.spanOf(tls, "ca");
  const file = context.file(tls.ca, maxPemBytes, span);
  if (file === undefined) return undefined;
  const problem = checkAuthorities(file.bytes);
  return problem === undefined ? file.bytes : context.badFile(span, file.path, problem);
}

function compileClient(tls: UpstreamTlsConfig, context: CompileContext): UpstreamTls["client"] {
  const { parsing, nowMs } = context;
  const { cert, key } = tls;
  if (cert === undefined || key === undefined) {
    const lone = cert === undefined ? (key === undefined ? undefined : "key") : "cert";
    const message = "cert and key must be set together";
    if (lone !== undefined) parsing.error(parsing.keySpanOf(tls, lone), "missing-key", message);
    return undefined;
  }
  const spans = { certificate: parsing.spanOf(tls, "cert"), key: parsing.spanOf(tls, "key") };
  const chainFile = context.file(cert, maxPemBytes, spans.certificate);
  const keyFile = context.file(key, maxPemBytes, spans.key);
  if (chainFile === undefined || keyFile === undefined) return undefined;
  const read = readCertificate(chainFile.bytes, keyFile.bytes);
  if ("problem" in read) {
    return context.badFile(spans[read.file], (read.file === "key" ? keyFile : chainFile).path, read.problem);
  }
  const warning = nowMs && expiryWarning(read, nowMs());
  if (warning !== undefined) parsing.warn(spans.certificate, "risky", warning);
  return { chain: read.chain, key: read.key };
}

/**
 * Identifies the settings: connections survive a reload if the digest is unchanged. Each part is prefixed with its
 * length, or moving bytes from one part to the next would keep the digest.
 */
function digestOf(parts: readonly (Uint8Array | string | undefined)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part === undefined ? "none\n" : `${part.length}\n`).update(part ?? "");
  return hash.digest("hex");
}
