import type { RateLimitSpec } from "../../route/route-spec.ts";
import type { KnownAttributes } from "../compile-context.ts";
import { defaulted, object, optional, required } from "../schema-kit/object.ts";
import { duration, number, text } from "../schema-kit/scalars.ts";
import type { Infer, ParseContext } from "../schema-kit/schema.ts";

const count = number({ what: "a number of requests", min: 1, max: 1_000_000, integer: true });

export const rateLimitSchema = object(
  {
    by: defaulted(
      "What identifies a client: clientAddress (for IPv6 the /64 network), or the name of an attribute.",
      text({ what: "clientAddress or an attribute" }),
      "clientAddress",
    ),
    requests: required("The number of requests per period.", count, 1),
    per: defaulted("The period.", duration({ minMs: 1, maxMs: 86_400_000 }), "1s"),
    burst: optional("The number of requests that may come at once after an idle time. Default: `requests`.", count),
  },
  { what: "a rate limit" },
);

export type RateLimitConfig = Infer<typeof rateLimitSchema>;

const clientAddress = "clientAddress";

export function compileRateLimit(
  config: RateLimitConfig,
  attributes: KnownAttributes,
  parsing: ParseContext,
): RateLimitSpec {
  const { by, requests, per, burst = requests } = config;
  const rate = { requests, perMs: per, burst };
  if (by === clientAddress) return { by: { kind: clientAddress }, ...rate };
  const attribute = attributes.use(by);
  if (attribute !== undefined) return { by: { kind: "attribute", index: attribute.index, name: by }, ...rate };
  if (attributes.names?.has(by) === false) {
    parsing.unknownName(parsing.spanOf(config, "by"), "attribute", by, [...attributes.names, clientAddress]);
  }
  // Never used: the problem is reported, or the attributes could not be read.
  return { by: { kind: clientAddress }, ...rate };
}
