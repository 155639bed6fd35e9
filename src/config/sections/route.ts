import { normalPath } from "../../http/path.ts";
import type { PathMatch, RouteMatch } from "../../route/route-spec.ts";
import type { CompileContext, KnownAttributes } from "../compile-context.ts";
import type { RouteSpec } from "../compiled-config.ts";
import { compilePattern } from "../pattern.ts";
import { headerName, hostPattern, methodName, queryName, resourceName, unreadable, urlPath } from "../scalars.ts";
import { type Entry, list, mapOf } from "../schema-kit/collections.ts";
import { defaulted, object, optional, required } from "../schema-kit/object.ts";
import { oneOf, size, text } from "../schema-kit/scalars.ts";
import type { Infer, ParseContext } from "../schema-kit/schema.ts";
import { quote } from "../schema-kit/tree.ts";
import { compileFault, faultSchema } from "./fault.ts";
import { compileMessageEdits, headerEditsSchema } from "./header-edits.ts";
import { compileTest, type TestConfig, textTestSchema } from "./operators.ts";
import { compileRateLimit, rateLimitSchema } from "./rate-limit.ts";
import { compileRedirect, redirectSchema } from "./redirect.ts";
import { compileRewrite, rewriteSchema } from "./rewrite.ts";
import { timeout } from "./service.ts";

const path = object(
  {
    exact: optional("The whole path.", urlPath),
    prefix: optional("Whole segments from the path's start: /api takes /api and /api/x, never /apix.", urlPath),
    regex: optional("A pattern (RE2 syntax, linear time) that is found anywhere in the path.", text({ minLength: 1 })),
  },
  { what: "a path", exactlyOneOf: ["exact", "prefix", "regex"] },
);

const match = object(
  {
    hosts: optional("One of these hosts; *.example.com takes any below.", list(hostPattern, { of: "hosts", min: 1 })),
    scheme: optional("How the client came: http or https.", oneOf(["http", "https"])),
    path: optional("The path.", path),
    methods: optional("One of these methods.", list(methodName, { of: "methods", min: 1 })),
    headers: optional(
      "Tests on request headers, by name.",
      mapOf(headerName, textTestSchema, { of: "headers", min: 1 }),
    ),
    query: optional(
      "Tests on query parameters, by name.",
      mapOf(queryName, textTestSchema, { of: "parameters", min: 1 }),
    ),
  },
  { what: "a match" },
);

const timeouts = object(
  {
    responseHeaders: optional("From the end of the request to the response's head.", timeout),
    idle: optional("Between two pieces of a body, either way.", timeout),
    total: optional("For the whole request, from its first byte to the answer's last.", timeout),
  },
  { what: "a route's timeouts", atLeastOneOf: ["responseHeaders", "idle", "total"] },
);

