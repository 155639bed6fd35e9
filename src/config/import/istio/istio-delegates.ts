import type { Draft } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { isMap, type Loose, SourceObject } from "../source-object.ts";
import { isVisibleIn } from "./istio-visibility.ts";

/** An HTTP route of a VirtualService, or of the delegate that it names. */
export interface IstioRoute {
  readonly route: SourceObject;
  /** The VirtualService that wrote it: short names of destinations are of its namespace. */
  readonly owner: Manifest;
}

/** The HTTP routes of a VirtualService, each delegate's in the place of the route that names it. */
export class IstioDelegates {
  readonly #delegates: ReadonlyMap<string, Manifest>;
  readonly #used = new Set<Manifest>();
  readonly #draft: Draft;

  constructor(services: readonly Manifest[], draft: Draft) {
    const hostless = services.filter(({ spec }) => isDelegate(spec));
    this.#delegates = new Map(hostless.map((one) => [`${one.namespace}/${one.name}`, one]));
    this.#draft = draft;
  }

  routesOf(root: Manifest): readonly IstioRoute[] {
    return root.spec.objects("http").flatMap((route) => {
      if (!route.has("delegate")) return [{ route, owner: root }];
      const target = route.object("delegate");
      const key = `${target.text("namespace") || root.namespace}/${target.text("name")}`;
      const found = this.#delegates.get(key);
      if (found !== undefined) this.#used.add(found);
      const delegate = found !== undefined && isVisibleIn(root.namespace, found) ? found : undefined;
      const merged = delegate === undefined ? [] : this.#merged(route, delegate, root);
      if (delegate === undefined) {
        const lack = found === undefined ? "is not in the input" : `is not exported to ${root.namespace}`;
        const why = `the delegate ${key} ${lack}, so ${route.path} is left out`;
        this.#draft.leftOut(titleOf(root), `${why}; later routes match its requests`);
      }
      route.dismiss();
      return merged;
    });
  }

  /** Names the delegates that no route refers to: they have no requests of their own. */
  noteUnused(): void {
    for (const delegate of this.#delegates.values()) {
      delegate.spec.dismiss("http", "hosts", "gateways", "exportTo");
      if (this.#used.has(delegate)) continue;
      const why = "without a host it is a delegate, and no VirtualService of the input delegates to it";
      this.#draft.leftOut(titleOf(delegate), `${why}: its routes are left out`);
    }
  }

  #merged(route: SourceObject, delegate: Manifest, root: Manifest): readonly IstioRoute[] {
    return delegate.spec.objects("http").flatMap((own) => {
      const title = `${route.path} → ${titleOf(delegate)} ${own.path}`;
      const matches = mergedMatches(matchesIn(route), matchesIn(own));
      const problem = own.has("delegate")
        ? "a delegate cannot delegate"
        : matches === undefined
          ? "its match is not part of the root's match, so it has no requests"
          : undefined;
      if (problem !== undefined || matches === undefined) {
        this.#draft.leftOut(titleOf(root), `${title}: ${problem}: left out`);
        return [];
      }
      const { delegate: _, match: _match, name = "", ...ofRoot } = contentsOf(route);
      const ofDelegate = contentsOf(own);
      const names = [name, ofDelegate["name"] ?? ""].filter((one) => one !== "");
      const merged = {
        ...ofRoot,
        ...ofDelegate,
        ...(names.length === 0 ? {} : { name: names.join("-") }),
        match: matches,
      };
      return [{ route: new SourceObject(merged, title), owner: delegate }];
    });
  }
}

/** A VirtualService without hosts: it has no requests but those that another one delegates to it. */
export function isDelegate(spec: SourceObject): boolean {
  const hosts = spec.peek("hosts");
  return hosts === undefined || (Array.isArray(hosts) && hosts.length === 0);
}

function contentsOf(route: SourceObject): Loose {
  return written(Object.fromEntries(route.keys().map((key) => [key, route.peek(key)])));
}

/** Without empty values, which would replace those of the root. */
function written(map: Loose): Loose {
  const kept = Object.entries(map).filter(([, value]) => {
    return value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0);
  });
  return Object.fromEntries(kept);
}

/** Undefined if it is no list of maps, which then no request matches. */
function matchesIn(route: SourceObject): readonly Loose[] | undefined {
  const matches = route.peek("match") ?? [];
  return Array.isArray(matches) && matches.every(isMap) ? matches : undefined;
}

/**
 * Each match of the delegate with each match of the root that it is a part of. As in Istio the delegate's route has no
 * requests if one of its matches is not part of any of the root's.
 */
function mergedMatches(
  ofRoot: readonly Loose[] | undefined,
  ofDelegate: readonly Loose[] | undefined,
): readonly Loose[] | undefined {
  if (ofRoot === undefined || ofDelegate === undefined) return undefined;
  if (ofRoot.length === 0 || ofDelegate.length === 0) return [...ofRoot, ...ofDelegate];
  const merged = ofDelegate.map((own) => ofRoot.filter((root) => isPart(own, root)).map((root) => bothOf(root, own)));
  return merged.some((found) => found.length === 0) ? undefined : merged.flat();
}

const texts = ["uri", "scheme", "method", "authority"] as const;
const textMaps = ["headers", "queryParams", "withoutHeaders"] as const;

function bothOf(root: Loose, own: Loose): Loose {
  const maps = [...textMaps, "sourceLabels"].flatMap((key) => {
    const both = { ...mapIn(root, key), ...mapIn(own, key) };
    return Object.keys(both).length === 0 ? [] : [[key, both] as const];
  });
  return { ...root, ...written(own), ...Object.fromEntries(maps) };
}

function isPart(own: Loose, root: Loose): boolean {
  if (!texts.every((key) => isTextPart(own[key], root[key]))) return false;
  for (const key of textMaps) {
    const [inner, outer] = [mapIn(own, key), mapIn(root, key)];
    if (!Object.keys(inner).every((name) => isTextPart(inner[name], outer[name]))) return false;
  }
  const [labels, rootLabels] = [mapIn(own, "sourceLabels"), mapIn(root, "sourceLabels")];
  if (!Object.keys(labels).every((name) => (rootLabels[name] ?? labels[name]) === labels[name])) return false;
  for (const key of ["port", "sourceNamespace"]) {
    if (own[key] !== undefined && root[key] !== undefined && own[key] !== root[key]) return false;
  }
  if ((own["ignoreUriCase"] === true) !== (root["ignoreUriCase"] === true) && root["uri"] !== undefined) return false;
  const [gateways, rootGateways] = [listIn(own, "gateways"), listIn(root, "gateways")];
  return rootGateways.length === 0 || gateways.every((name) => rootGateways.includes(name));
}

/** Whether a test matches nothing but what the root's test matches. Istio does not compare patterns. */
function isTextPart(own: unknown, root: unknown): boolean {
  if (!isMap(own) || !isMap(root) || Object.keys(root).length === 0) return true;
  const [exact, prefix] = [own["exact"], own["prefix"]];
  if (root["exact"] !== undefined) return exact === root["exact"];
  const outer = root["prefix"];
  const inner = exact ?? prefix;
  return typeof outer === "string" && typeof inner === "string" && inner.startsWith(outer);
}

function mapIn(match: Loose, key: string): Loose {
  const value = match[key];
  return isMap(value) ? value : {};
}

function listIn(match: Loose, key: string): readonly unknown[] {
  const value = match[key];
  return Array.isArray(value) ? value : [];
}
