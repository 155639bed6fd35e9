import { loadConfigText, maxConfigBytes } from "../load.ts";
import { UnfitFileError } from "../named-files.ts";
import type { Diagnostic } from "../schema-kit/diagnostics.ts";
import { Draft, type DraftParts, type Note } from "./draft.ts";
import { importGatewayApi } from "./gateway-api/gateway-api.ts";
import { importIngresses } from "./ingress/ingress-nginx.ts";
import { importVirtualServices } from "./istio/istio.ts";
import { isRead, noteUnreadKinds, nothingToImport } from "./kinds.ts";
import { loadableParts } from "./loadable-parts.ts";
import { type Manifest, parseManifests } from "./manifests.ts";
import { withoutUpstreamCertificates } from "./mounted-files.ts";
import { noteGateways } from "./notes.ts";
import { importRollouts } from "./rollouts/import-rollouts.ts";
import { type Summary, summaryOf, summaryText } from "./summary.ts";
import { importIngressRoutes } from "./traefik/traefik.ts";
import { usableParts } from "./usable-parts.ts";
import { stickySecretFile, writeDraft } from "./write-draft.ts";

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
      readonly summary: Summary;
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
    for (const manifest of parsed.manifests) manifests.push(manifest);
  }
  const draft = new Draft();
  const read = manifests.filter(isRead);
  importIngresses(read, draft);
  importGatewayApi(read, draft);
  importVirtualServices(read, draft);
  importIngressRoutes(read, manifests, draft);
  importRollouts(read, draft);
  noteGateways(
    read.filter(({ group }) => group === "networking.istio.io"),
    draft,
  );
  noteUnreadKinds(manifests, draft);
  const files = sources.map(({ file }) => file);
  const first = written(usableParts(draft), draft, files);
  const isTooLarge = Buffer.byteLength(first.config) > maxConfigBytes;
  if (first.defects.length === 0 || isTooLarge)
    return first.parts.routes.length === 0 ? nothing(manifests, draft) : imported(first);
  const second = written(loadableParts(first.parts, draft, problemIn), draft, files);
  return second.parts.routes.length === 0 ? nothing(manifests, draft) : imported(second);
}

interface Written {
  readonly parts: DraftParts;
  readonly config: string;
  readonly notes: readonly Note[];
  readonly summary: Summary;
  readonly defects: readonly Diagnostic[];
}

function written(parts: DraftParts, { notes }: Draft, files: readonly string[]): Written {
  const summary = summaryOf(parts, notes);
  const config = writeDraft(parts, notes, summaryText(summary), files);
  return { parts, config, notes, summary, defects: defectsIn(parts, config) };
}

const imported = ({ parts: _, ...result }: Written): Imported => ({ ok: true, ...result });

function nothing(manifests: readonly Manifest[], { notes }: Draft): Imported {
  return { ok: false, problem: nothingToImport(manifests), notes };
}

const problemIn = (parts: DraftParts): string | undefined => defectsIn(parts)[0]?.message;

/** What the loader finds. Certificates are left out: their files exist where the result will run, and not here. */
function defectsIn(parts: DraftParts, config = writeDraft(parts, [], "", [])): readonly Diagnostic[] {
  const hasTls = parts.listeners.some(({ certificates }) => certificates !== undefined);
  const plain = parts.listeners.map((listener) => ({ ...listener, certificates: undefined }));
  const text = hasTls ? writeDraft({ ...parts, listeners: plain }, [], "", []) : config;
  const loaded = loadConfigText(withoutUpstreamCertificates(text), {
    file: "perch.yaml",
    env: {},
    randomSecret: () => new Uint8Array(32),
    readFile: standIn,
  });
  return loaded.ok ? [] : loaded.problems.filter(({ severity }) => severity === "error");
}

/** The file that the result names exists where it will run, and not here. */
function standIn(path: string): Uint8Array {
  if (path === stickySecretFile) return new TextEncoder().encode("a-stand-in-of-32-bytes-or-longer");
  throw new UnfitFileError("not-given");
}
