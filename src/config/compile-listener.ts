import { type Certificate, checkAuthorities, readCertificate } from "../front/certificate.ts";
import { expiryWarning } from "../front/certificate-expiry.ts";
import type { TlsSpec } from "../front/tls-termination.ts";
import type { CompileContext } from "./compile-context.ts";
import type { ListenerSpec } from "./compiled-config.ts";
import type { ListenerConfig, TlsConfig } from "./listener-schema.ts";

/** A chain, a key or a bundle of authorities; the largest bundles that systems carry are a fifth of this. */
const largestPemBytes = 1024 * 1024;

/** Who may connect to a unix socket: whoever runs Perch, and its group. */
const defaultMode = 0o660;

export function compileListener(listener: ListenerConfig, context: CompileContext): ListenerSpec {
  const { name, address, mode, proxyProtocol, tls, h2c } = listener;
  const isUnix = "path" in address;
  if (mode !== undefined && !isUnix) {
    const span = context.reading.keySpanOf(listener, "mode");
    context.reading.error(span, "conflicting-keys", "mode is for unix sockets; this address has a port");
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
    certificate: context.reading.spanOf(config, "certFile"),
    key: context.reading.spanOf(config, "keyFile"),
  };
  const chain = context.file(config.certFile, largestPemBytes, spans.certificate);
  const key = context.file(config.keyFile, largestPemBytes, spans.key);
  if (chain === undefined || key === undefined) return undefined;
  const read = readCertificate(chain.bytes, key.bytes, config.hosts);
  if (!("problem" in read)) {
    const warning = context.nowMs && expiryWarning(read, context.nowMs());
    if (warning !== undefined) context.reading.warn(spans.certificate, "risky", warning);
    return read;
  }
  const path = read.file === "key" ? key.path : chain.path;
  return context.badFile(spans[read.file], path, read.problem);
}

function compileClientCa(tls: TlsConfig, context: CompileContext): Uint8Array | undefined {
  if (tls.clientCa === undefined) return undefined;
  const span = context.reading.spanOf(tls, "clientCa");
  const file = context.file(tls.clientCa, largestPemBytes, span);
  if (file === undefined) return undefined;
  const problem = checkAuthorities(file.bytes);
  return problem === undefined ? file.bytes : context.badFile(span, file.path, problem);
}
