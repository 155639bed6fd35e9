import { filePath } from "./domain-scalars.ts";
import { defaulted, object, optional } from "./kit/object.ts";
import { boolean, text } from "./kit/scalars.ts";
import type { Infer } from "./kit/schema.ts";

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
