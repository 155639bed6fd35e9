import type { RateLimitSpec } from "../../route/route-spec.ts";
import type { KnownAttributes } from "../compile-context.ts";
import { defaulted, object, optional, required } from "../schema-kit/object.ts";
import { duration, number, text } from "../schema-kit/scalars.ts";
import type { Infer, ParseContext } from "../schema-kit/schema.ts";

const count = number({ what: "a number of requests", min: 1, max: 1_000_000, integer: true });

/** How many requests of one requester a route takes. */
export const rateLimitSchema = object(
  {
    by: defaulted(
      "Who counts as one: clientAddress (of IPv6 its /64), or an attribute by its name.",
      text({ what: "clientAddress or an attribute" }),
      "clientAddress",
    ),
    requests: required("How many requests.", count, 1),
    per: defaulted("In how long.", duration({ minMs: 1, maxMs: 86_400_000 }), "1s"),
    burst: optional("How many may come at once after a rest. Default: as many as `requests`.", count),
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
  return { by: { kind: clientAddress }, ...rate };
}
