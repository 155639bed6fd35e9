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
import { limitsSchema } from "./sections/limits.ts";
import { listenerSchema } from "./sections/listener.ts";
import { releaseSchema } from "./sections/release.ts";
import { routeSchema } from "./sections/route.ts";
import { serviceSchema } from "./sections/service.ts";
import { tracingSchema } from "./sections/tracing.ts";

/** More threads than any machine has cores for, and a bound on a slip of the pen. */
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

/** The whole file. */
export const configSchema = object(
  {
    listeners: defaulted("Where requests come in.", list(listenerSchema, { of: "listeners", min: 1 }), [
      { name: "web", address: "0.0.0.0:8080" },
    ]),
    trustedProxies: defaulted(
      "Callers whose X-Forwarded-* and PROXY headers are believed; unix: those that come by a unix socket.",
      list(proxyRange, { of: "address ranges" }),
      [],
    ),
    exposeVersion: defaulted("Whether responses say in x-perch-version which version served them.", boolean(), false),
    pathNormalisation: defaulted(
      "Whether paths are brought to one form before routes match them, and go upstream in it.",
      oneOf(["on", "off"], { true: "on", false: "off" }),
      "on",
    ),
    fastLane: defaulted(
      "Whether plain HTTP/1.1 requests take the fast lane. A request that it does not serve takes the standard lane.",
      oneOf(["on", "off"], { true: "on", false: "off" }),
      "on",
    ),
    admin: defaulted("Metrics, probes and the API.", adminSchema, {}),
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
    tracing: optional(
      "Traces of requests. Default: none, and a client's traceparent passes as any field.",
      tracingSchema,
    ),
    limits: defaulted("What a client may take at most.", limitsSchema, {}),
    dns: defaulted("How the names of endpoints by DNS are resolved.", dnsSchema, {}),
    attributes: defaulted(
      "Typed facts about the requester, by name.",
      mapOf(attributeName, attributeSchema, { of: "attributes" }),
      {},
    ),
    jwt: optional("How tokens are verified whose claims attributes read.", jwtSchema),
    geo: optional("Where clients are.", geoSchema),
    services: required(
      "What clients call, by name.",
      mapOf(resourceName, serviceSchema, { of: "services", min: 1 }),
      [],
    ),
    releases: defaulted("Who gets which version, by name.", mapOf(resourceName, releaseSchema, { of: "releases" }), {}),
    routes: required(
      "Which requests go to which service; the first that matches wins.",
      list(routeSchema, { of: "routes", min: 1 }),
      [],
    ),
  },
  { what: "the configuration" },
);

/** A configuration as the file gives it, with defaults in place of what it leaves out. */
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
