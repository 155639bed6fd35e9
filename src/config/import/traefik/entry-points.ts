import type { Manifest } from "../manifests.ts";

/** Where Traefik accepts requests, which its start-up configuration says. */
export interface EntryPoints {
  /** The port that clients connect to, by name. */
  readonly ports: ReadonlyMap<string, number>;
  /** Those that redirect every plain request to https. */
  readonly redirecting: readonly string[];
}

/** The names in Traefik's own charts and examples. Their Pods have other ports, which a Service maps. */
const usual: readonly (readonly [string, number])[] = [
  ["web", 80],
  ["http", 80],
  ["websecure", 443],
  ["https", 443],
];

/** The usual entry points, and those in the arguments of Traefik's containers. */
export function entryPointsOf(manifests: readonly Manifest[]): EntryPoints {
  const args = manifests
    .filter(({ group }) => group === "apps")
    .flatMap(({ spec }) => spec.object("template").object("spec").objects("containers"))
    .flatMap((container) => [...container.texts("command"), ...container.texts("args")]);
  const ports = new Map<string, number>();
  const redirecting: string[] = [];
  for (const arg of args) {
    const [, name = "", port] = /^--entrypoints\.([^.=]+)\.address=[^/]*:(\d+)(?:\/tcp)?$/i.exec(arg) ?? [];
    if (port !== undefined) ports.set(name.toLowerCase(), Number(port));
    const [, from, to = ""] = /^--entrypoints\.([^.=]+)\.http\.redirections\.entrypoint\.to=(.+)$/i.exec(arg) ?? [];
    if (from !== undefined && /^:?\d+$|secure|https/i.test(to)) redirecting.push(from.toLowerCase());
  }
  for (const [name, port] of usual) ports.set(name, port);
  return { ports, redirecting };
}
