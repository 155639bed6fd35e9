import type { CompileContext } from "../compile-context.ts";
import type { BindAddress, GatewaySpec } from "../compiled-config.ts";
import { filePath, resourceName } from "../scalars.ts";
import { type Entry, list, mapOf } from "../schema-kit/collections.ts";
import { defaulted, object, optional } from "../schema-kit/object.ts";
import { oneOf, text } from "../schema-kit/scalars.ts";
import type { Infer } from "../schema-kit/schema.ts";

/** The controller that a GatewayClass names for Perch to serve its Gateways. */
const defaultControllerName = "perch.dev/gateway";

const controllerName = text({
  what: "a controller's name",
  pattern: /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\/[A-Za-z0-9/._~%!$&'()*+,;=:-]{1,200}$/,
  rule: "use a domain and a path, as in perch.dev/gateway",
});

const namespaceName = text({
  what: "a namespace",
  pattern: /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
  rule: "use a-z, 0-9 and dashes, at most 63 characters",
});

const portNumber = text({ what: "a port", pattern: /^[1-9]\d{0,4}$/, rule: "use a number from 1 to 65535" });

const publishedAddress = text({
  what: "an IP address or a host name",
  pattern: /^[A-Za-z0-9:.-]{1,253}$/,
  rule: "use letters, digits, colons, dots and dashes",
});

/** Of the status of a Gateway, in the Gateway API. */
const maxAddresses = 16;

const gateway = object(
  {
    controllerName: defaulted(
      "Gateways whose GatewayClass names this controller are served.",
      controllerName,
      defaultControllerName,
    ),
    namespaces: defaulted(
      "Where Gateways, routes and what they refer to are read. Default: in all namespaces.",
      list(namespaceName, { of: "namespaces" }),
      [],
    ),
    ports: defaulted(
      "The listener that serves a port of Gateways, by port; others are not served. Default: the listener at that port, or at 8000 above it for ports below 1024 (80: 8080, 443: 8443).",
      mapOf(portNumber, resourceName, { of: "ports" }),
      {},
    ),
    addresses: defaulted(
      "Addresses that the status of Gateways publishes: where clients reach Perch.",
      list(publishedAddress, { of: "addresses", max: maxAddresses }),
      [],
    ),
    endpoints: defaulted(
      "What the endpoints of a backend are: its Service's cluster address (service), or its ready Pods by their EndpointSlices (pods).",
      oneOf(["service", "pods"]),
      "service",
    ),
    secretFile: optional(
      "A file of secrets for the pins of routes with several backends, as for a release's cookie. Default: a random " +
        "secret, which works for one instance and is lost on restart.",
      filePath,
    ),
  },
  { what: "gateway" },
);

export const kubernetesSchema = object(
  {
    gateway: optional(
      "Serves Gateways, HTTPRoutes and GRPCRoutes of the Kubernetes API, and writes their status. Default: off.",
      gateway,
    ),
  },
  { what: "kubernetes" },
);

export type GatewayConfig = NonNullable<Infer<typeof kubernetesSchema>["gateway"]>;

function warnOfRandomSecret(config: GatewayConfig, { parsing }: CompileContext): void {
  const message =
    "the pins of routes of the Gateway API are signed with a random secret, which works for one instance and is lost on restart";
  parsing.warn(parsing.keySpanOf(config), "risky", message, "set kubernetes.gateway.secretFile");
}

interface NamedListener {
  readonly name: string;
  readonly address: BindAddress | { readonly path: string };
}

const firstUnprivileged = 1024;
const added = 8_000;

export function compileGateway(
  config: GatewayConfig,
  listeners: readonly NamedListener[],
  context: CompileContext,
): GatewaySpec {
  const { parsing } = context;
  const { controllerName, namespaces, addresses, endpoints, secretFile } = config;
  const names = new Set(listeners.map(({ name }) => name));
  for (const entry of config.ports) {
    if (!names.has(entry.value)) parsing.unknownName(parsing.spanOf(entry), "listener", entry.value, names);
  }
  // A secret that cannot be read is a problem of the file, not of each route.
  if (secretFile === undefined) warnOfRandomSecret(config, context);
  else context.secrets(secretFile, parsing.spanOf(config, "secretFile"));
  return { controllerName, namespaces, addresses, endpoints, secretFile, ports: portsOf(config.ports, listeners) };
}

function portsOf(written: readonly Entry<string>[], listeners: readonly NamedListener[]): GatewaySpec["ports"] {
  if (written.length > 0) return written.map(({ name, value }) => ({ port: Number(name), listener: value }));
  const own = listeners.flatMap(({ name, address }) =>
    "port" in address ? [{ port: address.port, listener: name }] : [],
  );
  const privileged = own.flatMap(({ port, listener }) =>
    port > added && port < added + firstUnprivileged ? [{ port: port - added, listener }] : [],
  );
  return [...own, ...privileged.filter(({ port }) => !own.some((one) => one.port === port))];
}
