import { expect } from "vitest";
import { importManifests } from "../../../../src/config/import/import-manifests.ts";
import { withoutUpstreamCertificates } from "../../../../src/config/import/mounted-files.ts";
import { stickySecretFile } from "../../../../src/config/import/write-draft.ts";
import { createEngine, type EngineRequest } from "../../../../src/index.ts";

interface Metadata {
  readonly namespace?: string;
  readonly created?: string;
}

function metadata(name: string, { namespace = "shop", created }: Metadata): string {
  const age = created === undefined ? "" : `, creationTimestamp: "${created}"`;
  return `metadata: { name: ${name}, namespace: ${namespace}${age} }`;
}

/** A Gateway called `gateway` with these listeners in YAML. */
export function gateway(
  listeners: readonly string[],
  { name = "gateway", ...rest }: Metadata & { name?: string } = {},
) {
  return `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
${metadata(name, rest)}
spec:
  gatewayClassName: any
  listeners:
${listeners.map((listener) => `    - ${listener}`).join("\n")}
`;
}

export interface RouteParts extends Metadata {
  readonly kind?: string;
  readonly parents?: string;
  readonly hostnames?: string;
}

/** A route at `gateway` with these rules in YAML. */
export function route(name: string, rules: readonly string[], parts: RouteParts = {}): string {
  const { kind = "HTTPRoute", parents = "[{ name: gateway }]", hostnames } = parts;
  return `
apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
${metadata(name, parts)}
spec:
  parentRefs: ${parents}
${hostnames === undefined ? "" : `  hostnames: ${hostnames}\n`}  rules:
${rules.map((rule) => `    - ${rule}`).join("\n")}
`;
}

/** One backend with port 80. */
export const to = (name: string, more = "") => `{ name: ${name}, port: 80${more === "" ? "" : `, ${more}`} }`;

export interface Request extends Partial<EngineRequest> {
  readonly host?: string;
  readonly listener?: string;
}

/** Without the listeners' certificates, whose files exist where the result will run. */
function withoutCertificates(config: string): string {
  return config.replace(/^listeners:\n(?:[ #].*\n)+/m, (listeners) =>
    listeners.replace(/^ {4}tls:\n(?: {6}.*\n)+/gm, ""),
  );
}

/** Imports the documents, and says which route of the result takes a request. */
export function importedRoutes(...documents: readonly string[]) {
  const result = importManifests([{ file: "cluster.yaml", text: documents.join("---\n") }]);
  const notes = result.notes.map(({ where, what }) => `${where}: ${what}`);
  const lost = result.notes.filter(({ lostProtection }) => lostProtection).map(({ what }) => what);
  if (!result.ok) return { config: "", notes, lost, routeOf: () => null };
  expect(result.defects).toEqual([]);
  // The certificates and the secret are files of the machine that serves.
  const served = withoutUpstreamCertificates(withoutCertificates(result.config));
  const loadable = served.replaceAll(`secretFile: ${stickySecretFile}`, "path: /");
  const engine = createEngine(loadable, { env: {} });
  return {
    config: result.config,
    notes,
    lost,
    routeOf({ host = "shop.example.com", listener, ...request }: Request): string | null {
      const asked = { method: "GET", url: "/", ...request, listener, headers: { host, ...request.headers } };
      return engine.decide(asked).route;
    },
  };
}
