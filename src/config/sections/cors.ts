import { defaultPorts } from "../../http/authority.ts";
import type { CorsSpec, OriginSpec, RouteMatch } from "../../route/route-spec.ts";
import { headerName, methodName, wordOr } from "../scalars.ts";
import { list } from "../schema-kit/collections.ts";
import { defaulted, object, required } from "../schema-kit/object.ts";
import { boolean, duration, ParseError, scalar } from "../schema-kit/scalars.ts";
import type { Infer, ParseContext, Schema } from "../schema-kit/schema.ts";
import { quote } from "../schema-kit/tree.ts";

const dayMs = 86_400_000;

const origin: Schema<OriginSpec | "*"> = scalar({
  what: "an origin such as https://app.example.com, https://*.example.com, * or null",
  parse: (written) => (written === "*" ? written : parseOrigin(written)),
  json: { type: "string", pattern: "^(?:\\*|null|[A-Za-z][A-Za-z0-9+.-]*://[^/?#@]+)$" },
});

const originText = /^([a-z][a-z0-9+.-]*):\/\/(\*|\*\.[^:/?#@*[\]]+|[^:/?#@*[\]]+|\[[^\]]+\])(?::(\d{1,5}))?$/;

/** Browsers send an origin in lower case and without the default port of its scheme (RFC 6454 §6.1). */
function parseOrigin(written: string): OriginSpec | ParseError {
  if (written === "null") return { kind: "exact", origin: "null" };
  const wrong = (hint?: string): ParseError =>
    new ParseError(`${quote(written)} is not an origin such as https://app.example.com`, hint);
  const [, scheme = "", host = "", port] = originText.exec(written.toLowerCase()) ?? [];
  if (scheme === "") return wrong(hintFor(written));
  if (port !== undefined && (Number(port) === 0 || Number(port) > 65_535)) return wrong();
  if (/[^!-~]/.test(host)) return wrong("write the host in punycode (xn--…)");
  const shownPort =
    port === undefined || (isHttp(scheme) && Number(port) === defaultPorts[scheme]) ? "" : `:${Number(port)}`;
  if (!host.startsWith("*")) return { kind: "exact", origin: `${scheme}://${host}${shownPort}` };
  return { kind: "below", start: `${scheme}://`, end: `${host.slice(1)}${shownPort}` };
}

const isHttp = (scheme: string): scheme is keyof typeof defaultPorts => Object.hasOwn(defaultPorts, scheme);

function hintFor(written: string): string | undefined {
  if (!written.includes("://")) return `begin with the scheme, as in https://${written}`;
  if (/:\/\/[^/]+\/$/.test(written)) return "remove the slash at the end";
  return written.includes("*") ? "* stands for a whole host, or for the labels in front of .example.com" : undefined;
}

/** Which pages of other origins may use a route: Fetch §3.3, with the keys of Gateway API's HTTPCORSFilter (GEP-1767). */
export const corsSchema = object(
  {
    allowOrigins: required(
      "Origins whose pages may read responses: https://app.example.com, https://*.example.com (any host below), * or null.",
      list(origin, { of: "origins", min: 1 }),
      [],
    ),
    allowMethods: defaulted(
      "Methods besides GET, HEAD and POST that pages may use; * for all.",
      list(wordOr("*", methodName), { of: "methods" }),
      [],
    ),
    allowHeaders: defaulted(
      "Request headers that pages may set; * for all but authorization.",
      list(wordOr("*", headerName), { of: "headers" }),
      [],
    ),
    exposeHeaders: defaulted(
      "Response headers that pages may read; * for all.",
      list(wordOr("*", headerName), { of: "headers" }),
      [],
    ),
    allowCredentials: defaulted("Whether pages may send cookies and read what they get for them.", boolean(), false),
    maxAge: defaulted("How long browsers may remember a preflight.", duration({ minMs: 0, maxMs: dayMs }), "5s"),
  },
  { what: "cors" },
);

export type CorsConfig = Infer<typeof corsSchema>;

export function compileCors(config: CorsConfig, { methods }: RouteMatch, parsing: ParseContext): CorsSpec {
  const { allowOrigins, exposeHeaders, allowCredentials } = config;
  const anyOrigin = allowOrigins.includes("*");
  const nullAt = allowOrigins.findIndex((one) => one !== "*" && one.kind === "exact" && one.origin === "null");
  if (anyOrigin && allowCredentials) {
    const message = "with allowCredentials every website can read what this route answers to its visitors' cookies";
    parsing.warn(
      parsing.spanOf(config, "allowOrigins", allowOrigins.indexOf("*")),
      "risky",
      message,
      "list the origins",
    );
  }
  if (nullAt >= 0 && allowCredentials) {
    const message =
      "every website can make a frame whose origin is null, and so read what this route answers to cookies";
    parsing.warn(parsing.spanOf(config, "allowOrigins", nullAt), "risky", message);
  }
  if (allowCredentials && exposeHeaders.includes("*")) {
    const message = "browsers take * for a header's name where allowCredentials is true";
    const span = parsing.spanOf(config, "exposeHeaders", exposeHeaders.indexOf("*"));
    parsing.error(span, "conflicting-keys", message, "list the headers");
  }
  if (methods.length > 0 && !methods.includes("OPTIONS")) {
    const message = `preflights do not reach this cors: the route matches ${methods.join(", ")} only, and they are OPTIONS`;
    parsing.warn(parsing.spanOf(config), "risky", message, "add OPTIONS to match.methods");
  }
  return {
    anyOrigin,
    origins: allowOrigins.filter((one) => one !== "*"),
    methods: config.allowMethods,
    headers: config.allowHeaders,
    exposedHeaders: exposeHeaders,
    credentials: allowCredentials,
    maxAgeSeconds: Math.floor(config.maxAge / 1000),
  };
}
