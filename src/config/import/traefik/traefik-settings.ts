import { parse } from "yaml";
import { type Manifest, titleOf } from "../manifests.ts";
import { isMap, type Loose, SourceObject } from "../source-object.ts";

/** One setting of Traefik's start-up configuration, such as `entrypoints.web.address`. */
export interface TraefikSetting {
  /** In lower case. */
  readonly path: string;
  readonly value: string;
}

/** The settings in the input: arguments, files, ConfigMaps with files, values of Helm. */
export function settingsOf({ group, kind, spec, data }: Manifest): readonly TraefikSetting[] {
  if (group === "apps") {
    return containersOf(spec)
      .flatMap((one) => [...one.texts("command"), ...one.texts("args")])
      .flatMap(settingOf);
  }
  if (kind === "File") return settingsIn(spec.peek("content"));
  if (kind === "ConfigMap") return filesIn(data).flatMap(({ content }) => settingsIn(content));
  // Of k3s and of Flux.
  if (kind === "HelmChart" || kind === "HelmChartConfig") return settingsIn(parsed(spec.text("valuesContent")));
  return kind === "HelmRelease" ? settingsIn(spec.peek("values")) : [];
}

/** The variables of a workload that configure Traefik. They are not read. */
export function variablesOf({ group, spec }: Manifest): readonly string[] {
  if (group !== "apps") return [];
  const names = containersOf(spec).flatMap((one) => one.objects("env").map((variable) => variable.text("name")));
  return names.filter((name) => /^TRAEFIK_/i.test(name));
}

/** The files of a ConfigMap, or the file itself, that have routes or middlewares of Traefik. */
export function filesWithRoutes(manifest: Manifest): readonly string[] {
  const { kind, data, spec } = manifest;
  if (kind === "File") return hasRoutes(spec.peek("content")) ? [titleOf(manifest)] : [];
  if (kind !== "ConfigMap") return [];
  return filesIn(data)
    .filter(({ content }) => hasRoutes(content))
    .map(({ name }) => `${titleOf(manifest)}, ${name}`);
}

/** As the file provider reads them. */
function hasRoutes(content: unknown): boolean {
  const whole = new SourceObject(content);
  return ["http", "tcp", "udp"].some((key) => {
    const part = whole.peek(key);
    return isMap(part) && ["routers", "middlewares"].some((one) => isMap(part[one]));
  });
}

const containersOf = (spec: SourceObject): readonly SourceObject[] =>
  spec.object("template").object("spec").objects("containers");

function filesIn(data: SourceObject): readonly { readonly name: string; readonly content: unknown }[] {
  const names = data.keys().filter((key) => /\.ya?ml$/i.test(key));
  return names.map((name) => ({ name, content: parsed(data.text(name)) }));
}

/** The setting in an argument. */
function settingOf(arg: string): readonly TraefikSetting[] {
  const [, path, value = "true"] = /^--([^=\s]+)(?:=(.*))?$/.exec(arg) ?? [];
  return path === undefined ? [] : [{ path: path.toLowerCase(), value }];
}

/** The parts of a file of Traefik that are read. */
const sections: ReadonlySet<string> = new Set(["entrypoints", "serverstransport", "providers"]);

/** The settings in a file of Traefik or in the values of its chart. */
function settingsIn(file: unknown): readonly TraefikSetting[] {
  const whole = new SourceObject(file);
  const keys = whole.keys().filter((key) => sections.has(key.toLowerCase()) && isMap(whole.peek(key)));
  return [
    ...["additionalArguments", "globalArguments"].flatMap((key) => whole.texts(key)).flatMap(settingOf),
    ...keys
      .filter((key) => key !== "providers" || !isMap(whole.peek("ports")))
      .flatMap((key) => pathsIn(whole.peek(key), key)),
    ...chartPorts(whole.object("ports")),
  ];
}

/** A map of settings as paths. */
function pathsIn(value: unknown, path: string): readonly TraefikSetting[] {
  if (Array.isArray(value)) return value.flatMap((one, index) => pathsIn(one, `${path}[${index}]`));
  if (!isMap(value)) return [{ path: path.toLowerCase(), value: String(value ?? "") }];
  const entries = Object.entries(value);
  return entries.length === 0
    ? [{ path: path.toLowerCase(), value: "true" }]
    : entries.flatMap(([key, one]) => pathsIn(one, `${path}.${key}`));
}

/** What the chart passes on as it is. */
const passedOn = ["asDefault", "forwardedHeaders", "http", "http2", "http3", "proxyProtocol", "transport"] as const;

/** The entry points in `ports` of Traefik's chart. It has `web`, and `websecure` with TLS, also where they are not named. */
function chartPorts(ports: SourceObject): readonly TraefikSetting[] {
  if (!ports.keys().some((name) => isMap(ports.peek(name)))) return [];
  const usual: Loose = { web: {}, websecure: {} };
  const names = [...new Set([...Object.keys(usual), ...ports.keys()])];
  return names.flatMap((name) => chartPort(name, ports.object(name)));
}

function chartPort(name: string, port: SourceObject): readonly TraefikSetting[] {
  if (/^udp$/i.test(port.text("protocol"))) return [];
  const number = port.text("exposedPort") || chartDefaults.get(name) || port.text("port");
  const { redirectTo, redirections, tls, middlewares } = {
    redirectTo: port.peek("redirectTo"),
    redirections: port.peek("redirections"),
    tls: port.object("tls"),
    middlewares: port.peek("middlewares"),
  };
  const target = typeof redirectTo === "string" ? redirectTo : port.object("redirectTo").text("port");
  const isSecure = tls.flag("enabled") ?? (name === "websecure" && !isMap(port.object("http").peek("tls")));
  return [
    ...(number === "" ? [] : [{ path: "address", value: `:${number}` }]),
    ...(target === "" ? [] : [{ path: "http.redirections.entrypoint.to", value: target }]),
    ...(redirections === undefined ? [] : pathsIn(redirections, "http.redirections")),
    ...(middlewares === undefined ? [] : pathsIn(middlewares, "http.middlewares")),
    ...(isSecure ? [{ path: "http.tls", value: "true" }] : []),
    ...["options", "certResolver"].flatMap((key) =>
      tls.text(key) === "" ? [] : pathsIn(tls.text(key), `http.tls.${key}`),
    ),
    ...passedOn.flatMap((key) => (port.has(key) ? pathsIn(port.peek(key), key) : [])),
  ].map(({ path, value }) => ({ path: `entrypoints.${name}.${path}`.toLowerCase(), value }));
}

/** The ports of the chart's Service. */
const chartDefaults: ReadonlyMap<string, string> = new Map([
  ["web", "80"],
  ["websecure", "443"],
]);

function parsed(text: string): unknown {
  try {
    return parse(text);
  } catch {
    // Not a file of Traefik, or one that it cannot read either.
    return undefined;
  }
}
