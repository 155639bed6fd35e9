import { createHash } from "node:crypto";
import type { UpstreamTls } from "../../upstream/service-spec.ts";
import { checkAuthorities, expiryWarning, readCertificate } from "../certificate.ts";
import type { CompileContext } from "../compile-context.ts";
import { filePath } from "../scalars.ts";
import { defaulted, object, optional } from "../schema-kit/object.ts";
import { boolean, text } from "../schema-kit/scalars.ts";
import type { Infer } from "../schema-kit/schema.ts";

/** How the https endpoints of a service are known. */
export const upstreamTlsSchema = object(
  {
    ca: optional("A PEM file of authorities that count in place of the system's.", filePath),
    cert: optional("A PEM file: the certificate that endpoints are shown (mutual TLS), then its chain.", filePath),
    key: optional("A PEM file: the private key of cert, not encrypted.", filePath),
    serverName: optional(
      "Whom certificates must name, and the name that is asked for (SNI). Default: each endpoint's own.",
      text({
        what: "a server name",
        pattern: /^(?=.*[A-Za-z_-])[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_-]{1,63})*$/,
        rule: "a DNS name such as shop.example.com",
        maxLength: 253,
      }),
    ),
    insecureSkipVerify: defaulted("Whether any certificate is taken, whoever issued it to whomever.", boolean(), false),
  },
  { what: "tls" },
);

export type UpstreamTlsConfig = Infer<typeof upstreamTlsSchema>;

/** The largest bundles that systems carry are a fifth of this. */
const maxPemBytes = 1024 * 1024;

export function compileUpstreamTls(service: string, tls: UpstreamTlsConfig, context: CompileContext): UpstreamTls {
  const { parsing } = context;
  const ca = compileAuthorities(tls, context);
  const client = compileClient(tls, context);
  const { serverName, insecureSkipVerify } = tls;
  if (insecureSkipVerify) {
    const message = `service ${service} takes any certificate: whoever is in between can read and answer its requests`;
    parsing.warn(parsing.spanOf(tls, "insecureSkipVerify"), "risky", message, "name the authority in ca");
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
    const message = "cert and key need each other: a certificate is shown by whoever has its key";
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

/** Each part with its length, so that no two sets of parts are alike by where one ends. */
function digestOf(parts: readonly (Uint8Array | string | undefined)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part === undefined ? "none\n" : `${part.length}\n`).update(part ?? "");
  return hash.digest("hex");
}
