import { balances } from "../upstream/balance.ts";
import { upstreamProtocols } from "../upstream/service-spec.ts";
import { resourceName } from "./domain-scalars.ts";
import { endpoint } from "./endpoint-schema.ts";
import { headerEditsSchema } from "./header-edits-schema.ts";
import { healthSchema } from "./health-schema.ts";
import { list, mapOf } from "./kit/collections.ts";
import { defaulted, object, optional, required } from "./kit/object.ts";
import { duration } from "./kit/quantities.ts";
import { boolean, oneOf } from "./kit/scalars.ts";
import type { Infer, Schema } from "./kit/schema.ts";
import { limitsSchema, outlierSchema, retriesSchema } from "./resilience-schema.ts";
import { upstreamTlsSchema } from "./upstream-tls-schema.ts";

/** The longest a timer can run is 2^31 - 1 milliseconds, 24 days and some hours. */
export const timeout: Schema<number> = duration({ minMs: 1, maxMs: 24 * 86_400_000 });

const version = object(
  {
    endpoints: required("Addresses that serve the version.", list(endpoint, { of: "endpoints", min: 1 }), []),
    requestHeaders: optional(
      "What is done to the header of requests that this version serves, after what their route does.",
      headerEditsSchema,
    ),
    responseHeaders: optional(
      "What is done to the header of responses of this version, after what their route does.",
      headerEditsSchema,
    ),
  },
  { what: "a version" },
);

const timeouts = object(
  {
    connect: defaulted("For a connection to stand.", timeout, "2s"),
    responseHeaders: defaulted("From the end of the request to the response's head.", timeout, "30s"),
    idle: defaulted("Between two pieces of a body, either way.", timeout, "60s"),
    total: optional("For the whole request, from its first octet to the answer's last. Default: no limit.", timeout),
  },
  { what: "timeouts" },
);

/** What clients call: its versions, and how they are reached. */
export const serviceSchema = object(
  {
    default: optional("The version for requests that no release decides. Default: the first.", resourceName),
    versions: required(
      "The service's versions, by name.",
      mapOf(resourceName, version, { of: "versions", min: 1 }),
      [],
    ),
    balance: defaulted(
      "How a version's endpoints share its requests: p2c, the less loaded of two; hash, the same requester always meets the same.",
      oneOf(balances),
      "p2c",
    ),
    protocol: defaulted(
      "What the endpoints speak: http1, or http2 as gRPC needs it (https by ALPN, http with prior knowledge).",
      oneOf(upstreamProtocols),
      "http1",
    ),
    timeouts: defaulted("How long to wait for an endpoint.", timeouts, {}),
    tls: optional("How endpoints with https are known, and what they are shown.", upstreamTlsSchema),
    external: defaulted("Whether others run it: then it is not told which version was assigned.", boolean(), false),
    health: optional("How endpoints are checked. Default: not at all.", healthSchema),
    outlier: optional("When an endpoint is taken out for its answers. Default: never.", outlierSchema),
    retries: optional(
      "What is tried again. Default: refused endpoints, and once what was reset under an idempotent method.",
      retriesSchema,
    ),
    limits: optional("What each version is given at a time. Default: everything.", limitsSchema),
  },
  { what: "a service" },
);

export type ServiceConfig = Infer<typeof serviceSchema>;
