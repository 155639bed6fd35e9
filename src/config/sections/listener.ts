import { type Certificate, checkAuthorities, expiryWarning, readCertificate } from "../certificate.ts";
import type { CompileContext } from "../compile-context.ts";
import type { ListenerSpec, TlsSpec } from "../compiled-config.ts";
import { filePath, hostPattern, listenAddress, resourceName } from "../scalars.ts";
import { list } from "../schema-kit/collections.ts";
import { defaulted, object, optional, required } from "../schema-kit/object.ts";
import { boolean, oneOf, ParseError, scalar } from "../schema-kit/scalars.ts";
import type { Infer, ParseContext, Schema } from "../schema-kit/schema.ts";
import { quote } from "../schema-kit/tree.ts";

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
      : new ParseError(`${quote(written)} is no file's permissions in octal, such as 0660`),
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

/** A chain, a key or a bundle of authorities; the largest bundles that systems carry are a fifth of this. */
const maxPemBytes = 1024 * 1024;

/** Who may connect to a unix socket: whoever runs Perch, and its group. */
const defaultMode = 0o660;

export function compileListener(listener: ListenerConfig, context: CompileContext): ListenerSpec {
  const { name, address, mode, proxyProtocol, tls, h2c } = listener;
  const isUnix = "path" in address;
  if (mode !== undefined && !isUnix) {
    const span = context.parsing.keySpanOf(listener, "mode");
    context.parsing.error(span, "conflicting-keys", "mode is for unix sockets; this address has a port");
  }
  return {
    name,
    address: isUnix ? { path: address.path, mode: mode ?? defaultMode } : address,
    proxyProtocol,
    h2c,
    tls: tls && compileTls(tls, context),
  };
}

function compileTls(tls: TlsConfig, context: CompileContext): TlsSpec {
  const certificates = tls.certificates.flatMap((one) => compileCertificate(one, context) ?? []);
  return { certificates, minVersion: tls.minVersion, clientCa: compileClientCa(tls, context) };
}

function compileCertificate(
  config: TlsConfig["certificates"][number],
  context: CompileContext,
): Certificate | undefined {
  const spans = {
    certificate: context.parsing.spanOf(config, "certFile"),
    key: context.parsing.spanOf(config, "keyFile"),
  };
  const chain = context.file(config.certFile, maxPemBytes, spans.certificate);
  const key = context.file(config.keyFile, maxPemBytes, spans.key);
  if (chain === undefined || key === undefined) return undefined;
  const read = readCertificate(chain.bytes, key.bytes, config.hosts);
  if (!("problem" in read)) {
    const warning = context.nowMs && expiryWarning(read, context.nowMs());
    if (warning !== undefined) context.parsing.warn(spans.certificate, "risky", warning);
    return read;
  }
  const path = read.file === "key" ? key.path : chain.path;
  return context.badFile(spans[read.file], path, read.problem);
}

function compileClientCa(tls: TlsConfig, context: CompileContext): Uint8Array | undefined {
  if (tls.clientCa === undefined) return undefined;
  const span = context.parsing.spanOf(tls, "clientCa");
  const file = context.file(tls.clientCa, maxPemBytes, span);
  if (file === undefined) return undefined;
  const problem = checkAuthorities(file.bytes);
  return problem === undefined ? file.bytes : context.badFile(span, file.path, problem);
}

type Address = ListenerConfig["address"];

/** All that listens. */
interface ListeningConfig {
  readonly listeners: readonly ListenerConfig[];
  readonly admin: { readonly address: Address };
}

interface Claim {
  readonly who: string;
  readonly text: string;
}

/** Each name and each address once; port 0 is a different one each time. */
export function checkListeners(config: ListeningConfig, parsing: ParseContext): void {
  const names = new Set<string>();
  const claims = new Map<string, Claim>();
  for (const listener of config.listeners) {
    if (names.has(listener.name)) {
      const message = `another listener is called ${quote(listener.name)} already`;
      parsing.error(parsing.spanOf(listener, "name"), "duplicate-name", message);
    }
    names.add(listener.name);
    claimAddress(listener.address, `listener ${quote(listener.name)}`, listener, claims, parsing);
  }
  claimAddress(config.admin.address, "admin", config.admin, claims, parsing);
}

function claimAddress(
  address: Address,
  who: string,
  owner: object,
  claims: Map<string, Claim>,
  parsing: ParseContext,
): void {
  if ("port" in address && address.port === 0) return;
  const text = addressText(address);
  // A socket on [::] takes IPv4 as well.
  const key = text.replace(/^0\.0\.0\.0:/, "[::]:");
  const other = claims.get(key);
  if (other !== undefined) {
    const suggestion = other.text === text ? undefined : "[::] takes IPv4 as well: one of the two is enough";
    const message = `${other.who} has the address ${other.text} already`;
    parsing.error(parsing.spanOf(owner, "address"), "duplicate-name", message, suggestion);
  }
  claims.set(key, { who, text });
}

/** An address as the configuration writes it. */
export function addressText(address: Pick<ListenerSpec, "address">["address"] | { readonly path: string }): string {
  if ("path" in address) return `unix:${address.path}`;
  const { host, port } = address;
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
