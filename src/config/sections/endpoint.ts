import { parseAddress } from "../../decide/ip-address.ts";
import { addressOf, type EndpointAddress, type EndpointSpec, unixAddress } from "../../upstream/service-spec.ts";
import { list } from "../schema-kit/collections.ts";
import { defaulted, object, optional, required } from "../schema-kit/object.ts";
import { duration, number, oneOf, ParseError, scalar, text } from "../schema-kit/scalars.ts";
import { INVALID, type Infer, type Invalid, type ParseContext, type Schema } from "../schema-kit/schema.ts";
import { type ConfigNode, quote } from "../schema-kit/tree.ts";

const defaultPorts: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 };

/** The size of `sun_path` on Linux without the terminating NUL (unix(7)). */
const maxSocketPath = 107;

/** `http://host:port`, `https://host:port`, or `unix:/path`. */
const endpointAddress: Schema<EndpointAddress> = scalar({
  what: "an endpoint such as http://shop:80",
  parse: parseEndpoint,
  json: { type: "string", pattern: "^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@\\s]+/?$|^unix:/" },
});

function parseEndpoint(written: string): EndpointAddress | ParseError {
  const unix = /^unix:(?:\/\/(?=\/))?(.*)$/s.exec(written);
  if (unix !== null) return parseSocketPath(unix[1] ?? "");
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(written)?.[1]?.toLowerCase();
  if (scheme === undefined) {
    const meant = written.startsWith("/") ? `unix:${written}` : `http://${written}`;
    return new ParseError(`${quote(written)} has no scheme`, `write ${quote(meant)}`);
  }
  if (scheme !== "http" && scheme !== "https") {
    return new ParseError(
      `${quote(written)} has a scheme that is not supported`,
      "an endpoint is http://host:port, https://host:port or unix:/path",
    );
  }
  const origin = parseOrigin(written);
  return origin instanceof ParseError ? origin : addressOf(origin);
}

function parseSocketPath(path: string): EndpointAddress | ParseError {
  if (!path.startsWith("/")) {
    return new ParseError(`${quote(path)} is not an absolute path`, "write it as in unix:/run/shop.sock");
  }
  if (/\p{Cc}/u.test(path)) return new ParseError(`${quote(path)} contains a control character`);
  if (Buffer.byteLength(path) > maxSocketPath) {
    return new ParseError(`${quote(path)} is too long: the maximum for a unix socket is ${maxSocketPath} bytes`);
  }
  return unixAddress(path);
}

