import type { MirrorSpec } from "../compiled-config.ts";
import type { PairedServices } from "../release-services.ts";
import { methodName, resourceName, unreadable } from "../scalars.ts";
import { type Entry, list } from "../schema-kit/collections.ts";
import { defaulted, object, required } from "../schema-kit/object.ts";
import { number, size } from "../schema-kit/scalars.ts";
import type { Infer, ParseContext } from "../schema-kit/schema.ts";

/** Request mirroring: copies of requests whose responses are discarded. */
export const mirrorSchema = object(
  {
    version: required("The version that gets the mirrored requests.", resourceName, unreadable),
    percent: required(
      "The share of units that is mirrored, in per cent; drawn independently of the split.",
      number({ what: "a percentage", min: 0, max: 100 }),
      0,
    ),
    methods: defaulted(
      "Methods that are mirrored. Unsafe methods take effect twice.",
      list(methodName, { of: "methods", min: 1 }),
      ["GET", "HEAD", "OPTIONS"],
    ),
    maxBody: defaulted("Requests with a larger body are not mirrored.", size({ min: 1, max: 2 ** 40 }), "1MiB"),
    maxInFlight: defaulted(
      "Maximum number of concurrent mirrored requests per worker. Further requests are not mirrored.",
      number({ what: "a count", min: 1, max: 100_000, integer: true }),
      100,
    ),
  },
  { what: "a mirror" },
);

/** Safe methods (RFC 9110 §9.2.1). */
const safeMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);

/** Returns the mirror of a release; empty if it has none. */
export function compileMirror(
  { name, value }: Entry<{ readonly mirror: Infer<typeof mirrorSchema> | undefined }>,
  { known }: PairedServices,
  parsing: ParseContext,
): readonly MirrorSpec[] {
  const { mirror } = value;
  if (mirror === undefined) return [];
  const { version, percent, maxBody: maxBodyBytes, maxInFlight } = mirror;
  if (known?.has(version) === false && version !== unreadable) {
    parsing.unknownName(parsing.spanOf(mirror, "version"), "version", version, known);
  }
  const methods = [...new Set(mirror.methods)];
  const unsafe = methods.filter((method) => !safeMethods.has(method));
  if (unsafe.length > 0) {
    const message = `${unsafe.join(", ")}: the mirrored request takes effect as well, so every change is made twice`;
    parsing.warn(parsing.spanOf(mirror, "methods"), "risky", message);
  }
  return [{ release: name, version, percent, methods, maxBodyBytes, maxInFlight }];
}
