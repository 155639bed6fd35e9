import { headerName } from "./domain-scalars.ts";
import { list, mapOf, oneOrMore } from "./kit/collections.ts";
import { object, optional } from "./kit/object.ts";
import { text } from "./kit/scalars.ts";
import type { Infer } from "./kit/schema.ts";

const value = text({ what: "a value", maxLength: 4_096 });

/** What is done to the header fields of requests or of responses. */
export const headerEditsSchema = object(
  {
    set: optional(
      "Fields by name, in place of any that came. Values may name facts of the request (docs/routes.md).",
      mapOf(headerName, value, { of: "headers", min: 1 }),
    ),
    add: optional(
      "Further fields by name, with one value or several.",
      mapOf(headerName, oneOrMore(value, "values"), { of: "headers", min: 1 }),
    ),
    remove: optional("Names of fields that go no further.", list(headerName, { of: "headers", min: 1 })),
  },
  { what: "an edit of headers", atLeastOneOf: ["set", "add", "remove"] },
);

export type HeaderEditsConfig = Infer<typeof headerEditsSchema>;
