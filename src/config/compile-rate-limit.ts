import type { RateLimitSpec } from "../route/rate-limit-spec.ts";
import type { Reading } from "./kit/schema.ts";
import type { KnownAttributes } from "./known-attributes.ts";
import type { RateLimitConfig } from "./rate-limit-schema.ts";

const clientAddress = "clientAddress";

export function compileRateLimit(
  config: RateLimitConfig,
  attributes: KnownAttributes,
  reading: Reading,
): RateLimitSpec {
  const { by, requests, per, burst = requests } = config;
  const rate = { requests, perMs: per, burst };
  if (by === clientAddress) return { by: { kind: clientAddress }, ...rate };
  const attribute = attributes.use(by);
  if (attribute !== undefined) return { by: { kind: "attribute", index: attribute.index, name: by }, ...rate };
  if (attributes.names?.has(by) === false) {
    reading.unknownName(reading.spanOf(config, "by"), "attribute", by, [...attributes.names, clientAddress]);
  }
  return { by: { kind: clientAddress }, ...rate };
}
