import type { MirrorSpec } from "../compiled-config.ts";
import type { PairedServices } from "../release-services.ts";
import { methodName, resourceName, unreadable } from "../scalars.ts";
import { type Entry, list } from "../schema-kit/collections.ts";
import { defaulted, object, required } from "../schema-kit/object.ts";
import { number, size } from "../schema-kit/scalars.ts";
import type { Infer, ParseContext } from "../schema-kit/schema.ts";

/** Copies of requests for a version that does not answer them. */
export const mirrorSchema = object(
  {
    version: required("The version that gets the copies.", resourceName, unreadable),
    percent: required(
      "Of units, 0 to 100; drawn apart from the split.",
      number({ what: "a percentage", min: 0, max: 100 }),
      0,
    ),
    methods: defaulted(
      "Methods that are copied. Whatever is not safe is carried out twice.",
      list(methodName, { of: "methods", min: 1 }),
      ["GET", "HEAD", "OPTIONS"],
    ),
    maxBody: defaulted("Requests with a larger body are not copied.", size({ min: 1, max: 2 ** 40 }), "1MiB"),
    maxInFlight: defaulted(
      "Copies under way at one time in each worker; beyond it requests are not copied.",
      number({ what: "a count", min: 1, max: 100_000, integer: true }),
      100,
    ),
  },
  { what: "a mirror" },
);

/** RFC 9110 §9.2.1: asking twice for these changes nothing. */
const safeMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);

/** The mirror of a release, in a list; empty where it has none. */
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
    const message = `${unsafe.join(", ")}: what such a request does is done twice, by the copy as well`;
    parsing.warn(parsing.spanOf(mirror, "methods"), "risky", message);
  }
  return [{ release: name, version, percent, methods, maxBodyBytes, maxInFlight }];
}
