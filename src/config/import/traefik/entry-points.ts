import type { Manifest } from "../manifests.ts";
import { settingsOf, type TraefikSetting } from "./traefik-settings.ts";

/** Where Traefik accepts requests, which its start-up configuration says. All names are in lower case. */
export interface EntryPoints {
  /** The port that clients connect to, by name. */
  readonly ports: ReadonlyMap<string, number>;
  /** Those that redirect every plain request to https, with the status. */
  readonly redirecting: ReadonlyMap<string, number>;
  /** Those of objects that name none; empty if the configuration is not in the input. */
  readonly defaults: readonly string[];
  /** Those whose routes all have TLS. */
  readonly secure: ReadonlySet<string>;
  /** The middlewares of all routes, by name. */
  readonly middlewares: ReadonlyMap<string, readonly string[]>;
  /** The TLSOption of all routes, by name. */
  readonly tlsOptions: ReadonlyMap<string, string>;
  /** Other settings, by name, in lower case. */
  readonly others: ReadonlyMap<string, readonly string[]>;
  /** Whether the certificates of services without a ServersTransport are not verified. */
  readonly skipsVerification: boolean;
  /** Whether routes are also read from files, which the input may lack. */
  readonly readsFiles: boolean;
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

/** What is read, or says how the entry point is watched. */
const knownKeys =
  /^(?:address|asdefault|observability\b.*|reuseport|http\.(?:tls|middlewares)\b.*|http\.redirections\.entrypoint\.(?:to|scheme|permanent))$/;

/** The usual entry points, and those in the configuration of Traefik: arguments, files, values of Helm. */
export function entryPointsOf(manifests: readonly Manifest[]): EntryPoints {
  const configured = new Map<string, number>();
  const asDefault = new Set<string>();
  const redirecting = new Map<string, number>();
  const temporary = new Set<string>();
  const withTls = new Set<string>();
  const middlewares = new Map<string, readonly string[]>();
  const tlsOptions = new Map<string, string>();
  const others = new Map<string, readonly string[]>();
  const settings = manifests.flatMap(settingsOf);
  for (const { name, key, value } of settings.flatMap(entryPointSetting)) {
    const [, port] = /:(\d+)(?:\/tcp)?$/i.exec(value) ?? [];
    if (key === "address" && port !== undefined) configured.set(name, Number(port));
    if (key === "asdefault" && value !== "false") asDefault.add(name);
    if (key === "http.redirections.entrypoint.to" && /^:?\d+$|secure|https/i.test(value)) redirecting.set(name, 308);
    if (key === "http.redirections.entrypoint.permanent" && value === "false") temporary.add(name);
    if (/^http\.tls(?:[.[]|$)/.test(key) && value !== "false") withTls.add(name);
    if (key === "http.tls.options") tlsOptions.set(name, value);
    if (/^http\.middlewares(?:\[\d+\])?$/.test(key)) {
      const added = value.split(",").map((one) => one.trim());
      middlewares.set(name, [...(middlewares.get(name) ?? []), ...added.filter((one) => one !== "")]);
    }
    if (!knownKeys.test(key) && !internal.has(name)) {
      const part = key.replace(/\[\d+\]$/, "");
      others.set(name, [...new Set([...(others.get(name) ?? []), part])]);
    }
  }
  for (const name of temporary) if (redirecting.has(name)) redirecting.set(name, 307);
  const ports = new Map([...configured, ...usual]);
  const offered = [...configured.keys()].filter((name) => !internal.has(name));
  // Traefik's charts and examples give it TLS.
  const isUsual = ![...configured.keys()].some((name) => ports.get(name) === 443);
  const named = isUsual ? usual.filter(([, port]) => port === 443).map(([name]) => name) : [];
  return {
    ports,
    redirecting,
    defaults: asDefault.size > 0 ? offered.filter((name) => asDefault.has(name)) : offered,
    secure: new Set([...withTls, ...named]),
    middlewares,
    tlsOptions,
    others,
    skipsVerification: settings.some(
      ({ path, value }) => path === "serverstransport.insecureskipverify" && value !== "false",
    ),
    readsFiles: settings.some(({ path }) => path.startsWith("providers.file")),
  };
}

function entryPointSetting({ path, value }: TraefikSetting): Setting[] {
  const [, name, key] = /^entrypoints\.([^.]+)\.(.+)$/.exec(path) ?? [];
  return name === undefined || key === undefined ? [] : [{ name, key, value }];
}