function parseOrigin(written: string): string | ParseError {
  // The URL parser drops tabs and line breaks and converts backslashes; such input must not pass as a host.
  const url = /^[!-~]+$/.test(written) && !written.includes("\\") ? URL.parse(written) : null;
  if (url === null) return new ParseError(`${quote(written)} is not a URL such as http://shop:80`);
  if (url.username !== "" || url.password !== "" || written.includes("@")) {
    return new ParseError(
      `${quote(written.replace(/\/\/.*@/, "//…@"))} contains credentials, which endpoints do not support`,
    );
  }
  if (url.pathname !== "/" || /[?#]/.test(written)) {
    return new ParseError(`${quote(written)} contains more than a host and a port`, `write ${quote(url.origin)}`);
  }
  if (url.port === "0") return new ParseError(`${quote(written)}: port 0 is not valid for an endpoint`);
  return `${url.protocol}//${url.hostname}:${url.port === "" ? defaultPorts[url.protocol] : url.port}`;
}

const dnsName: Schema<string> = text({
  what: "a DNS name",
  pattern:
    /^(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?$/,
  rule: "use letters, digits, dashes and underscores between dots",
  maxLength: 254,
});

/** RFC 1123 labels, as Kubernetes has them for Services and namespaces. */
const kubernetesName = (what: string): Schema<string> =>
  text({
    what,
    pattern: /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
    rule: "use a-z, 0-9 and dashes, at most 63 characters",
  });

/** Digits are a number: a name that consists of digits cannot be told from it. */
const servicePort: Schema<string | number> = scalar({
  what: "a port's name or number",
  parse(written) {
    if (/^\d{1,5}$/.test(written)) {
      const number = Number(written);
      return number >= 1 && number <= 65_535 ? number : new ParseError(`${written} is not a valid port`);
    }
    if (/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(written)) return written;
    return new ParseError(
      `${quote(written)} is not a port's name or number`,
      "write it as in port: http, or port: 8080",
    );
  },
  json: {
    anyOf: [
      { type: "integer", minimum: 1, maximum: 65_535 },
      { type: "string", pattern: "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$" },
    ],
  },
});

const kubernetesService = object(
  {
    service: required("The name of the Service.", kubernetesName("the name of a Service")),
    namespace: optional(
      "The namespace of the Service. Default: that of Perch's Pod, or of the kubeconfig's context.",
      kubernetesName("the name of a namespace"),
    ),
    port: optional(
      "The name of a port of the Service, or the number that its Pods listen on (the targetPort). Default: its only port.",
      servicePort,
    ),
  },
  { what: "a Kubernetes Service" },
);

const found = object(
  {
    dns: optional("A DNS name. Each A and AAAA record is an endpoint; without port, each SRV record.", dnsName),
    port: optional(
      "The port of all endpoints by DNS. Default: SRV records are resolved, which contain the ports.",
      number({ what: "a port", min: 1, max: 65_535, integer: true }),
    ),
    kubernetes: optional(
      "A Kubernetes Service. Each of its ready Pods is an endpoint, as its EndpointSlices list them.",
      kubernetesService,
    ),
    scheme: defaulted("The scheme of the endpoints.", oneOf(["http", "https"]), "http"),
  },
  { what: "an endpoint by DNS or Kubernetes", exactlyOneOf: ["dns", "kubernetes"] },
);

type Found = Infer<typeof found>;

/** An endpoint of a version, or a DNS name or a Kubernetes Service that has several. */
export const endpoint: Schema<EndpointSpec> = {
  read(node, parsing) {
    if (node.kind !== "map") {
      const address = endpointAddress.read(node, parsing);
      return address === INVALID ? INVALID : { kind: "address", address };
    }
    const value = found.read(node, parsing);
    if (value === INVALID) return INVALID;
    const { dns, kubernetes } = value;
    if (kubernetes !== undefined) return bySlices(value, kubernetes, parsing);
    return dns === undefined ? INVALID : byDns(value, dns, node, parsing);
  },
  json: (definitions) => ({ anyOf: [endpointAddress.json(definitions), found.json(definitions)] }),
};

function bySlices(
  value: Found,
  { service, namespace, port }: NonNullable<Found["kubernetes"]>,
  parsing: ParseContext,
): EndpointSpec | Invalid {
  if (value.port !== undefined) {
    const message = "port is for endpoints by DNS";
    const suggestion = `write { kubernetes: { service: ${service}, port: ${value.port} } }`;
    return parsing.error(parsing.spanOf(value, "port"), "conflicting-keys", message, suggestion);
  }
  return { kind: "slices", question: { wanted: "slices", service, namespace, port }, scheme: value.scheme };
}

function byDns(value: Found, dns: string, node: ConfigNode, parsing: ParseContext): EndpointSpec | Invalid {
  const { port, scheme } = value;
  if (parseAddress(dns) !== undefined) {
    const message = `${quote(dns)} is an IP address, not a DNS name`;
    const suggestion = `write ${quote(`${scheme}://${dns}:${port ?? 80}`)}`;
    return parsing.error(parsing.spanOf(value, "dns"), "bad-value", message, suggestion);
  }
  // The names of SRV records start with an underscore (RFC 2782).
  if (port === undefined && !dns.startsWith("_")) {
    const message = "an endpoint by DNS needs a port, or the name of an SRV record such as _http._tcp.shop";
    return parsing.error(node.span, "missing-key", message);
  }
  const question = { name: dns.toLowerCase(), wanted: port === undefined ? "services" : "addresses" } as const;
  return { kind: "dns", question, scheme, port };
}

/** `10.0.0.10`, `10.0.0.10:5353`, `fd00::10` or `[fd00::10]:5353`, as node:dns accepts them. */
const nameServer: Schema<string> = scalar({
  what: "a name server's address such as 10.0.0.10 or 10.0.0.10:53",
  parse: parseNameServer,
  json: { type: "string", pattern: "^[0-9A-Fa-f:.]+$|^\\[[0-9A-Fa-f:.]+\\](?::[0-9]{1,5})?$" },
});

function parseNameServer(written: string): string | ParseError {
  const bare = parseAddress(written);
  if (bare !== undefined) return bare.text;
  const [, inBrackets, outside = "", portText] = /^(?:\[([^\]]*)\]|([0-9.]+)):(\d{1,5})$/.exec(written) ?? [];
  const address = parseAddress(inBrackets ?? outside);
  const port = Number(portText);
  if (address === undefined) {
    return new ParseError(
      `${quote(written)} is not a name server's address`,
      "write it as in 10.0.0.10 or 10.0.0.10:53",
    );
  }
  if (port === 0 || port > 65_535) return new ParseError(`${port} is not a valid port`);
  return inBrackets === undefined ? `${address.text}:${port}` : `[${address.text}]:${port}`;
}

const timeToLive = duration({ minMs: 100, maxMs: 86_400_000 });

export const dnsSchema = object(
  {
    servers: defaulted(
      "Name servers. Names are then resolved as written. Default: the system's name servers, with its search list.",
      list(nameServer, { of: "name servers" }),
      [],
    ),
    minTtl: defaulted("The minimum time for which a DNS answer is used, whatever its TTL.", timeToLive, "5s"),
    maxTtl: defaulted("The maximum time for which a DNS answer is used.", timeToLive, "5m"),
  },
  { what: "dns" },
);
