import { loadConfigText } from "../load.ts";
import type { Diagnostic } from "../schema-kit/diagnostics.ts";
import { Draft, type Note } from "./draft.ts";
import { importHttpRoutes } from "./gateway-api/gateway-api.ts";
import { importIngresses } from "./ingress/ingress-nginx.ts";
import { importVirtualServices } from "./istio/istio.ts";
import { type Manifest, parseManifests, titleOf } from "./manifests.ts";
import { noteGateways } from "./notes.ts";
import { importRollouts, rolloutKinds } from "./rollouts/import-rollouts.ts";
import { usableParts } from "./usable-parts.ts";
import { writeDraft } from "./write-draft.ts";

/** A file of Kubernetes manifests: Ingresses, HTTPRoutes, VirtualServices, … */
export interface ImportSource {
  readonly file: string;
  readonly text: string;
}

export type Imported =
  | {
      readonly ok: true;
      readonly config: string;
      /** Those of lost protection first. */
      readonly notes: readonly Note[];
      /** Errors of the configuration, which are defects of the import; empty if it is valid. */
      readonly defects: readonly Diagnostic[];
    }
  /** The notes say what was left out. */
  | { readonly ok: false; readonly problem: string; readonly notes: readonly Note[] };

/** Converts the configuration of other gateways, and loads the result. Never throws. */
export function importManifests(sources: readonly ImportSource[]): Imported {
  const manifests: Manifest[] = [];
  for (const { file, text } of sources) {
    const parsed = parseManifests(text, file);
    if (!parsed.ok) return { ...parsed, notes: [] };
    manifests.push(...parsed.manifests);
  }
  const draft = new Draft();
  importIngresses(manifests, draft);
  importHttpRoutes(manifests, draft);
  importVirtualServices(manifests, draft);
  importRollouts(manifests, draft);
  noteGateways(manifests.filter(isKnown), draft);
  for (const manifest of manifests.filter((one) => !isKnown(one))) {
    draft.note(titleOf(manifest), `not imported: ${whyUnknown(manifest)}`, protective.test(manifest.kind));
  }
  const parts = usableParts(draft);
  const { notes } = draft;
  if (parts.routes.length === 0) return { ok: false, problem: nothingToImport(manifests), notes };
  const files = sources.map(({ file }) => file);
  const config = writeDraft(parts, notes, files);
  return { ok: true, config, notes, defects: defectsOf(config) };
}

/** The group of each kind that is imported, or that others refer to. */
const groups: ReadonlyMap<string, string> = new Map([
  ["Ingress", "networking.k8s.io"],
  ["HTTPRoute", "gateway.networking.k8s.io"],
  ["VirtualService", "networking.istio.io"],
  ["DestinationRule", "networking.istio.io"],
  ["GatewayClass", "gateway.networking.k8s.io"],
  ["IngressClass", "networking.k8s.io"],
  ["ReferenceGrant", "gateway.networking.k8s.io"],
  ["ConfigMap", ""],
  ["Namespace", ""],
  ["Secret", ""],
  ["Service", ""],
  ...rolloutKinds,
]);

function isKnown({ kind, group }: Manifest): boolean {
  if (kind === "Gateway") return group === "gateway.networking.k8s.io" || group === "networking.istio.io";
  return groups.get(kind) === group;
}

function whyUnknown({ kind, group }: Manifest): string {
  const known = groups.get(kind);
  return known === undefined || known === "" || group === ""
    ? "Perch has no equivalent"
    : `its API group is ${group}, and only that of ${known} is read`;
}

/** Kinds such as AuthorizationPolicy, PeerAuthentication and SecurityPolicy. */
const protective = /Policy$|Authenti|Authoriz/;

function nothingToImport(manifests: readonly Manifest[]): string {
  const kinds = [...new Set(manifests.map(({ kind }) => kind))];
  const found = kinds.length === 0 ? "" : ` (the input has ${kinds.slice(0, 10).join(", ")})`;
  return `nothing to import: no Ingress, HTTPRoute or VirtualService with a usable backend was found${found}`;
}

function defectsOf(config: string): readonly Diagnostic[] {
  const loaded = loadConfigText(config, { file: "perch.yaml", env: {}, randomSecret: () => new Uint8Array(32) });
  return loaded.ok ? [] : loaded.problems.filter(({ severity }) => severity === "error");
}
