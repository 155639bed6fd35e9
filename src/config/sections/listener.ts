import { urlHost } from "../../http/authority.ts";
import { type Certificate, checkAuthorities, expiryWarning, readCertificate } from "../certificate.ts";
import type { CompileContext } from "../compile-context.ts";
import type { ListenerSpec, TlsSpec } from "../compiled-config.ts";
import { filePath, hostPattern, listenAddress, resourceName, secretPath } from "../scalars.ts";
import { list } from "../schema-kit/collections.ts";
import { defaulted, object, optional, required } from "../schema-kit/object.ts";
import { boolean, oneOf, ParseError, scalar } from "../schema-kit/scalars.ts";
import type { Infer, ParseContext, Schema } from "../schema-kit/schema.ts";
import { quote } from "../schema-kit/tree.ts";

const certificate = object(
  {
    certFile: required("A PEM file: the certificate, then the intermediates.", filePath),
    keyFile: required("A PEM file: the private key, unencrypted.", secretPath),
    hosts: optional(
      "Server names (SNI) that select it; a leading *. stands for one label. Default: the names in the certificate.",
      list(hostPattern, { of: "hosts", min: 1 }),
    ),
  },
  { what: "a certificate" },
);

const tls = object(
  {
    certificates: required(
      "Certificates, selected by server name (SNI). The first is used if none matches.",
      list(certificate, { of: "certificates", min: 1 }),
    ),
    minVersion: defaulted("The minimum TLS version.", oneOf(["TLSv1.2", "TLSv1.3"]), "TLSv1.2"),
    clientCa: optional(
      "A PEM file of CA certificates. Clients must then present a certificate issued by one of them (mutual TLS).",
      filePath,
    ),
  },
  { what: "tls" },
);

const fileMode: Schema<number> = scalar({
  what: "a file mode in octal such as 0660",
  parse: (written) =>
    /^0?[0-7]{3}$/.test(written)
      ? Number.parseInt(written, 8)
      : new ParseError(`${quote(written)} is not a file mode in octal, such as 0660`),
  json: { type: ["string", "integer"], pattern: "^0?[0-7]{3}$" },
});

export const listenerSchema = object(
  {
    name: required("The listener's name.", resourceName),
    address: required(
      '"*:8080" to accept requests on every address of the machine, IPv6 and IPv4; 127.0.0.1:8080 or [::1]:8080 on one ' +
        "address; unix:/run/perch.sock for a unix socket.",
      listenAddress,
    ),
    mode: optional("The file mode of a unix socket in octal, which controls who may connect. Default: 0660.", fileMode),
    proxyProtocol: defaulted(
      "Whether each connection starts with a PROXY protocol header, which only trustedProxies may send.",
      boolean(),
      false,
    ),
    tls: optional("Terminates TLS. The files are watched and reloaded.", tls),
    h2c: defaulted("Whether clients may use HTTP/2 without TLS (prior knowledge).", boolean(), false),
  },
  { what: "a listener" },
);

export type ListenerConfig = Infer<typeof listenerSchema>;
export type TlsConfig = NonNullable<ListenerConfig["tls"]>;

/** Five times the size of the largest CA bundles of operating systems. */
const maxPemBytes = 1024 * 1024;

/** Owner and group may connect. */
const defaultMode = 0o660;

export function compileListener(listener: ListenerConfig, context: CompileContext): ListenerSpec {
  const { name, address, mode, proxyProtocol, tls, h2c } = listener;
  const isUnix = "path" in address;
  if (mode !== undefined && !isUnix) {
    const span = context.parsing.keySpanOf(listener, "mode");
    context.parsing.error(span, "conflicting-keys", "mode applies to unix sockets only");
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

interface ListeningConfig {
  readonly listeners: readonly ListenerConfig[];
  readonly admin: { readonly address: Address };
}

interface Claim {
  readonly owner: string;
  readonly text: string;
}

/** Names and addresses must be unique. Port 0 never conflicts. */
export function checkListeners(config: ListeningConfig, parsing: ParseContext): void {
  const names = new Set<string>();
  const claims = new Map<string, Claim>();
  for (const listener of config.listeners) {
    if (names.has(listener.name)) {
      const message = `another listener is already named ${quote(listener.name)}`;
      parsing.error(parsing.spanOf(listener, "name"), "duplicate-name", message);
    }
    names.add(listener.name);
    claimAddress(listener.address, `listener ${quote(listener.name)}`, listener, claims, parsing);
  }
  claimAddress(config.admin.address, "admin", config.admin, claims, parsing);
}

function claimAddress(
  address: Address,
  owner: string,
  config: object,
  claims: Map<string, Claim>,
  parsing: ParseContext,
): void {
  if ("port" in address && address.port === 0) return;
  const text = addressText(address);
  // A socket on [::] accepts IPv4 too, and `*` is one on [::] or 0.0.0.0.
  const key = text.replace(/^(?:0\.0\.0\.0|\*):/, "[::]:");
  const other = claims.get(key);
  if (other !== undefined) {
    const suggestion = other.text === text ? undefined : sharedBy([other.text, text]);
    const message = `${other.owner} already uses the address ${other.text}`;
    parsing.error(parsing.spanOf(config, "address"), "duplicate-name", message, suggestion);
  }
  claims.set(key, { owner, text });
}

function sharedBy(texts: readonly string[]): string {
  const wider = texts.some((text) => text.startsWith("*")) ? "* includes it" : "[::] accepts IPv4 too";
  return `${wider}, so one of the two is enough`;
}

/** An address as written in the configuration. */
export function addressText(address: Pick<ListenerSpec, "address">["address"] | { readonly path: string }): string {
  if ("path" in address) return `unix:${address.path}`;
  const { host, port } = address;
  return `${urlHost(host)}:${port}`;
}
