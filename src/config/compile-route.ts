import { normalPath } from "../identify/normal-path.ts";
import type { PathMatch, RouteMatch } from "../route/route-match.ts";
import type { CompileContext } from "./compile-context.ts";
import { compileFault } from "./compile-fault.ts";
import { compileMessageEdits } from "./compile-header-edits.ts";
import { compileRateLimit } from "./compile-rate-limit.ts";
import { compileRedirect } from "./compile-redirect.ts";
import { compileRewrite } from "./compile-rewrite.ts";
import { compileTest } from "./compile-test.ts";
import type { RouteSpec } from "./compiled-config.ts";
import type { TestConfig } from "./condition-schema.ts";
import { unreadable } from "./domain-scalars.ts";
import type { Entry } from "./kit/collections.ts";
import type { Reading } from "./kit/schema.ts";
import { quote } from "./kit/tree.ts";
import type { KnownAttributes } from "./known-attributes.ts";
import { compilePattern } from "./pattern.ts";
import type { MatchConfig, RouteConfig } from "./route-schema.ts";

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
  const { reading } = context;
  const seen = new Set<string>();
  return configs.map((config) => {
    const { name, service = unreadable, release, mirror, redirect } = config;
    if (name === noRoute) {
      reading.error(
        reading.spanOf(config, "name"),
        "bad-value",
        `a route may not be called ${quote(noRoute)}: metrics use it`,
      );
    }
    if (seen.has(name) && name !== unreadable) {
      const message = `another route is called ${quote(name)} already`;
      reading.error(reading.spanOf(config, "name"), "duplicate-name", message);
    }
    seen.add(name);
    if (scope.services?.has(service) === false && service !== unreadable) {
      reading.unknownName(reading.spanOf(config, "service"), "service", service, scope.services);
    }
    if (release !== undefined && scope.releases?.has(release) === false) {
      reading.unknownName(reading.spanOf(config, "release"), "release", release, scope.releases);
    }
    const match = compileMatch(config.match, scope, context);
    const headers = compileMessageEdits(config, scope.attributes, reading);
    const rewrite = config.rewrite && compileRewrite(config.rewrite, match.path, reading);
    const common = {
      name,
      match,
      headers,
      rewrite,
      timeouts: compileTimeouts(config.timeouts),
      bodyBytes: config.maxBodySize,
      rateLimit: config.rateLimit && compileRateLimit(config.rateLimit, scope.attributes, reading),
      fault: config.fault && compileFault(config.fault, scope.attributes, context),
    };
    if (config.fault !== undefined) {
      const message = `route ${quote(name)} breaks requests on purpose`;
      reading.warn(reading.keySpanOf(config, "fault"), "risky", message);
    }
    if (redirect === undefined) return { ...common, redirect, service, release, mirror };
    refuseBesideRedirect(config, reading);
    const compiled = compileRedirect(redirect, match.path, reading);
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
function refuseBesideRedirect(config: RouteConfig, reading: Reading): void {
  for (const key of forwardingKeys) {
    if (!reading.has(config, key)) continue;
    const message = `${quote(key)} has no use beside a redirect, which Perch answers itself`;
    reading.error(reading.keySpanOf(config, key), "conflicting-keys", message);
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
  const locate = (...steps: (string | number)[]) => context.reading.spanOf(entry, ...steps);
  return compileTest(entry.value, subject, locate, context).map((test) => ({ name: entry.name, test }));
}

function compilePath(
  path: Exclude<MatchConfig["path"], undefined>,
  { pathNormalisation }: RouteScope,
  { reading }: CompileContext,
): PathMatch | undefined {
  for (const kind of ["exact", "prefix"] as const) {
    const written = path[kind];
    if (written === undefined) continue;
    // Requests are matched in this form, so that a path in another one would match nothing.
    const normal = pathNormalisation === "on" ? normalPath(written) : written;
    if (normal !== undefined) return { kind, path: normal };
    const message = `${quote(written)} is a path that no request is let through with`;
    reading.error(reading.spanOf(path, kind), "bad-value", message);
    return undefined;
  }
  const source = path.regex ?? "";
  const pattern = compilePattern(source);
  if (!("problem" in pattern)) return { kind: "regex", pattern };
  const message = `${quote(source)} is not a regular expression that can be used: ${pattern.problem}`;
  reading.error(reading.spanOf(path, "regex"), "bad-regex", message);
  return undefined;
}
