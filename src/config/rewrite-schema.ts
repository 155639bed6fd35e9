import { cookieDomain, urlPath } from "./domain-scalars.ts";
import { object, optional, required } from "./kit/object.ts";
import { scalar, text, Wrong } from "./kit/scalars.ts";
import type { Infer, Schema } from "./kit/schema.ts";
import { quote } from "./kit/tree.ts";

/** A Host as it is sent: a name or an address, and a port where there is one. */
const hostAndPort: Schema<string> = scalar({
  what: "a host such as shop.internal or shop.internal:8080",
  parse(written) {
    return /^(?:[A-Za-z0-9_~.-]{1,253}|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(written)
      ? written
      : new Wrong(`${quote(written)} is not a host such as shop.internal or shop.internal:8080`);
  },
  json: { type: "string", pattern: "^(?:[A-Za-z0-9_~.-]{1,253}|\\[[0-9A-Fa-f:.]+\\])(?::\\d{1,5})?$" },
});

const regex = object(
  {
    pattern: required(
      "A pattern (RE2 syntax, linear time); its first match in the path is replaced.",
      text({ minLength: 1 }),
    ),
    replacement: required(
      "What takes its place; $1 to $9 stand for the pattern's groups, $$ for a dollar sign.",
      text(),
    ),
  },
  { what: "a rewrite by pattern" },
);

/** What becomes of a request's address on its way upstream. */
export const rewriteSchema = object(
  {
    prefix: optional("What stands in place of the prefix that the route matched.", urlPath),
    path: optional("The whole path.", urlPath),
    regex: optional("Another path by a pattern.", regex),
    host: optional("The Host that the upstream gets; `upstream`: the endpoint's own name.", hostAndPort),
    cookieDomain: optional("In place of the Domain of the upstream's cookies; `none` takes it out.", cookieDomain),
  },
  { what: "a rewrite", atLeastOneOf: ["prefix", "path", "regex", "host", "cookieDomain"] },
);

export type RewriteConfig = Infer<typeof rewriteSchema>;
