import { corsResponseFields } from "../../http/header-names.ts";
import { type PathParameters, routedPath } from "../../http/path.ts";
import type { PathMatch, RouteMatch } from "../../route/route-spec.ts";
import type { CompileContext, KnownAttributes } from "../compile-context.ts";
import type { RouteSpec } from "../compiled-config.ts";
import { compilePattern, warnOfShortLimit } from "../pattern.ts";
import { headerName, hostPattern, methodName, queryName, resourceName, unreadable, urlPath } from "../scalars.ts";
import { type Entry, list, mapOf } from "../schema-kit/collections.ts";
import { defaulted, object, optional, required } from "../schema-kit/object.ts";
import { oneOf, size, text } from "../schema-kit/scalars.ts";
import type { Infer, ParseContext } from "../schema-kit/schema.ts";
import { quote } from "../schema-kit/tree.ts";
import { compileCors, corsSchema } from "./cors.ts";
import { compileFault, faultSchema } from "./fault.ts";
import { compileMessageEdits, headerEditsSchema } from "./header-edits.ts";
import { compileTest, type TestConfig, textTestSchema } from "./operators.ts";
import { compileRateLimit, rateLimitSchema } from "./rate-limit.ts";
import { compileRedirect, redirectSchema } from "./redirect.ts";
import { compileRewrite, rewriteSchema } from "./rewrite.ts";
import { timeout } from "./service.ts";

const path = object(
  {
    exact: optional("The exact path.", urlPath),
    prefix: optional("A prefix of whole segments: /api matches /api and /api/x, but not /apix.", urlPath),
    regex: optional("A pattern (RE2 syntax, linear time) that matches anywhere in the path.", text({ minLength: 1 })),
  },
  { what: "a path", exactlyOneOf: ["exact", "prefix", "regex"] },
);

const match = object(
  {
    listeners: optional(
      "The listener that accepted the request: one of these names.",
      list(resourceName, { of: "listeners", min: 1 }),
    ),
    hosts: optional(
      "One of these hosts; *.example.com matches any subdomain.",
      list(hostPattern, { of: "hosts", min: 1 }),
    ),
    scheme: optional("The scheme of the client's request.", oneOf(["http", "https"])),
    path: optional("A condition on the path.", path),
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
    responseHeaders: optional("Time from the end of the request to the response headers.", timeout),
    idle: optional("Maximum gap between two chunks of a body, in either direction.", timeout),
    total: optional("Time from the first byte of the request to the last byte of the response.", timeout),
  },
  { what: "a route's timeouts", atLeastOneOf: ["responseHeaders", "idle", "total"] },
);

