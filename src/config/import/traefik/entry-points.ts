import { parse } from "yaml";
import type { Manifest } from "../manifests.ts";
import { isMap, SourceObject } from "../source-object.ts";

/** Where Traefik accepts requests, which its start-up configuration says. All names are in lower case. */
export interface EntryPoints {
  /** The port that clients connect to, by name. */
  readonly ports: ReadonlyMap<string, number>;
  /** Those that redirect every plain request to https. */
  readonly redirecting: readonly string[];
  /** Those of objects that name none; empty if the configuration is not in the input. */
  readonly defaults: readonly string[];
  /** Those whose routes all have TLS. */
  readonly secure: ReadonlySet<string>;
  /** The middlewares of all routes, by name. */
  readonly middlewares: ReadonlyMap<string, readonly string[]>;
}

/** The names in Traefik's own charts and examples. Their Pods have other ports, which a Service maps. */
const usual: readonly (readonly [string, number])[] = [
  ["web", 80],
  ["http", 80],
  ["websecure", 443],
  ["https", 443],
];

/** Entry points for Traefik's own pages and metrics. */
const internal: ReadonlySet<string> = new Set(["traefik", "metrics"]);

/** One setting of an entry point, such as `http.tls`. */
interface Setting {
  readonly name: string;
  readonly key: string;
  readonly value: string;
}

/** The usual entry points, and those in the configuration of Traefik: arguments, files in ConfigMaps, values of Helm. */
export function entryPointsOf(manifests: readonly Manifest[]): EntryPoints {
  const configured = new Map<string, number>();
  const asDefault = new Set<string>();
  const redirecting = new Set<string>();
  const withTls = new Set<string>();
  const middlewares = new Map<string, readonly string[]>();
  for (const { name, key, value } of manifests.flatMap(settingsOf)) {
    const [, port] = /:(\d+)(?:\/tcp)?$/i.exec(value) ?? [];
    if (key === "address" && port !== undefined) configured.set(name, Number(port));
    if (key === "asdefault" && value !== "false") asDefault.add(name);
    if (key === "http.redirections.entrypoint.to" && /^:?\d+$|secure|https/i.test(value)) redirecting.add(name);
    if (/^http\.tls(?:[.[]|$)/.test(key) && value !== "false") withTls.add(name);
    if (/^http\.middlewares(?:\[\d+\])?$/.test(key)) {
      const added = value.split(",").map((one) => one.trim());
      middlewares.set(name, [...(middlewares.get(name) ?? []), ...added.filter((one) => one !== "")]);
    }
  }
  const ports = new Map([...configured, ...usual]);
  const offered = [...configured.keys()].filter((name) => !internal.has(name));
  // Traefik's charts and examples give it TLS.
  const isUsual = ![...configured.keys()].some((name) => ports.get(name) === 443);
  const named = isUsual ? usual.filter(([, port]) => port === 443).map(([name]) => name) : [];
  return {
    ports,
    redirecting: [...redirecting],
    defaults: asDefault.size > 0 ? offered.filter((name) => asDefault.has(name)) : offered,
    secure: new Set([...withTls, ...named]),
    middlewares,
  };
}

function settingsOf({ group, kind, spec, data }: Manifest): Setting[] {
  if (group === "apps") {
    const containers = spec.object("template").object("spec").objects("containers");
    return containers.flatMap((one) => [...one.texts("command"), ...one.texts("args")]).flatMap(settingOf);
  }
  if (kind === "ConfigMap") {
    return data
      .keys()
      .filter((key) => /\.ya?ml$/i.test(key))
      .flatMap((key) => settingsIn(parsed(data.text(key))));
  }
  // Of k3s and of Flux.
  if (kind === "HelmChart" || kind === "HelmChartConfig") return settingsIn(parsed(spec.text("valuesContent")));
  return kind === "HelmRelease" ? settingsIn(spec.peek("values")) : [];
}

/** The setting in an argument. */
function settingOf(arg: string): Setting[] {
  const [, name = "", key, value = "true"] = /^--entrypoints\.([^.=]+)\.([^=]+)(?:=(.*))?$/i.exec(arg) ?? [];
  return key === undefined ? [] : [{ name: name.toLowerCase(), key: key.toLowerCase(), value }];
}

/** The settings in a file of Traefik or in the values of its chart. */
function settingsIn(file: unknown): Setting[] {
  const whole = new SourceObject(file);
  const key = whole.keys().find((one) => one.toLowerCase() === "entrypoints") ?? "entryPoints";
  const written = whole.peek(key);
  return [
    ...whole.texts("additionalArguments").flatMap(settingOf),
    ...(isMap(written) ? argumentsOf(written, "--entrypoints").flatMap(settingOf) : []),
  ];
}

/** A map of settings as the arguments with the same meaning. */
function argumentsOf(value: unknown, path: string): string[] {
  if (Array.isArray(value)) return value.flatMap((one, index) => argumentsOf(one, `${path}[${index}]`));
  if (!isMap(value)) return [`${path}=${value ?? ""}`];
  const entries = Object.entries(value);
  return entries.length === 0 ? [path] : entries.flatMap(([key, one]) => argumentsOf(one, `${path}.${key}`));
}

function parsed(text: string): unknown {
  try {
    return parse(text);
  } catch {
    // Not a file of Traefik, or one that it cannot read either.
    return undefined;
  }
}
