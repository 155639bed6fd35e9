import { apiFile, type NamedFiles } from "./named-files.ts";
import { plainNode } from "./schema-kit/plain-node.ts";
import type { ConfigNode, ListNode, MapNode } from "./schema-kit/tree.ts";

type Values = Readonly<Record<string, unknown>>;

/** What the Gateway API adds to a configuration, as it would be written there. */
export interface GatewayParts {
  /** Settings of listeners that the configuration has, by name. */
  readonly listeners: Readonly<Record<string, GatewayListenerParts>>;
  readonly services: Values;
  readonly releases: Values;
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
/** A tenth of it is a thousand routes. */
const maxPartsBytes = 64 * 1024 * 1024;

/**
 * The configuration with what the Gateway API adds, if it asks for that and the parts are at hand. Positions of problems
 * are those in the file.
 */
export function withGatewayParts(tree: ConfigNode, files: NamedFiles): ConfigNode {
  if (tree.kind !== "map" || !asksForGateway(tree)) return tree;
  const contents = files.read(gatewayPartsFile, maxPartsBytes);
  if (contents.kind === "unreadable") return tree;
  const parts = JSON.parse(new TextDecoder().decode(contents.bytes)) as GatewayParts;
  let merged = withEntries(tree, "services", parts.services);
  merged = withEntries(merged, "releases", parts.releases);
  merged = changed(merged, "routes", (routes) => withItems(routes, parts.routes));
  if (Object.keys(parts.listeners).length === 0) return merged;
  return changed(merged, "listeners", (listeners) => withListenerParts(listeners, parts));
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
    const certificates = changed(own, "certificates", (value) => withItems(value, tls.certificates));
    const { clientCa } = tls;
    return clientCa === undefined ? certificates : changed(certificates, "clientCa", () => plainNode(clientCa));
  });
}
