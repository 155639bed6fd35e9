import type { DraftListener } from "./draft.ts";

/** Ports below 1024 are for root only. The Service of `deploy/` maps these two. */
const unprivileged: ReadonlyMap<number, number> = new Map([
  [80, 8080],
  [443, 8443],
]);

/** The admin server's port, which no listener can have. */
const adminPort = 9901;

/** The port that Perch listens on for each port of the original. Each has one of its own. */
export function listenerPorts(listeners: readonly DraftListener[]): ReadonlyMap<number, number> {
  const taken = new Set([adminPort]);
  const ports = new Map<number, number>();
  // Those that keep their port come first: 8080 may be a port of the original, beside 80.
  const order = listeners.toSorted((a, b) => Number(unprivileged.has(a.port)) - Number(unprivileged.has(b.port)));
  for (const { port } of order) {
    let own = unprivileged.get(port) ?? port;
    while (taken.has(own)) own = own < 50_000 ? own + 10_000 : own - 49_999;
    taken.add(own);
    ports.set(port, own);
  }
  return ports;
}
