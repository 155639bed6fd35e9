import { type Draft, type DraftVersion, resourceNameOf, type YamlMap } from "./draft.ts";
import type { Manifest } from "./manifests.ts";
import type { SourceObject } from "./source-object.ts";

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

/** The origins of Kubernetes Services, with named ports looked up in the input. */
export class ServicePorts {
  readonly #services: ReadonlyMap<string, Manifest>;
  readonly #draft: Draft;

  constructor(manifests: readonly Manifest[], draft: Draft) {
    const services = manifests.filter(({ kind, group }) => kind === "Service" && group === "");
    this.#services = new Map(services.map((service) => [`${service.namespace}/${service.name}`, service]));
    this.#draft = draft;
  }

  /** `scheme://name.namespace:port`. For a named port, or none, the Service must be part of the input. */
  origin(
    scheme: string,
    namespace: string,
    name: string,
    port: SourceObject | number | undefined,
    where: string,
  ): string {
    const number =
      typeof port === "number" ? port : (port?.number("number") ?? this.#lookUp(namespace, name, port, where));
    return `${scheme}://${name}.${namespace}:${this.#reachedPort(namespace, name, number, where)}`;
  }

  /** The name of a headless Service has the addresses of its Pods, and nothing translates its ports to theirs. */
  #reachedPort(namespace: string, name: string, number: number, where: string): number {
    const service = this.#find(namespace, name);
    if (service?.spec.peek("clusterIP") !== "None") return number;
    const port = service.spec.objects("ports").find((one) => one.peek("port") === number);
    const target = port?.peek("targetPort") ?? number;
    if (typeof target === "number") return target;
    const unknown = `its targetPort ${String(target)} is a name of the Pods' port, which is not known here`;
    this.#draft.note(
      where,
      `Service ${namespace}/${name} is headless, and ${unknown}: ${number} is written; set the port`,
    );
    return number;
  }

  /** The name of a port; empty if it has none, or the Service is not part of the input. */
  portName(namespace: string, name: string, number: number): string {
    const ports = this.#find(namespace, name)?.spec.objects("ports") ?? [];
    return ports.find((one) => one.number("port") === number)?.text("name") ?? "";
  }

  /** The only port of a Service; undefined if it has several, or is not part of the input. */
  onlyPort(namespace: string, name: string): number | undefined {
    const ports = this.#find(namespace, name)?.spec.objects("ports") ?? [];
    return ports.length === 1 ? ports[0]?.number("port") : undefined;
  }

  /** The host outside the cluster that a Service of type ExternalName stands for; empty for others. */
  externalName(namespace: string, name: string): string {
    const spec = this.#find(namespace, name)?.spec;
    return spec?.peek("type") === "ExternalName" ? spec.text("externalName") : "";
  }

  /** Whether the port of a Service takes HTTP/2; `number` may be missing if it has one port. */
  speaksHttp2(namespace: string, name: string, number: number | undefined): boolean {
    const ports = this.#find(namespace, name)?.spec.objects("ports") ?? [];
    return speaksHttp2(
      ports.find((one) => (number === undefined ? ports.length === 1 : one.number("port") === number)),
    );
  }

  #lookUp(namespace: string, name: string, port: SourceObject | undefined, where: string): number {
    const wanted = port?.text("name") ?? "";
    const ports = this.#find(namespace, name)?.spec.objects("ports") ?? [];
    const found = wanted === "" && ports.length === 1 ? ports[0] : ports.find((one) => one.text("name") === wanted);
    const number = found?.number("port");
    if (number !== undefined) return number;
    const why = ports.length > 0 ? "the Service has others" : "add the Service to the input";
    const unknown = `the port ${wanted === "" ? "" : `"${wanted}" `}of Service ${namespace}/${name} is unknown`;
    this.#draft.note(where, `${unknown}, so 80 is used: ${why}, or set the port`);
    return 80;
  }

  /** Files that are applied with `kubectl -n` do not name their namespace, so there the name has to do. */
  #find(namespace: string, name: string): Manifest | undefined {
    const found = this.#services.get(`${namespace}/${name}`);
    if (found !== undefined) return found;
    const unplaced = this.#services.get(`default/${name}`);
    return unplaced?.hasNamespace === false ? unplaced : undefined;
  }
}

/** Names of protocols for `appProtocol` (KEP-3726) and, as Istio and others read them, for the name of a port. */
export function speaksHttp2(port: SourceObject | undefined): boolean {
  const protocol = port?.text("appProtocol") ?? "";
  if (protocol !== "") return /^(?:kubernetes\.io\/h2c|h2c|http2|grpc)$/i.test(protocol);
  return /^(?:grpc|http2|h2c)(?:-|$)/.test(port?.text("name") ?? "");
}
