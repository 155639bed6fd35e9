import { bindAddress, filePath, hostPattern, resourceName } from "./domain-scalars.ts";
import { list } from "./kit/collections.ts";
import { defaulted, object, optional, required } from "./kit/object.ts";
import { boolean, oneOf } from "./kit/scalars.ts";
import type { Infer } from "./kit/schema.ts";

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

/** One address that requests come in by. */
export const listenerSchema = object(
  {
    name: required("The listener's name.", resourceName),
    address: required("host:port to accept requests on; [::]:8080 for IPv6.", bindAddress),
    tls: optional("Speaks TLS, by certificates that are watched and reloaded.", tls),
    h2c: defaulted("Whether clients may speak HTTP/2 without TLS, with prior knowledge.", boolean(), false),
  },
  { what: "a listener", later: ["proxyProtocol"] },
);

export type ListenerConfig = Infer<typeof listenerSchema>;
export type TlsConfig = NonNullable<ListenerConfig["tls"]>;
