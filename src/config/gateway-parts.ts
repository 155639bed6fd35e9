import { apiFile, type NamedFiles } from "./named-files.ts";
import { plainNode } from "./schema-kit/plain-node.ts";
import { type ConfigNode, type ListNode, type MapEntry, type MapNode, nowhere } from "./schema-kit/tree.ts";

type Values = Readonly<Record<string, unknown>>;

/** What the Gateway API adds to a configuration, as it would be written there. */
export interface GatewayParts {
  /** Settings of listeners that the configuration has, by name. */
  readonly listeners: Readonly<Record<string, GatewayListenerParts>>;
  readonly services: Values;
  readonly releases: Values;
  /** Releases of the file that give the rest of the settings of releases, by name of the latter. */
  readonly bases: Readonly<Record<string, string>>;
  /** They come after those of the file. */
  readonly routes: readonly unknown[];
}

export interface GatewayCertificate {
  readonly certFile: string;
  readonly keyFile: string;
  /** Default: the names in the certificate. */
  readonly hosts?: readonly string[];
}

export interface GatewayListenerParts {
  readonly h2c?: boolean;
  readonly tls?: {
    readonly certificates: readonly GatewayCertificate[];
    readonly clientCa?: string;
  };
}

/** Holds the parts as JSON. */
export const gatewayPartsFile: string = apiFile("gateway.json");
export const maxPartsBytes = 64 * 1024 * 1024;

export interface MergedTree {
  readonly tree: ConfigNode;
  /** Releases of the file for routes of the API alone, as it is written. */
  readonly templates: readonly MapEntry[];
  /** Releases that the parts name and the file does not have. */
  readonly unknown: readonly string[];
}

/**
 * The configuration with what the Gateway API adds, if it asks for that and the parts are at hand. Positions of problems
 * are those in the file. Releases that no route of the file has are for routes of the API, which have the versions.
 */
export function withGatewayParts(tree: ConfigNode, files: NamedFiles): MergedTree {
  if (tree.kind !== "map" || !asksForGateway(tree)) return { tree, templates: [], unknown: [] };
  const contents = files.read(gatewayPartsFile, maxPartsBytes);
  const parts = contents.kind === "read" ? (JSON.parse(decoder.decode(contents.bytes)) as GatewayParts) : noParts;
  const written = entryOf(tree, "releases");
  const releases = written?.kind === "map" ? written.entries : [];
  const used = releasesOfRoutes(tree);
  const templates = releases.filter(({ key }) => !used.has(key));
  const known = new Map(releases.map(({ key, value }) => [key, value]));
  const unknown = [...new Set(Object.values(parts.bases))].filter((name) => !known.has(name));
  const added = Object.entries(parts.releases).map(([key, settings]): MapEntry => {
    const value = withBase(plainNode(settings) as MapNode, known.get(parts.bases[key] ?? ""));
    return { key, keySpan: nowhere, value };
  });
  let merged = changed(tree, "releases", (value): ConfigNode => {
    if (value !== undefined && value.kind !== "map" && value.kind !== "nothing") return value;
    const kept = releases.filter(({ key }) => used.has(key));
    return { kind: "map", span: value?.span ?? tree.span, entries: [...kept, ...added] };
  });
  merged = withEntries(merged, "services", parts.services);
  merged = changed(merged, "routes", (routes) => withItems(routes, parts.routes));
  if (Object.keys(parts.listeners).length > 0) {
    merged = changed(merged, "listeners", (listeners) => withListenerParts(listeners, parts));
  }
  return { tree: merged, templates, unknown };
}

const decoder = new TextDecoder();
const noParts: GatewayParts = { listeners: {}, services: {}, releases: {}, bases: {}, routes: [] };

