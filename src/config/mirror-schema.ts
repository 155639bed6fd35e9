import { methodName, resourceName, unreadable } from "./domain-scalars.ts";
import { list } from "./kit/collections.ts";
import { defaulted, object, required } from "./kit/object.ts";
import { size } from "./kit/quantities.ts";
import { number } from "./kit/scalars.ts";

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
