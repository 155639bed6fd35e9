import { type AddressRange, parseAddress, parseAddressRange } from "../decide/ip-address.ts";
import type { BindAddress } from "./compiled-config.ts";
import { isKeyReference, parseKeyReference, referenceProblem } from "./key-reference.ts";
import { ParseError, scalar, text } from "./schema-kit/scalars.ts";
import type { Schema } from "./schema-kit/schema.ts";
import { quote } from "./schema-kit/tree.ts";

/** Names of services, versions, releases, rules, routes and listeners. Safe in cookies, headers and metric labels. */
export const resourceName: Schema<string> = text({
  what: "a name",
  pattern: /^[a-z0-9][a-z0-9-]{0,62}$/,
  rule: "use a-z, 0-9 and dashes, at most 63 characters",
});

/** A placeholder for a name that could not be read. Valid names are not empty. */
export const unreadable = "";

/** What no version can be named: in a rule, `use: rollout` is the release's rollout. */
export const rolloutWord = "rollout";

/** RFC 9110 §5.6.2. RFC 6265 §4.1.1 uses the same set for cookie names. */
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;

const tokenRule = "use letters, digits and !#$%&'*+-.^_`|~, at most 128 characters";

/** A header name, converted to lower case. */
export const headerName: Schema<string> = lowerCase(text({ what: "a header name", pattern: token, rule: tokenRule }));

export const cookieName: Schema<string> = text({ what: "a cookie name", pattern: token, rule: tokenRule });

export const queryName: Schema<string> = text({ what: "a query parameter's name", minLength: 1, maxLength: 256 });

/** A method, converted to upper case like all registered methods. */
export const methodName: Schema<string> = mapped(
  text({ what: "a method", pattern: /^[A-Za-z][A-Za-z0-9_-]{0,31}$/, rule: "as in GET" }),
  (name) => name.toUpperCase(),
);

/** A file of this machine, and nothing else. */
export const localPath: Schema<string> = path((written) =>
  isKeyReference(written) ? "this is read from a file only, not from the Kubernetes API" : undefined,
);

/** A file, or a key of a ConfigMap or Secret: `kubernetes://secret/NAMESPACE/NAME/KEY`. */
export const filePath: Schema<string> = path(malformed);

/** As `filePath`, without ConfigMaps: those are shown to everybody who may look at a namespace. */
export const secretPath: Schema<string> = path((written) => {
  const isPublic = parseKeyReference(written)?.kind === "configmap";
  return isPublic ? "a secret does not belong in a ConfigMap; keep it in a Secret" : malformed(written);
});

function malformed(written: string): string | undefined {
  const problem = referenceProblem(written);
  return problem === undefined ? undefined : `${quote(written)} ${problem}`;
}

function path(problemOf: (written: string) => string | undefined): Schema<string> {
  return text({ what: "a file's path", minLength: 1, problemOf });
}

/** A path as in a request target, without query and fragment. */
export const urlPath: Schema<string> = text({
  what: "a path",
  pattern: /^\/[!-"$->@-~]*$/,
  rule: "it must start with /; percent-encode ?, # and everything but visible ASCII",
  maxLength: 2_048,
});

/** RFC 6265 §4.1.1: no controls, no semicolon. §5.2.4: browsers ignore a path that does not start with a slash. */
export const cookiePath: Schema<string> = text({
  what: "a cookie's path",
  pattern: /^\/[ -:<-~]*$/,
  rule: "it must start with / and consist of ASCII without ;",
  maxLength: 1_024,
});

/** A leading dot has no meaning (RFC 6265 §5.2.3) and is removed. */
export const cookieDomain: Schema<string> = mapped(
  text({
    what: "a domain",
    pattern: /^\.?[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*$/,
    rule: "use letters, digits and dashes between dots",
    maxLength: 253,
  }),
  (domain) => domain.replace(/^\./, "").toLowerCase(),
);

/** A host of a route, in lower case. A leading `*.` matches any subdomain. */
export const hostPattern: Schema<string> = scalar({
  what: "a host such as shop.example.com or *.example.com",
  parse: parseHost,
  json: { type: "string", pattern: "^(?:\\*\\.)?[A-Za-z0-9_~.-]+$|^\\[[0-9A-Fa-f:.]+\\]$" },
});

/** One host, without a port. */
export const hostText: Schema<string> = scalar({
  what: "a host such as shop.example.com",
  parse(written) {
    if (written.startsWith("*."))
      return new ParseError(`${quote(written)} is a wildcard; a single host is needed here`);
    return parseHost(written);
  },
  json: { type: "string", pattern: "^[A-Za-z0-9_~.-]+$|^\\[[0-9A-Fa-f:.]+\\]$" },
});

const hostName = /^(?:\*\.)?[a-z0-9_~-]{1,63}(?:\.[a-z0-9_~-]{1,63})*\.?$/;

function parseHost(written: string): string | ParseError {
  const host = written.toLowerCase();
  if (host.startsWith("[") && host.endsWith("]")) {
    const address = parseAddress(host.slice(1, -1));
    if (address?.text.includes(":") === true) return `[${address.text}]`;
  }
  if (host === "*") return new ParseError(`"*" is not a host`, "omit hosts to match every host");
  if (hostName.test(host) && host.length <= 255) return host.replace(/\.$/, "");
  if (/:\d+$/.test(host)) return new ParseError(`${quote(written)} is not a host`, "remove the port");
  if (/[^\p{ASCII}]/u.test(host))
    return new ParseError(`${quote(written)} is not a host`, "write it in punycode (xn--…)");
  return new ParseError(`${quote(written)} is not a host such as shop.example.com or *.example.com`);
}

/** One word, or a value of another schema. */
export function wordOr<const W extends string, T>(word: W, schema: Schema<T>): Schema<W | T> {
  return {
    read: (node, parsing) => (node.kind === "scalar" && node.text === word ? word : schema.read(node, parsing)),
    json: (definitions) => ({ anyOf: [{ const: word }, schema.json(definitions)] }),
  };
}

/** Parses `20%` to 0.2. The bounds are in percent. */
export function percentage({ min, max }: { readonly min: number; readonly max: number }): Schema<number> {
  const parse = (written: string): number | ParseError => {
    const percent = /^\d+(?:\.\d+)?%$/.test(written) ? Number(written.slice(0, -1)) : Number.NaN;
    if (Number.isNaN(percent)) {
      const suggestion = /^\d+(?:\.\d+)?$/.test(written) ? `write ${written}%` : "write it as in 20%";
      return new ParseError(`${quote(written)} is not a percentage`, suggestion);
    }
    return percent >= min && percent <= max
      ? percent / 100
      : new ParseError(`${written} is not between ${min}% and ${max}%`);
  };
  return scalar({
    what: "a percentage such as 20%",
    parse,
    json: { type: "string", pattern: "^\\d+(?:\\.\\d+)?%$" },
  });
}

export const addressRange: Schema<AddressRange> = scalar({
  what: "an address or a CIDR range",
  parse: (written) => parseAddressRange(written) ?? new ParseError(...notARange(written)),
  json: { type: "string" },
});

/** A trusted proxy: an address range, or `unix` for all callers over unix sockets. */
export const proxyRange: Schema<AddressRange | "unix"> = scalar({
  what: "an address, a CIDR range, or unix",
  parse: (written) =>
    written === "unix" ? "unix" : (parseAddressRange(written) ?? new ParseError(...notARange(written))),
  json: { type: "string" },
});

/** Message and suggestion for a string that is not a CIDR range. */
export const notARange = (written: string): [message: string, suggestion: string] => [
  `${quote(written)} is not an address or a CIDR range`,
  "write it as in 10.0.0.0/8 or fd00::/8",
];

/** `*:8080`: every address of the machine. */
const everyHost = /^\*:(\d{1,5})$/;

const hostAndPort = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]*)):(\d{1,5})$/;

