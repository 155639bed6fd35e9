import { pathParameterPolicies } from "../http/path.ts";
import { proxyRange, resourceName } from "./scalars.ts";
import { list, mapOf } from "./schema-kit/collections.ts";
import { defaulted, object, optional, required } from "./schema-kit/object.ts";
import { boolean, number, oneOf, ParseError, scalar } from "./schema-kit/scalars.ts";
import { Definitions, type Infer, type JsonSchema, type Schema } from "./schema-kit/schema.ts";
import { quote } from "./schema-kit/tree.ts";
import { adminSchema } from "./sections/admin.ts";
import { attributeName, attributeSchema } from "./sections/attributes.ts";
import { dnsSchema } from "./sections/endpoint.ts";
import { geoSchema } from "./sections/geo.ts";
import { jwtSchema } from "./sections/jwt.ts";
import { kubernetesSchema } from "./sections/kubernetes.ts";
import { limitsSchema } from "./sections/limits.ts";
import { listenerSchema } from "./sections/listener.ts";
import { releaseSchema } from "./sections/release.ts";
import { routeSchema } from "./sections/route.ts";
import { serviceSchema } from "./sections/service.ts";
import { stateSchema } from "./sections/state.ts";
import { tracingSchema } from "./sections/tracing.ts";

/** Above the core count of any machine; catches typos. */
const maxWorkers = 256;

const workers: Schema<number | "auto"> = scalar({
  what: "a number of workers",
  parse(written) {
    if (written === "auto") return "auto";
    const count = /^[1-9]\d{0,2}$/.test(written) ? Number(written) : Number.NaN;
    return count <= maxWorkers ? count : new ParseError(`expected auto or 1 to ${maxWorkers}, found ${quote(written)}`);
  },
  json: { anyOf: [{ type: "integer", minimum: 1, maximum: maxWorkers }, { const: "auto" }] },
});

export const configSchema = object(
  {
    listeners: defaulted(
      "Addresses that Perch accepts requests on.",
      list(listenerSchema, { of: "listeners", min: 1 }),
      [{ name: "web", address: "*:8080" }],
    ),
    trustedProxies: defaulted(
      "Callers whose X-Forwarded-* and PROXY protocol headers are trusted: address ranges; unix for callers over unix sockets.",
      list(proxyRange, { of: "address ranges" }),
      [],
    ),
    exposeVersion: defaulted(
      "Whether responses carry the version that served them in x-perch-version.",
      boolean(),
      false,
    ),
    pathNormalisation: defaulted(
      "Whether paths are normalised before routes match them, and forwarded in normal form.",
      oneOf(["on", "off"], { true: "on", false: "off" }),
      "on",
    ),
    pathParameters: optional(
      "What is done about parameters in path segments, such as ;x=1. refuse-leading: a path with a segment that begins with ; gets 400, and so does one that leads to another route without its parameters; refuse: any parameter gets 400; strip: they are removed before routes match, and not forwarded; keep: they are part of the segment. Default: refuse-leading; keep with pathNormalisation off.",
      oneOf(pathParameterPolicies),
    ),
    fastLane: defaulted(
      "Whether plain HTTP/1.1 requests use the fast lane. Requests that it does not support use the standard lane.",
      oneOf(["on", "off"], { true: "on", false: "off" }),
      "on",
    ),
    admin: defaulted("The admin server: metrics, probes and the API.", adminSchema, {}),
    workers: defaulted(
      "Number of serving threads; auto: the whole cores of the CPU limit. With 1 there are no further threads.",
      workers,
      1,
    ),
    accessLog: defaulted(
      "The access log.",
      object(
        {
          sample: defaulted(
            "The share of requests logged, 0 to 1; 0 turns the log off.",
            number({ what: "a share", min: 0, max: 1 }),
            1,
          ),
        },
        { what: "accessLog" },
      ),
      {},
    ),
    state: optional(
      "Where rollouts and pauses outlive the process. Default: nowhere, so they are lost when it ends.",
      stateSchema,
    ),
    tracing: optional(
      "Request tracing. Default: off, and traceparent passes through like any other header.",
      tracingSchema,
    ),
    kubernetes: optional("What is read from the Kubernetes API. Default: nothing.", kubernetesSchema),
    limits: defaulted("Limits on clients.", limitsSchema, {}),
    dns: defaulted("How endpoints by DNS are resolved.", dnsSchema, {}),
    attributes: defaulted(
      "Typed facts about the requester, by name.",
      mapOf(attributeName, attributeSchema, { of: "attributes" }),
      {},
    ),
    jwt: optional("Verification of the JSON Web Tokens whose claims attributes read.", jwtSchema),
    geo: optional("The GeoIP database.", geoSchema),
    services: defaulted(
      "Upstream services, by name. Not needed if every route redirects.",
      mapOf(resourceName, serviceSchema, { of: "services" }),
      {},
    ),
    releases: defaulted(
      "Traffic policies, by name: who gets which version.",
      mapOf(resourceName, releaseSchema, { of: "releases" }),
      {},
    ),
    routes: required(
      "Which requests go to which service; the first match wins. May be empty with kubernetes.gateway.",
      list(routeSchema, { of: "routes" }),
      [],
    ),
  },
  { what: "the configuration" },
);

/** A configuration as written, with defaults filled in. */
export type Config = Infer<typeof configSchema>;

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