/** Which requests go to which service, or elsewhere, and what is done to them on the way. */
export const routeSchema = object(
  {
    name: required("The route's name, as metrics and logs call it.", resourceName, unreadable),
    match: defaulted("Which requests the route takes: all of these must hold. Default: every request.", match, {}),
    service: optional("The service that answers.", resourceName),
    requestHeaders: optional("What is done to the header of requests.", headerEditsSchema),
    responseHeaders: optional("What is done to the header of responses.", headerEditsSchema),
    rewrite: optional("What becomes of a request's address on its way upstream.", rewriteSchema),
    timeouts: optional("In place of the service's own.", timeouts),
    maxBodySize: optional(
      "The largest request body, in place of limits.body; 0 for no limit.",
      size({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    ),
    rateLimit: optional("How many requests of one requester are taken.", rateLimitSchema),
    fault: optional("What is done wrong on purpose, to see how others bear it.", faultSchema),
    redirect: optional("Where clients are sent, by Perch itself; no service answers.", redirectSchema),
    release: optional(
      "The release that decides which version answers. Default: none, so the service's default does.",
      resourceName,
    ),
    mirror: defaulted(
      "off: the route's requests are never copied, whatever its release says.",
      oneOf(["on", "off"], { true: "on", false: "off" }),
      "on",
    ),
  },
  {
    what: "a route",
    exactlyOneOf: ["service", "redirect"],
    later: ["retries"],
  },
);

export type RouteConfig = Infer<typeof routeSchema>;
export type MatchConfig = RouteConfig["match"];

/** What metrics call requests that no route took. */
const noRoute = "none";

/** What routes depend on: the names that they may refer to, undefined where they can not be told, and settings. */
export interface RouteScope {
  readonly pathNormalisation: "on" | "off";
  readonly attributes: KnownAttributes;
  readonly services: ReadonlySet<string> | undefined;
  readonly releases: ReadonlySet<string> | undefined;
}

export function compileRoutes(
  configs: readonly RouteConfig[],
  scope: RouteScope,
  context: CompileContext,
): readonly RouteSpec[] {
  const { parsing } = context;
  const seen = new Set<string>();
  return configs.map((config) => {
    const { name, service = unreadable, release, mirror, redirect } = config;
    if (name === noRoute) {
      parsing.error(
        parsing.spanOf(config, "name"),
        "bad-value",
        `a route may not be called ${quote(noRoute)}: metrics use it`,
      );
    }
    if (seen.has(name) && name !== unreadable) {
      const message = `another route is called ${quote(name)} already`;
      parsing.error(parsing.spanOf(config, "name"), "duplicate-name", message);
    }
    seen.add(name);
    if (scope.services?.has(service) === false && service !== unreadable) {
      parsing.unknownName(parsing.spanOf(config, "service"), "service", service, scope.services);
    }
    if (release !== undefined && scope.releases?.has(release) === false) {
      parsing.unknownName(parsing.spanOf(config, "release"), "release", release, scope.releases);
    }
    const match = compileMatch(config.match, scope, context);
    const headers = compileMessageEdits(config, scope.attributes, parsing);
    const rewrite = config.rewrite && compileRewrite(config.rewrite, match.path, parsing);
    const common = {
      name,
      match,
      headers,
      rewrite,
      timeouts: compileTimeouts(config.timeouts),
      bodyBytes: config.maxBodySize,
      rateLimit: config.rateLimit && compileRateLimit(config.rateLimit, scope.attributes, parsing),
      fault: config.fault && compileFault(config.fault, scope.attributes, context),
    };
    if (config.fault !== undefined) {
      const message = `route ${quote(name)} breaks requests on purpose`;
      parsing.warn(parsing.keySpanOf(config, "fault"), "risky", message);
    }
    if (redirect === undefined) return { ...common, redirect, service, release, mirror };
    refuseBesideRedirect(config, parsing);
    const compiled = compileRedirect(redirect, match.path, parsing);
    return { ...common, redirect: compiled, service: undefined, release: undefined, mirror: "off" };
  });
}

function compileTimeouts(config: RouteConfig["timeouts"]): RouteSpec["timeouts"] {
  const { responseHeaders, idle, total } = config ?? {};
  return {
    ...(responseHeaders !== undefined && { responseHeadersMs: responseHeaders }),
    ...(idle !== undefined && { idleMs: idle }),
    ...(total !== undefined && { totalMs: total }),
  };
}

/** What is done to requests and responses on their way has no meaning where nothing is forwarded. */
function refuseBesideRedirect(config: RouteConfig, parsing: ParseContext): void {
  for (const key of forwardingKeys) {
    if (!parsing.has(config, key)) continue;
    const message = `${quote(key)} has no use beside a redirect, which Perch answers itself`;
    parsing.error(parsing.keySpanOf(config, key), "conflicting-keys", message);
  }
}

const forwardingKeys = [
  "release",
  "mirror",
  "requestHeaders",
  "responseHeaders",
  "rewrite",
  "timeouts",
  "maxBodySize",
  "fault",
] as const satisfies readonly (keyof RouteConfig)[];

function compileMatch(match: MatchConfig, scope: RouteScope, context: CompileContext): RouteMatch {
  return {
    hosts: [...new Set(match.hosts)],
    scheme: match.scheme,
    path: match.path === undefined ? undefined : compilePath(match.path, scope, context),
    methods: [...new Set(match.methods)],
    headers: (match.headers ?? []).flatMap((entry) => compileEntry("header", entry, context)),
    query: (match.query ?? []).flatMap((entry) => compileEntry("query parameter", entry, context)),
  };
}

function compileEntry(kind: string, entry: Entry<TestConfig>, context: CompileContext): RouteMatch["headers"] {
  const subject = { what: `the ${kind} ${quote(entry.name)}`, type: "string" } as const;
  const locate = (...steps: (string | number)[]) => context.parsing.spanOf(entry, ...steps);
  return compileTest(entry.value, subject, locate, context).map((test) => ({ name: entry.name, test }));
}

function compilePath(
  path: Exclude<MatchConfig["path"], undefined>,
  { pathNormalisation }: RouteScope,
  { parsing }: CompileContext,
): PathMatch | undefined {
  for (const kind of ["exact", "prefix"] as const) {
    const written = path[kind];
    if (written === undefined) continue;
    // Requests are matched in this form, so that a path in another one would match nothing.
    const normal = pathNormalisation === "on" ? normalPath(written) : written;
    if (normal !== undefined) return { kind, path: normal };
    const message = `${quote(written)} is a path that no request is let through with`;
    parsing.error(parsing.spanOf(path, kind), "bad-value", message);
    return undefined;
  }
  const source = path.regex ?? "";
  const pattern = compilePattern(source);
  if (!("problem" in pattern)) return { kind: "regex", pattern };
  const message = `${quote(source)} is not a regular expression that can be used: ${pattern.problem}`;
  parsing.error(parsing.spanOf(path, "regex"), "bad-regex", message);
  return undefined;
}