/** `host:port` to listen on; the host is `*` or an IP address, IPv6 in brackets. */
export const bindAddress: Schema<BindAddress> = scalar({
  what: 'an address such as "*:8080"',
  parse: parseBindAddress,
  json: { type: "string", pattern: "^(?:\\*|\\[[0-9A-Fa-f:.]+\\]|[0-9.]+):[0-9]{1,5}$" },
});

function parseBindAddress(written: string): BindAddress | ParseError {
  const bare = /^:?(\d{1,5})$/.exec(written);
  if (bare !== null) {
    return new ParseError(`${quote(written)} has no host`, `write "*:${bare[1]}" or 127.0.0.1:${bare[1]}`);
  }
  const every = everyHost.exec(written);
  if (every !== null) return withValidPort("*", Number(every[1]));
  const parts = hostAndPort.exec(written);
  if (parts === null) return new ParseError(`${quote(written)} is not an address such as "*:8080" or [::]:8080`);
  const [, inBrackets, outside = "", portText] = parts;
  const address = parseAddress(inBrackets ?? outside);
  const port = Number(portText);
  if (address === undefined || (inBrackets === undefined) !== /^[0-9.]+$/.test(outside)) {
    const suggestion = outside === "localhost" ? `write 127.0.0.1:${portText}` : undefined;
    return new ParseError(`${quote(inBrackets ?? outside)} is not an IP address`, suggestion);
  }
  return withValidPort(address.text, port);
}

function withValidPort(host: string, port: number): BindAddress | ParseError {
  return port > 65_535 ? new ParseError(`${port} is not a port: the maximum is 65535`) : { host, port };
}

/** The size of `sun_path` on Linux without the terminating NUL (unix(7)). */
const maxSocketPath = 107;

/** Where a listener listens: `host:port`, or `unix:` and an absolute path. */
export const listenAddress: Schema<BindAddress | { readonly path: string }> = scalar({
  what: 'an address such as "*:8080" or unix:/run/perch.sock',
  parse: (written) => (written.startsWith("unix:") ? parseSocketPath(written) : parseBindAddress(written)),
  json: { type: "string", pattern: "^(?:(?:\\*|\\[[0-9A-Fa-f:.]+\\]|[0-9.]+):[0-9]{1,5}|unix:/.+)$" },
});

function parseSocketPath(written: string): { readonly path: string } | ParseError {
  const path = written.slice("unix:".length);
  if (!/^\/.*[^/]$/.test(path) || /\p{Cc}/u.test(path)) {
    return new ParseError(`${quote(written)} has no absolute socket path`, "write it as in unix:/run/perch.sock");
  }
  const bytes = Buffer.byteLength(path);
  if (bytes <= maxSocketPath) return { path };
  return new ParseError(`the path has ${bytes} bytes; the maximum for a unix socket is ${maxSocketPath}`);
}

function lowerCase(schema: Schema<string>): Schema<string> {
  return mapped(schema, (value) => value.toLowerCase());
}

function mapped(schema: Schema<string>, change: (value: string) => string): Schema<string> {
  return {
    read(node, parsing) {
      const value = schema.read(node, parsing);
      return typeof value === "string" ? change(value) : value;
    },
    json: (definitions) => schema.json(definitions),
  };
}
