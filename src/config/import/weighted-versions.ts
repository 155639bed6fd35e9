import { type Draft, type DraftVersion, resourceNameOf, type YamlMap } from "./draft.ts";

/** One of the weighted destinations of a route. */
export interface WeightedBackend {
  /** The name of the Service or subset. */
  readonly name: string;
  readonly origin: string;
  /** Further endpoints. */
  readonly more?: readonly string[];
  readonly weight: number;
  readonly settings?: YamlMap;
  /** The share of requests that are mirrored to it, in per cent. */
  readonly mirrorPercent?: number;
}

export interface WeightedService {
  readonly service: string;
  /** Undefined if all requests go to one version. */
  readonly release: string | undefined;
}

/**
 * Converts the destinations of a route to versions of a service, and their weights to a release's split. Routes with
 * the same destinations share the service; with the same weights also the release, so that a user has one version on
 * all.
 */
export function weightedService(
  written: readonly WeightedBackend[],
  wanted: { readonly service: string; readonly release: string; readonly settings: YamlMap; readonly comment: string },
  releaseSettings: YamlMap,
  draft: Draft,
): WeightedService {
  const unordered = versionNames(
    written.map(({ name }) => name),
    wanted.service,
  );
  const { backends, names } = baselineFirst(written, unordered);
  const versions = backends.map(
    ({ origin, more = [], settings }, index): DraftVersion => ({
      name: names[index] ?? "",
      endpoints: [origin, ...more],
      ...(settings === undefined ? {} : { settings }),
    }),
  );
  const service = draft.service(wanted.service, versions, wanted.settings);
  const mirrored = backends.findIndex(({ mirrorPercent }) => mirrorPercent !== undefined);
  if (backends.length < 2 && Object.keys(releaseSettings).length === 0) return { service, release: undefined };
  const split = Object.fromEntries(backends.map(({ weight }, index) => [names[index] ?? "", weight]));
  const settings: YamlMap = {
    ...releaseSettings,
    ...(backends.length < 2 ? {} : { split }),
    ...(mirrored < 0 ? {} : { mirror: mirrorOf(names[mirrored] ?? "", backends[mirrored]?.mirrorPercent ?? 100) }),
  };
  // Not one release for all services with the same weights: a rollout of one would move the others.
  const destinations = backends.map(({ origin }) => origin).join(" ");
  return { service, release: draft.release(wanted.release, settings, wanted.comment, destinations) };
}

/** The other gateways mirror requests of every method. */
export function mirrorOf(version: string, percent: number): YamlMap {
  return { version, percent, methods: ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] };
}

/** A service's first version is its default, which serves where another cannot. */
function baselineFirst(
  backends: readonly WeightedBackend[],
  names: readonly string[],
): { readonly backends: readonly WeightedBackend[]; readonly names: readonly string[] } {
  const named = names.findIndex((name) => /^(?:stable|baseline|primary)$/.test(name));
  const weights = backends.map(({ weight }) => weight);
  const first = named < 0 ? weights.indexOf(Math.max(...weights)) : named;
  const moved = <T>(list: readonly T[]): T[] =>
    list.toSpliced(first, 1).toSpliced(0, 0, ...list.slice(first, first + 1));
  return first <= 0 ? { backends, names } : { backends: moved(backends), names: moved(names) };
}

/** Names of Services that say which version they are, as in `shop-canary`. */
const versionSuffix = /-(canary|candidate|preview|beta|next|baseline|stable|primary|blue|green|v\d+)$/;

/** Strips the common prefix: shop-stable and shop-canary become stable and canary, as do shop and shop-canary. */
function versionNames(names: readonly string[], service: string): readonly string[] {
  const [first = ""] = names;
  if (names.length < 2) {
    const [, suffix] = versionSuffix.exec(first) ?? [];
    return [suffix ?? (first === service ? "stable" : resourceNameOf(first))];
  }
  let shared = first;
  for (const name of names)
    while (!`${name}-`.startsWith(`${shared}-`) && shared !== "")
      shared = shared.slice(0, Math.max(0, shared.lastIndexOf("-")));
  const short = names.map((name) =>
    name === shared ? "stable" : shared === "" ? name : name.slice(shared.length + 1),
  );
  const valid = (short.every((name) => name !== "") && new Set(short).size === names.length ? short : names).map(
    resourceNameOf,
  );
  return new Set(valid).size === names.length ? valid : names.map((_, index) => `v${index + 1}`);
}
