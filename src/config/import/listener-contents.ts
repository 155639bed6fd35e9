import { certificateOf, type DraftListener, type YamlMap } from "./draft.ts";

/** Ports below 1024 are for root only. The Service of `deploy/` maps these two. */
const unprivileged: ReadonlyMap<number, number> = new Map([
  [80, 8080],
  [443, 8443],
]);

/** The admin server's port, which no listener can have. */
const adminPort = 9901;

/** The listeners as a configuration writes them, each on a port of its own. */
export function listenerContents(listeners: readonly DraftListener[]): readonly YamlMap[] {
  const taken = new Set([adminPort]);
  const ports = new Map<DraftListener, number>();
  // Those that keep their port come first: 8080 may be a port of the original, beside 80.
  const order = listeners.toSorted((a, b) => Number(unprivileged.has(a.port)) - Number(unprivileged.has(b.port)));
  for (const listener of order) {
    let port = unprivileged.get(listener.port) ?? listener.port;
    while (taken.has(port)) port = port < 50_000 ? port + 10_000 : port - 49_999;
    taken.add(port);
    ports.set(listener, port);
  }
  return listeners.map((listener) => ({
    name: listener.name,
    address: `*:${ports.get(listener)}`,
    ...tlsOf(listener),
  }));
}

/** A listener with TLS stays one, even if the input does not name its certificate. */
function tlsOf({ certificates }: DraftListener): YamlMap {
  if (certificates === undefined) return {};
  const files = certificates.length === 0 ? [certificateOf("default", "certificate")] : certificates;
  return { tls: { certificates: files.map(({ certFile, keyFile }): YamlMap => ({ certFile, keyFile })) } };
}
