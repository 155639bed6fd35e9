import { conditionWords, textTestSchema } from "./condition-schema.ts";
import {
  addressRange,
  bindAddress,
  cookieName,
  endpointOrigin,
  headerName,
  hostPattern,
  methodName,
  queryName,
  resourceName,
  unreadable,
  urlPath,
} from "./domain-scalars.ts";
import { list, mapOf } from "./kit/collections.ts";
import { Definitions, type JsonSchema } from "./kit/json-schema.ts";
import { defaulted, object, optional, required } from "./kit/object.ts";
import { duration, size } from "./kit/quantities.ts";
import { boolean, number, oneOf, scalar, text, Wrong } from "./kit/scalars.ts";
import type { Infer, Schema } from "./kit/schema.ts";
import { quote } from "./kit/tree.ts";
import { releaseSchema } from "./release-schema.ts";

/** The longest a timer can run is 2^31 - 1 milliseconds, 24 days and some hours. */
const timeout = duration({ minMs: 1, maxMs: 24 * 86_400_000 });

const listener = object(
  {
    name: required("The listener's name.", resourceName),
    address: required("host:port to accept requests on; [::]:8080 for IPv6.", bindAddress),
  },
  { what: "a listener", later: ["tls", "proxyProtocol", "h2c"] },
);

/** More threads than any machine has cores for, and a bound on a slip of the pen. */
const mostWorkers = 256;

const workers: Schema<number | "auto"> = scalar({
  what: "a number of workers",
  parse(written) {
    if (written === "auto") return "auto";
    const count = /^[1-9]\d{0,2}$/.test(written) ? Number(written) : Number.NaN;
    return count <= mostWorkers ? count : new Wrong(`expected auto or 1 to ${mostWorkers}, found ${quote(written)}`);
  },
  json: { anyOf: [{ type: "integer", minimum: 1, maximum: mostWorkers }, { const: "auto" }] },
});

const trust = defaulted(
  "proxies: counts only from a caller in trustedProxies, and a copy that anyone else sent is removed.",
  oneOf(["anyone", "proxies"]),
  "anyone",
);

const attributeSource = object(
  {
    header: optional("The request header that holds the value.", headerName),
    cookie: optional("The cookie that holds the value.", cookieName),
    query: optional("The query parameter that holds the value.", queryName),
    clientAddress: optional("The client's address, as derived by trustedProxies; always true.", yes()),
    trust,
  },
  {
    what: "a source",
    later: ["jwt", "geo"],
    exactlyOneOf: ["header", "cookie", "query", "clientAddress"],
  },
);

function yes(): Schema<true> {
  return scalar({
    what: "true",
    parse: (written) => (written === "true" ? true : new Wrong(`expected true, found ${quote(written)}`)),
    json: { const: true },
    unquotedOnly: true,
  });
}

const attributeName: Schema<string> = text({
  what: "an attribute's name",
  pattern: /^[A-Za-z][A-Za-z0-9_-]{0,63}$/,
  rule: "use letters, digits, - and _, a letter first, at most 64 characters",
});

const attribute = object(
  {
    type: required(
      "How the value is read and compared.",
      oneOf(["string", "number", "boolean", "time", "semver", "ip"]),
    ),
    from: required(
      "Sources in order; the first that is present and parses gives the value.",
      list(attributeSource, { of: "sources", min: 1 }),
    ),
  },
  { what: "an attribute" },
);

/** Endpoints found by DNS are a map; they come in a later version. */
const endpoint: Schema<string> = {
  read(node, reading) {
    if (node.kind !== "map") return endpointOrigin.read(node, reading);
    return reading.error(node.span, "not-supported", "endpoints by DNS are not supported by this version of Perch");
  },
  json: (definitions) => endpointOrigin.json(definitions),
};

const version = object(
  { endpoints: required("Addresses that serve the version.", list(endpoint, { of: "endpoints", min: 1 }), []) },
  { what: "a version" },
);

const timeouts = object(
  {
    connect: defaulted("For a connection to stand.", timeout, "2s"),
    responseHeaders: defaulted("From the end of the request to the response's head.", timeout, "30s"),
    idle: defaulted("Between two pieces of a body, either way.", timeout, "60s"),
  },
  { what: "timeouts", later: ["total"] },
);

const service = object(
  {
    default: optional("The version for requests that no release decides. Default: the first.", resourceName),
    versions: required(
      "The service's versions, by name.",
      mapOf(resourceName, version, { of: "versions", min: 1 }),
      [],
    ),
    timeouts: defaulted("How long to wait for an endpoint.", timeouts, {}),
  },
  { what: "a service", later: ["retries", "health", "outlier", "limits", "balance", "tls"] },
);

