import type { PathMatch, RedirectSpec } from "../../route/route-spec.ts";
import { hostText, urlPath } from "../scalars.ts";
import { object, optional } from "../schema-kit/object.ts";
import { number, oneOf, ParseError, scalar } from "../schema-kit/scalars.ts";
import type { Infer, ParseContext, Schema } from "../schema-kit/schema.ts";
import { quote } from "../schema-kit/tree.ts";
import { compilePathChange } from "./rewrite.ts";

const statuses = [301, 302, 303, 307, 308] as const;

const status: Schema<(typeof statuses)[number]> = scalar({
  what: "a redirect's status",
  parse(written) {
    const found = statuses.find((one) => String(one) === written);
    return found ?? new ParseError(`expected ${statuses.slice(0, -1).join(", ")} or 308, found ${quote(written)}`);
  },
  json: { enum: statuses },
});

/** A redirect. Omitted parts stay as in the request; the query always does. */
export const redirectSchema = object(
  {
    scheme: optional("http or https. A changed scheme implies its default port.", oneOf(["http", "https"])),
    host: optional("The new host.", hostText),
    port: optional("The new port.", number({ what: "a port", min: 1, max: 65_535, integer: true })),
    path: optional("The new path.", urlPath),
    prefix: optional("The replacement of the prefix that the route matches.", urlPath),
    status: optional("301, 302, 303, 307 or 308. Default: 302.", status),
  },
  { what: "a redirect", atLeastOneOf: ["scheme", "host", "port", "path", "prefix"] },
);

export type RedirectConfig = Infer<typeof redirectSchema>;

/** `path` is the route's match. */
export function compileRedirect(
  config: RedirectConfig,
  path: PathMatch | undefined,
  parsing: ParseContext,
): RedirectSpec {
  return {
    status: config.status ?? 302,
    scheme: config.scheme,
    host: config.host,
    port: config.port,
    path: compilePathChange(config, "a redirect", path, parsing),
  };
}
