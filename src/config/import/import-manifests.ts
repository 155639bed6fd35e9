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
import { ImportedRollouts } from "./rollouts/import-rollouts.ts";
import { type Summary, summaryOf, summaryText } from "./summary.ts";
import { importIngressRoutes } from "./traefik/traefik.ts";
import { usableParts } from "./usable-parts.ts";
import { stickySecretFile, writeDraft } from "./write-draft.ts";
import { withoutCertificates } from "./written-listeners.ts";

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
  const given = manifests.filter(isRead);
  const rollouts = new ImportedRollouts(given, draft);
  const read = [...given, ...rollouts.ownRoutes];
  draft.from("ingress-nginx", () => importIngresses(read, draft));
  draft.from("Gateway API", () => importGatewayApi(read, draft));
  draft.from("Istio", () => importVirtualServices(read, draft));
  importIngressRoutes(read, manifests, draft);
  draft.from("plans", () => rollouts.place());
  noteSources(draft.separateSources(), draft);
  noteUnreadKinds(manifests, draft);
  const files = sources.map(({ file }) => file);
  const first = written(usableParts(draft), draft, files);
  const isTooLarge = Buffer.byteLength(first.config) > maxConfigBytes;
  if (first.defects.length === 0 || isTooLarge)
    return servesNothing(first.parts) ? nothing(manifests, draft) : imported(first);
  const second = written(loadableParts(first.parts, draft, problemIn), draft, files);
  return servesNothing(second.parts) ? nothing(manifests, draft) : imported(second);
}

function noteSources(sources: readonly string[], draft: Draft): void {
  if (sources.length < 2) return;
  const places = sources.map((source) => {
    const names = draft.listeners.filter((one) => one.source === source).map(({ name }) => name);
    return `${source}: ${names.join(", ")}`;
  });
  const what = `has routes of several gateways, which had addresses of their own, so each has listeners of its own (${places.join("; ")})`;
  draft.note("the input", `${what}: lead the clients of each to these, or import them one by one`);
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
  return { parts, config, notes, summary, defects: defectsOf(config) };
}

const servesNothing = ({ routes }: DraftParts): boolean => routes.every(({ servesNobody }) => servesNobody === true);

const imported = ({ parts: _, ...result }: Written): Imported => ({ ok: true, ...result });

function nothing(manifests: readonly Manifest[], { notes }: Draft): Imported {
  return { ok: false, problem: nothingToImport(manifests), notes };
}

const problemIn = (parts: DraftParts): string | undefined => defectsOf(writeDraft(parts, [], "", []))[0]?.message;

function defectsOf(config: string): readonly Diagnostic[] {
  // The certificates exist where the configuration will run, and are read there.
  const loaded = loadConfigText(withoutUpstreamCertificates(withoutCertificates(config)), {
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
