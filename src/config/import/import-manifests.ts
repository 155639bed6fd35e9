import { Draft, type Note, writeDraft } from "./draft.ts";
import { importHttpRoutes } from "./gateway-api.ts";
import { importIngresses } from "./ingress-nginx.ts";
import { importVirtualServices } from "./istio.ts";
import { type Manifest, parseManifests, titleOf } from "./manifests.ts";

/** A file of Kubernetes manifests: Ingresses, HTTPRoutes, VirtualServices, … */
export interface ImportSource {
  readonly file: string;
  readonly text: string;
}

export type Imported =
  | { readonly ok: true; readonly config: string; readonly notes: readonly Note[] }
  | { readonly ok: false; readonly problem: string };

/** Converts the configuration of other gateways. Never throws. */
export function importManifests(sources: readonly ImportSource[]): Imported {
  const manifests: Manifest[] = [];
  for (const { file, text } of sources) {
    const parsed = parseManifests(text, file);
    if (!parsed.ok) return parsed;
    manifests.push(...parsed.manifests);
  }
  const draft = new Draft();
  importIngresses(manifests, draft);
  importHttpRoutes(manifests, draft);
  importVirtualServices(manifests, draft);
  for (const manifest of manifests) {
    if (!known.has(manifest.kind)) draft.note(titleOf(manifest), "not imported: Perch has no equivalent");
  }
  if (draft.routes.length === 0) {
    return {
      ok: false,
      problem: `nothing to import: no ${[...importable].join(", ")} with a usable backend was found`,
    };
  }
  const config = writeDraft(
    draft,
    sources.map(({ file }) => file),
  );
  return { ok: true, config, notes: draft.notes };
}

const importable: ReadonlySet<string> = new Set(["Ingress", "HTTPRoute", "VirtualService"]);
const known: ReadonlySet<string> = new Set([
  ...importable,
  "ConfigMap",
  "DestinationRule",
  "Gateway",
  "GatewayClass",
  "IngressClass",
  "Namespace",
  "ReferenceGrant",
  "Secret",
  "Service",
]);