const path = object(
  {
    exact: optional("The whole path.", urlPath),
    prefix: optional("Whole segments from the path's start: /api takes /api and /api/x, never /apix.", urlPath),
    regex: optional("A pattern (RE2 syntax, linear time) that is found anywhere in the path.", text({ minLength: 1 })),
  },
  { what: "a path", exactlyOneOf: ["exact", "prefix", "regex"] },
);

const match = object(
  {
    hosts: optional("One of these hosts; *.example.com takes any below.", list(hostPattern, { of: "hosts", min: 1 })),
    path: optional("The path.", path),
    methods: optional("One of these methods.", list(methodName, { of: "methods", min: 1 })),
    headers: optional(
      "Tests on request headers, by name.",
      mapOf(headerName, textTestSchema, { of: "headers", min: 1 }),
    ),
    query: optional(
      "Tests on query parameters, by name.",
      mapOf(queryName, textTestSchema, { of: "parameters", min: 1 }),
    ),
  },
  { what: "a match" },
);

const route = object(
  {
    name: required("The route's name, as metrics and logs call it.", resourceName, unreadable),
    match: defaulted("Which requests the route takes: all of these must hold. Default: every request.", match, {}),
    service: required("The service that answers.", resourceName, unreadable),
    release: optional(
      "The release that decides which version answers. Default: none, so the service's default does.",
      resourceName,
    ),
  },
  {
    what: "a route",
    later: [
      "headers",
      "requestHeaders",
      "responseHeaders",
      "rewrite",
      "redirect",
      "timeouts",
      "retries",
      "maxBodySize",
      "mirror",
    ],
  },
);

/** The whole file. */
export const configSchema = object(
  {
    listeners: defaulted("Where requests come in.", list(listener, { of: "listeners", min: 1 }), [
      { name: "web", address: "0.0.0.0:8080" },
    ]),
    trustedProxies: defaulted(
      "Callers whose X-Forwarded-* headers are believed and extended.",
      list(addressRange, { of: "address ranges" }),
      [],
    ),
    exposeVersion: defaulted("Whether responses say in x-perch-version which version served them.", boolean(), false),
    fastLane: defaulted(
      "Whether plain HTTP/1.1 requests take the fast lane. A request that it does not serve takes the standard lane.",
      oneOf(["on", "off"], { true: "on", false: "off" }),
      "on",
    ),
    admin: defaulted(
      "Metrics, probes and the API that reads.",
      object(
        { address: defaulted("host:port of the admin server.", bindAddress, "127.0.0.1:9901") },
        { what: "admin", later: ["tokenFile"] },
      ),
      {},
    ),
    workers: defaulted(
      "How many threads serve; auto: as many as the CPU limit has whole cores. With 1 there are no other threads.",
      workers,
      1,
    ),
    accessLog: defaulted(
      "The log of requests.",
      object(
        {
          sample: defaulted(
            "The share of requests logged, 0 to 1; 0 turns it off.",
            number({ what: "a share", min: 0, max: 1 }),
            1,
          ),
        },
        { what: "accessLog" },
      ),
      {},
    ),
    limits: defaulted(
      "What a request may be at most.",
      object(
        {
          headers: defaulted("The header section's size.", size({ min: 1_024, max: 1_048_576 }), "32KiB"),
          headerCount: defaulted(
            "How many headers.",
            number({ what: "a count", min: 1, max: 10_000, integer: true }),
            100,
          ),
          body: defaulted("The body's size; 0 for no limit.", size({ min: 0, max: Number.MAX_SAFE_INTEGER }), 0),
        },
        { what: "limits" },
      ),
      {},
    ),
    attributes: defaulted(
      "Typed facts about the requester, by name.",
      mapOf(attributeName, attribute, { of: "attributes" }),
      {},
    ),
    services: required("What clients call, by name.", mapOf(resourceName, service, { of: "services", min: 1 }), []),
    releases: defaulted("Who gets which version, by name.", mapOf(resourceName, releaseSchema, { of: "releases" }), {}),
    routes: required(
      "Which requests go to which service; the first that matches wins.",
      list(route, { of: "routes", min: 1 }),
      [],
    ),
  },
  { what: "the configuration", later: ["jwt", "geo"] },
);

/** A configuration as the file gives it, with defaults in place of what it leaves out. */
export type Config = Infer<typeof configSchema>;
export type AttributeConfig = Config["attributes"][number]["value"];
export type ServiceConfig = Config["services"][number]["value"];
export type RouteConfig = Config["routes"][number];
export type MatchConfig = RouteConfig["match"];

/** Attribute names that conditions use for something else. */
export const reservedAttributeNames: ReadonlySet<string> = new Set(conditionWords);

/** The JSON Schema (draft 2020-12) of a configuration file, for editors. */
export function jsonSchema(): JsonSchema {
  const definitions = new Definitions();
  const root = configSchema.json(definitions);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Perch configuration",
    ...root,
    $defs: definitions.all(),
  };
}
