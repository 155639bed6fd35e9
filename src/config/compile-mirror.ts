import type { MirrorSpec } from "./compiled-config.ts";
import { unreadable } from "./domain-scalars.ts";
import type { Entry } from "./kit/collections.ts";
import type { Reading } from "./kit/schema.ts";
import type { Pairing } from "./pairings.ts";
import type { ReleaseConfig } from "./release-schema.ts";

/** RFC 9110 §9.2.1: asking twice for these changes nothing. */
const safeMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);

/** The mirror of a release, in a list; empty where it has none. */
export function compileMirror(
  { name, value }: Entry<ReleaseConfig>,
  { known }: Pairing,
  reading: Reading,
): readonly MirrorSpec[] {
  const { mirror } = value;
  if (mirror === undefined) return [];
  const { version, percent, maxBody: maxBodyBytes, maxInFlight } = mirror;
  if (known?.has(version) === false && version !== unreadable) {
    reading.unknownName(reading.spanOf(mirror, "version"), "version", version, known);
  }
  const methods = [...new Set(mirror.methods)];
  const unsafe = methods.filter((method) => !safeMethods.has(method));
  if (unsafe.length > 0) {
    const message = `${unsafe.join(", ")}: what such a request does is done twice, by the copy as well`;
    reading.warn(reading.spanOf(mirror, "methods"), "risky", message);
  }
  return [{ release: name, version, percent, methods, maxBodyBytes, maxInFlight }];
}
