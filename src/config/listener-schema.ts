import { filePath, hostPattern, listenAddress, resourceName } from "./domain-scalars.ts";
import { list } from "./kit/collections.ts";
import { defaulted, object, optional, required } from "./kit/object.ts";
import { boolean, oneOf, scalar, Wrong } from "./kit/scalars.ts";
import type { Infer, Schema } from "./kit/schema.ts";
import { quote } from "./kit/tree.ts";

const certificate = object(
  {
    certFile: required("A PEM file: the certificate, then those between it and its root.", filePath),
    keyFile: required("A PEM file: its private key, not encrypted.", filePath),
    hosts: optional(
      "Server names (SNI) that it is shown for; a leading *. stands for one label. Default: the certificate's own.",
      list(hostPattern, { of: "hosts", min: 1 }),
    ),
  },
  { what: "a certificate" },
);

const tls = object(
  {
    certificates: required(
      "The first is shown where no other has the name that is asked for.",
      list(certificate, { of: "certificates", min: 1 }),
    ),
    minVersion: defaulted("The lowest version of TLS that is spoken.", oneOf(["TLSv1.2", "TLSv1.3"]), "TLSv1.2"),
    clientCa: optional(
      "A PEM file of authorities: only clients with a certificate that one of them issued are served.",
      filePath,
    ),
  },
  { what: "tls" },
);

const fileMode: Schema<number> = scalar({
  what: "permissions in octal such as 0660",
  parse: (written) =>
    /^0?[0-7]{3}$/.test(written)
      ? Number.parseInt(written, 8)
      : new Wrong(`${quote(written)} is no file's permissions in octal, such as 0660`),
  json: { type: ["string", "integer"], pattern: "^0?[0-7]{3}$" },
});

/** One address that requests come in by. */
export const listenerSchema = object(
  {
    name: required("The listener's name.", resourceName),
    address: required(
      "host:port to accept requests on; [::]:8080 for IPv6; unix:/run/perch.sock for a unix socket.",
      listenAddress,
    ),
    mode: optional("Who may connect to a unix socket: the file's permissions in octal. Default: 0660.", fileMode),
    proxyProtocol: defaulted(
      "Whether every connection begins with a header of the PROXY protocol, which only trustedProxies may send.",
      boolean(),
      false,
    ),
    tls: optional("Speaks TLS, by certificates that are watched and reloaded.", tls),
    h2c: defaulted("Whether clients may speak HTTP/2 without TLS, with prior knowledge.", boolean(), false),
  },
  { what: "a listener" },
);

export type ListenerConfig = Infer<typeof listenerSchema>;
export type TlsConfig = NonNullable<ListenerConfig["tls"]>;
