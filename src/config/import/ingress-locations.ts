import type { Draft, YamlMap } from "./draft.ts";
import { type Loose, type Manifest, mapIn, mapsIn, textIn, titleOf } from "./manifests.ts";

/** One path of one host of one Ingress, with the Service behind it. */
export interface IngressLocation {
  readonly ingress: Manifest;
  /** Empty: any host. */
  readonly host: string;
  readonly path: string;
  readonly kind: "exact" | "prefix" | "regex";
  readonly serviceName: string;
  readonly port: Loose;
}

const prefix = "nginx.ingress.kubernetes.io/";

/** An annotation of ingress-nginx by its short name; empty if it is not set. */
export function annotation(ingress: Manifest, name: string): string {
  return textIn(ingress.annotations[prefix + name]).trim();
}

/** The short names of all annotations of ingress-nginx. */
export function annotationNames(ingress: Manifest): readonly string[] {
  return Object.keys(ingress.annotations)
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length));
}

/** Every path of an Ingress, its default backend last. */
export function locationsOf(ingress: Manifest, draft: Draft): IngressLocation[] {
  const usesRegex = annotation(ingress, "use-regex") === "true" || /\$\d/.test(annotation(ingress, "rewrite-target"));
  const found: IngressLocation[] = [];
  for (const rule of mapsIn(ingress.spec["rules"])) {
    const host = textIn(rule["host"]).toLowerCase();
    for (const path of mapsIn(mapIn(rule["http"])["paths"])) {
      const type = textIn(path["pathType"]);
      const kind = usesRegex ? "regex" : type === "Exact" ? "exact" : "prefix";
      const text = textIn(path["path"]) || "/";
      if (kind === "prefix" && type !== "Prefix" && !text.endsWith("/")) {
        draft.note(titleOf(ingress), `${host}${text} also matched ${text}x; Perch matches whole segments`);
      }
      add(mapIn(path["backend"]), host, text, kind);
    }
  }
  const fallback = mapIn(ingress.spec["defaultBackend"]);
  if (Object.keys(fallback).length > 0) add(fallback, "", "/", "prefix");
  return found;

  function add(backend: Loose, host: string, path: string, kind: IngressLocation["kind"]): void {
    const service = mapIn(backend["service"]);
    const serviceName = textIn(service["name"]);
    if (serviceName === "") {
      draft.note(titleOf(ingress), `${host}${path} has a backend that is not a Service: left out`);
      return;
    }
    found.push({ ingress, host, path, kind, serviceName, port: mapIn(service["port"]) });
  }
}

/** The order in which nginx matches: exact hosts, wildcards, any host; then exact paths, then the others by length. */
export function byPrecedence(a: IngressLocation, b: IngressLocation): number {
  return hostRank(a) - hostRank(b) || kindRank[a.kind] - kindRank[b.kind] || b.path.length - a.path.length;
}

function hostRank({ host }: IngressLocation): number {
  if (host === "") return 2;
  return host.startsWith("*.") ? 1 : 0;
}

// If a host has patterns, ingress-nginx turns all of its paths into patterns, ordered by length.
const kindRank = { exact: 0, regex: 1, prefix: 1 } as const;

export function matchOf({ host, path, kind }: IngressLocation): YamlMap {
  const hosts = host === "" ? {} : { hosts: [host] };
  if (kind === "prefix" && path === "/") return hosts;
  if (kind === "prefix")
    return { ...hosts, path: { prefix: path.length > 1 ? path.replace(/\/+$/, "") || "/" : path } };
  return { ...hosts, path: kind === "exact" ? { exact: path } : { regex: `(?i)^${path}` } };
}
