import { type DraftListener, defaultCertificate, type YamlMap } from "./draft.ts";

/** Ports below this need privileges that Perch's container does not have. They become 8080 for 80, 8443 for 443. */
const firstUnprivileged = 1024;
const added = 8_000;

const isPrivileged = ({ port }: DraftListener): boolean => port > 0 && port < firstUnprivileged;

/** The admin server's port, which no listener can have. */
const adminPort = 9901;

/** The listeners as a configuration writes them, each with a comment that names the port of the original. */
export function writtenListeners(
  listeners: readonly DraftListener[],
): readonly { readonly settings: YamlMap; readonly comment: string }[] {
  const taken = new Set([adminPort]);
  const ports = new Map<DraftListener, number>();
  // Those that keep their port come first: 8080 may be a port of the original, beside 80.
  const order = listeners.toSorted((a, b) => Number(isPrivileged(a)) - Number(isPrivileged(b)));
  for (const listener of order) {
    let port = isPrivileged(listener) ? listener.port + added : listener.port;
    while (taken.has(port)) port = port < 50_000 ? port + 10_000 : port - 48_973;
    taken.add(port);
    ports.set(listener, port);
  }
  return listeners.map((listener) => ({
    settings: {
      name: listener.name,
      address: `*:${ports.get(listener)}`,
      ...(listener.h2c === true && listener.certificates === undefined ? { h2c: true } : {}),
      ...tlsOf(listener),
    },
    comment: `port ${listener.port} of the original`,
  }));
}

/** A listener with TLS stays one, even if the input does not name its certificate. */
function tlsOf({ certificates, tls }: DraftListener): YamlMap {
  if (certificates === undefined) return {};
  const files = certificates.length === 0 ? [defaultCertificate] : certificates;
  return { tls: { certificates: files.map(({ certFile, keyFile }) => ({ certFile, keyFile })), ...tls } };
}

/**
 * The configuration with its listeners' certificates as comments, so that it loads where their files do not exist.
 * Its lines stay where they are.
 */
export function withoutCertificates(config: string): string {
  return config.replace(/^listeners:\n(?:[ #].*\n)+/m, (listeners) =>
    listeners.replace(/^ {4}tls:\n(?: {6}.*\n)+/gm, (tls) => tls.replace(/^/gm, "#").replace(/#$/, "")),
  );
}
