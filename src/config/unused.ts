import type { Entry } from "./kit/collections.ts";
import type { Reading } from "./kit/schema.ts";
import type { KnownAttributes } from "./known-attributes.ts";
import type { Config } from "./schema.ts";

/** Warns of what the file defines and nothing uses: mostly a name that changed in one place only. */
export function warnUnused(config: Config, attributes: KnownAttributes, reading: Reading): void {
  const services = new Set(config.routes.map((route) => route.service));
  const releases = new Set(config.routes.map((route) => route.release));
  warn(config.services, (name) => services.has(name), "no route uses service", reading);
  warn(config.releases, (name) => releases.has(name), "no route uses release", reading);
  warn(config.attributes, (name) => attributes.isUsed(name), "no release uses attribute", reading);
}

function warn(
  entries: readonly Entry<unknown>[],
  isUsed: (name: string) => boolean,
  message: string,
  reading: Reading,
): void {
  for (const entry of entries) {
    if (!isUsed(entry.name)) reading.warn(reading.keySpanOf(entry), "unused", `${message} ${entry.name}`);
  }
}