export const routeSchema = object(
  {
    name: required("The route's name, used in metrics and logs.", resourceName, unreadable),
    match: defaulted(
      "The requests that the route matches: all conditions must hold. Default: every request.",
      match,
      {},
    ),
    service: optional("The service that requests are forwarded to.", resourceName),
    requestHeaders: optional("Edits of the request headers.", headerEditsSchema),
    responseHeaders: optional("Edits of the response headers.", headerEditsSchema),
    rewrite: optional("Rewrites the path, the Host header, and the Domain of cookies.", rewriteSchema),
    timeouts: optional("Override the service's timeouts.", timeouts),
    maxBodySize: optional(
      "The maximum request body; overrides limits.body. 0 means no limit.",
      size({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    ),
    rateLimit: optional("Limits the request rate of each client.", rateLimitSchema),
    cors: optional("Answers CORS preflights and says which pages of other origins may use the route.", corsSchema),
    fault: optional("Fault injection: delays or aborts requests, for tests.", faultSchema),
    redirect: optional("Replies with a redirect instead of forwarding.", redirectSchema),
    release: optional(
      "The release that decides the version. Default: none, so the service's default version serves.",
      resourceName,
    ),
    pathNormalisation: optional(
      "Whether the path is forwarded in normal form, or as the client wrote it. It is matched as the top-level pathNormalisation says. Default: as there.",
      oneOf(["on", "off"], { true: "on", false: "off" }),
    ),
    sharedCache: defaulted(
      "private: with a release, responses become Cache-Control: private, so that no shared cache serves one version to everyone; keep: the upstream's caching fields stay, for assets with a content hash in their names.",
      oneOf(["private", "keep"]),
      "private",
    ),
    mirror: defaulted(
      "off: requests of this route are not mirrored, whatever its release says.",
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

/** The route label in metrics of requests without a route. */
const noRoute = "none";

/** Settings and names that routes refer to. The sets are undefined if a section could not be read. */
export interface RouteScope {
  readonly pathNormalisation: "on" | "off";
  readonly pathParameters: PathParameters;
  readonly attributes: KnownAttributes;
  readonly listeners: ReadonlySet<string> | undefined;
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
    const { name, service = unreadable, release, mirror, redirect, sharedCache } = config;
    const { pathNormalisation = scope.pathNormalisation } = config;
    if (name === noRoute) {
      parsing.error(
        parsing.spanOf(config, "name"),
        "bad-value",
        `a route cannot be named ${quote(noRoute)}: metrics use it for requests without a route`,
      );
    }
    if (seen.has(name) && name !== unreadable) {
      const message = `another route is already named ${quote(name)}`;
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
      pathNormalisation,
      sharedCache,
      timeouts: compileTimeouts(config.timeouts),
      bodyBytes: config.maxBodySize,
      rateLimit: config.rateLimit && compileRateLimit(config.rateLimit, scope.attributes, context),
      fault: config.fault && compileFault(config.fault, scope.attributes, context),
      cors: config.cors && compileCors(config.cors, match, parsing),
    };
    if (config.cors !== undefined) refuseCorsEdits(config, parsing);
    if (config.fault !== undefined) {
      const message = `route ${quote(name)} injects faults`;
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

/** `cors` replaces these fields after the edits. */
function refuseCorsEdits({ responseHeaders }: RouteConfig, parsing: ParseContext): void {
  for (const entry of [...(responseHeaders?.set ?? []), ...(responseHeaders?.add ?? [])]) {
    if (!corsResponseFields.includes(entry.name)) continue;
    parsing.error(parsing.keySpanOf(entry), "conflicting-keys", `cors sets the header ${quote(entry.name)}`);
  }
}

/** Settings for forwarded requests have no effect on a redirect. */
function refuseBesideRedirect(config: RouteConfig, parsing: ParseContext): void {
  for (const key of forwardingKeys) {
    if (!parsing.has(config, key)) continue;
    const message = `${quote(key)} cannot be combined with a redirect, which forwards nothing`;
    parsing.error(parsing.keySpanOf(config, key), "conflicting-keys", message);
  }
}

const forwardingKeys = [
  "release",
  "mirror",
  "requestHeaders",
  "responseHeaders",
  "rewrite",
  "pathNormalisation",
  "sharedCache",
  "timeouts",
  "maxBodySize",
  "fault",
] as const satisfies readonly (keyof RouteConfig)[];

function compileMatch(match: MatchConfig, scope: RouteScope, context: CompileContext): RouteMatch {
  const { parsing } = context;
  return {
    listeners: compileListeners(match, scope, parsing),
    hosts: [...new Set(match.hosts)],
    scheme: match.scheme,
    path: match.path === undefined ? undefined : compilePath(match.path, scope, context),
    methods: [...new Set(match.methods)],
    headers: (match.headers ?? []).flatMap((entry) => compileEntry("header", entry, context)),
    query: (match.query ?? []).flatMap((entry) => compileEntry("query parameter", entry, context)),
  };
}

function compileListeners(match: MatchConfig, { listeners }: RouteScope, parsing: ParseContext): readonly string[] {
  for (const [at, name] of (match.listeners ?? []).entries()) {
    if (listeners?.has(name) === false && name !== unreadable) {
      parsing.unknownName(parsing.spanOf(match, "listeners", at), "listener", name, listeners);
    }
  }
  return [...new Set(match.listeners)];
}

function compileEntry(kind: string, entry: Entry<TestConfig>, context: CompileContext): RouteMatch["headers"] {
  const subject = { what: `the ${kind} ${quote(entry.name)}`, type: "string" } as const;
  const locate = (...steps: (string | number)[]) => context.parsing.spanOf(entry, ...steps);
  return compileTest(entry.value, subject, locate, context).map((test) => ({ name: entry.name, test }));
}

function compilePath(
  path: Exclude<MatchConfig["path"], undefined>,
  { pathNormalisation, pathParameters }: RouteScope,
  { parsing }: CompileContext,
): PathMatch | undefined {
  for (const kind of ["exact", "prefix"] as const) {
    const written = path[kind];
    if (written === undefined) continue;
    // Requests are matched in normal form and without stripped parameters, so another form would never match.
    const parameters = pathParameters === "strip" ? "refuse" : pathParameters;
    const normal = routedPath(written, { pathNormalisation, pathParameters: parameters });
    if (normal !== undefined) return { kind, path: normal };
    const message = `${quote(written)} is not a valid path: requests with it are rejected`;
    parsing.error(parsing.spanOf(path, kind), "bad-value", message);
    return undefined;
  }
  const source = path.regex ?? "";
  const pattern = compilePattern(source);
  if (!("problem" in pattern)) {
    warnOfShortLimit(pattern, "text", parsing.spanOf(path, "regex"), parsing);
    return { kind: "regex", pattern };
  }
  const message = `${quote(source)} is not a valid regular expression: ${pattern.problem}`;
  parsing.error(parsing.spanOf(path, "regex"), "bad-regex", message);
  return undefined;
}