function releasesOfRoutes(tree: MapNode): ReadonlySet<string> {
  const routes = entryOf(tree, "routes");
  const names = (routes?.kind === "list" ? routes.items : []).flatMap((route) => {
    const release = route.kind === "map" ? entryOf(route, "release") : undefined;
    return release?.kind === "scalar" ? [release.text] : [];
  });
  return new Set(names);
}

/** The file says how users stay on their version; which versions there are, and their weights, the route. */
function withBase(own: MapNode, base: ConfigNode | undefined): MapNode {
  if (base?.kind !== "map") return own;
  const added = base.entries.filter(
    ({ key }) => key !== "split" && key !== "sticky" && entryOf(own, key) === undefined,
  );
  const sticky = entryOf(base, "sticky");
  const merged = { ...own, entries: [...own.entries, ...added] };
  return sticky === undefined ? merged : changed(merged, "sticky", (value) => mergedNodes(value, sticky));
}

/** `over` replaces what both have, except in maps, which are merged. */
function mergedNodes(under: ConfigNode | undefined, over: ConfigNode): ConfigNode {
  if (under?.kind !== "map" || over.kind !== "map") return over;
  let merged = under;
  for (const { key, value } of over.entries) merged = changed(merged, key, (below) => mergedNodes(below, value));
  return merged;
}

function asksForGateway(tree: MapNode): boolean {
  const kubernetes = entryOf(tree, "kubernetes");
  return kubernetes?.kind === "map" && entryOf(kubernetes, "gateway")?.kind === "map";
}

function entryOf(map: MapNode, key: string): ConfigNode | undefined {
  return map.entries.find((entry) => entry.key === key)?.value;
}

/** `change` is given undefined if the key is not there. */
function changed(map: MapNode, key: string, change: (value: ConfigNode | undefined) => ConfigNode): MapNode {
  const at = map.entries.findIndex((entry) => entry.key === key);
  const entry = map.entries[at];
  if (entry === undefined) {
    return { ...map, entries: [...map.entries, { key, keySpan: map.span, value: change(undefined) }] };
  }
  return { ...map, entries: map.entries.with(at, { ...entry, value: change(entry.value) }) };
}

function withEntries(map: MapNode, key: string, added: Values): MapNode {
  const more = (plainNode(added) as MapNode).entries;
  if (more.length === 0) return map;
  return changed(map, key, (value): ConfigNode => {
    if (value === undefined || value.kind === "nothing") return { kind: "map", span: map.span, entries: more };
    // Another kind is an error, which is reported as such.
    return value.kind === "map" ? { ...value, entries: [...value.entries, ...more] } : value;
  });
}

function withItems(value: ConfigNode | undefined, added: readonly unknown[]): ConfigNode {
  const more = (plainNode(added) as ListNode).items;
  if (value === undefined || value.kind === "nothing") return plainNode(added);
  return value.kind === "list" ? { ...value, items: [...value.items, ...more] } : value;
}

/** The listener of a configuration without `listeners`. */
const defaultListener = { name: "web", address: "*:8080" };

function withListenerParts(value: ConfigNode | undefined, { listeners }: GatewayParts): ConfigNode {
  const list = value ?? plainNode([defaultListener]);
  if (list.kind !== "list") return list;
  const items = list.items.map((item) => {
    const name = item.kind === "map" ? entryOf(item, "name") : undefined;
    const parts = name?.kind === "scalar" ? listeners[name.text] : undefined;
    return item.kind === "map" && parts !== undefined ? withSettings(item, parts) : item;
  });
  return { ...list, items };
}

function withSettings(listener: MapNode, { h2c, tls }: GatewayListenerParts): MapNode {
  const withH2c = h2c === true ? changed(listener, "h2c", () => plainNode(true)) : listener;
  if (tls === undefined) return withH2c;
  return changed(withH2c, "tls", (own) => {
    if (own?.kind !== "map") return plainNode(tls);
    // Which clients reach the routes of the file, the file alone says.
    return changed(own, "certificates", (value) => withItems(value, tls.certificates));
  });
}
