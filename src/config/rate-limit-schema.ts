import { defaulted, object, optional, required } from "./kit/object.ts";
import { duration } from "./kit/quantities.ts";
import { number, text } from "./kit/scalars.ts";
import type { Infer } from "./kit/schema.ts";

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
