import type { GatewayParts } from "../../../../src/config/gateway-parts.ts";
import { gatewayPartsFile } from "../../../../src/config/gateway-parts.ts";
import { compileGatewayApi } from "../../../../src/config/import/live-gateway/compile-gateway.ts";
import { KnownRefusals } from "../../../../src/config/import/live-gateway/known-refusals.ts";
import { namesTakenBy } from "../../../../src/config/import/live-gateway/stable-names.ts";
import { wantedStatuses } from "../../../../src/config/import/live-gateway/statuses.ts";
import { loadConfigText } from "../../../../src/config/load.ts";
import type { ApiFiles } from "../../../../src/config/named-files.ts";
import { conditionsIn } from "../../../kit/gateway-api.ts";
import type { DraftObject } from "../../../kit/kubernetes-objects.ts";

export interface CompileOptions {
  /** The file, without listeners. */
  readonly file?: string;
  /** `tls` of its listener `https`. Default: none. */
  readonly tls?: string;
  readonly ports?: readonly { readonly port: number; readonly listener: string }[];
  readonly addresses?: readonly string[];
  readonly endpoints?: "service" | "pods";
  readonly secretFile?: string;
  /** Why the API does not give some Secrets and ConfigMaps. Default: it gives all. */
  readonly unreadable?: ReadonlyMap<string, string>;
  /** A problem that loading has with these parts, beside those that it has itself. */
  readonly refuse?: (parts: GatewayParts) => string | undefined;
  /** Of compilations before. Default: none. */
  readonly refusals?: KnownRefusals;
}

const listeners = (tls: string) => `
listeners:
  - { name: web, address: "127.0.0.1:8080" }
  - { name: https, address: "127.0.0.1:8443"${tls === "" ? "" : `, tls: ${tls}`} }
  - { name: other, address: "127.0.0.1:8090" }
kubernetes: { gateway: {} }
`;

const defaultPorts = [
  { port: 80, listener: "web" },
  { port: 443, listener: "https" },
  { port: 8090, listener: "other" },
];

/** Compiles objects of the API, beside a file without routes; the result loads. */
export function compiled(objects: readonly DraftObject[], options: CompileOptions = {}) {
  const {
    file = "routes: []\n",
    tls = "",
    ports = defaultPorts,
    addresses = [],
    endpoints = "service",
    secretFile,
    refuse = () => undefined,
    refusals = new KnownRefusals(() => 0),
    unreadable = new Map(),
  } = options;
  const spec = { controllerName: "perch.dev/gateway", namespaces: [], ports, addresses, endpoints, secretFile };
  const load = (parts: GatewayParts, files: ApiFiles) => {
    const bytes = new TextEncoder().encode(JSON.stringify(parts));
    return loadConfigText(listeners(tls) + file, {
      file: "perch.yaml",
      env: {},
      randomSecret: () => new Uint8Array(32),
      apiFiles: new Map([[gatewayPartsFile, bytes], ...files]),
    });
  };
  const alone = loadConfigText(listeners(tls) + file, {
    file: "perch.yaml",
    env: {},
    randomSecret: () => new Uint8Array(32),
  });
  if (!alone.ok) throw new Error(`the file: ${alone.problems[0]?.message}`);
  let loads = 0;
  const result = compileGatewayApi({
    spec,
    objects: objects.map(withMetadata),
    unreadable,
    fileTls: new Map(alone.compiled.listeners.flatMap(({ name, tls }) => (tls === undefined ? [] : [[name, tls]]))),
    names: namesTakenBy(alone),
    refusals,
    problemIn(parts, files) {
      loads++;
      const refusal = refuse(parts);
      if (refusal !== undefined) return refusal;
      const loaded = load(parts, files);
      return loaded.ok ? undefined : loaded.problems.find(({ severity }) => severity === "error")?.message;
    },
  });
  const loaded = load(result.parts, result.files);
  if (!loaded.ok) throw new Error(`the result does not load: ${loaded.problems[0]?.message}`);
  const notes = result.notes.map(({ where, what }) => `${where}: ${what}`);
  const wanted = wantedStatuses(result, spec, undefined);
  return {
    ...{ ...result, notes, loaded, loads },
    wanted: (kind: string, name: string) => wanted.filter((one) => one.kind === kind && one.name === name),
    /** The status that an object gets, where it has none yet. */
    status: (kind: string, name: string): Readonly<Record<string, unknown>> =>
      wanted.find((one) => one.kind === kind && one.name === name)?.merge({}, 0) ?? {},
  };
}

/** The conditions of a route for its first parent. */
export function routeConditions(result: ReturnType<typeof compiled>, name: string, kind = "HTTPRoute"): string[] {
  const [parent] = (result.status(kind, name)["parents"] ?? []) as readonly unknown[];
  return conditionsIn(parent);
}

export interface ListenerStatus {
  readonly name: string;
  readonly attachedRoutes: number;
  readonly supportedKinds: readonly { readonly kind: string }[];
}

export function listenerStatus(result: ReturnType<typeof compiled>, gateway: string, listener: string) {
  const listeners = (result.status("Gateway", gateway)["listeners"] ?? []) as readonly ListenerStatus[];
  const found = listeners.find(({ name }) => name === listener);
  return {
    attached: found?.attachedRoutes,
    kinds: found?.supportedKinds.map(({ kind }) => kind),
    conditions: conditionsIn(found),
  };
}

function withMetadata(object: DraftObject): DraftObject {
  return { ...object, metadata: { generation: 1, creationTimestamp: "2026-01-01T00:00:00Z", ...object.metadata } };
}
