import type { PathParameters } from "../http/path.ts";
import { type CompileContext, KnownAttributes } from "./compile-context.ts";
import { type CompiledConfig, deepFreeze } from "./compiled-config.ts";
import { warnOfCookieScope } from "./cookie-scope.ts";
import { ReleaseServices } from "./release-services.ts";
import { warnOfRollouts } from "./rollout-warnings.ts";
import { warnRulesOutsideRoutes } from "./rule-warnings.ts";
import type { Config } from "./schema.ts";
import type { Entry } from "./schema-kit/collections.ts";
import { formatDuration } from "./schema-kit/scalars.ts";
import type { ParseContext } from "./schema-kit/schema.ts";
import { compileAdmin } from "./sections/admin.ts";
import { compileAttribute } from "./sections/attributes.ts";
import { checkTemplate, compileRelease } from "./sections/compile-release.ts";
import { compileGeo } from "./sections/geo.ts";
import { compileVersionEdits } from "./sections/header-edits.ts";
import { ClaimPaths, compileJwt } from "./sections/jwt.ts";
import { compileGateway } from "./sections/kubernetes.ts";
import { compileLimits } from "./sections/limits.ts";
import { checkListeners, compileListener } from "./sections/listener.ts";
import { compileMirror } from "./sections/mirror.ts";
import { checkPropagationHeaders } from "./sections/propagation.ts";
import type { ReleaseConfig } from "./sections/release.ts";
import { compileRoutes, type RouteScope } from "./sections/route.ts";
import { compileService } from "./sections/service.ts";
import { compileSharedState } from "./sections/state.ts";
import { checkCookieNames } from "./sections/sticky.ts";
import { compileTracing } from "./sections/tracing.ts";
import { warnOfSharedCacheEdits } from "./shared-cache-warnings.ts";
import {
  warnMisreadMatches,
  warnOpenProxies,
  warnRedirectLoops,
  warnShortTotals,
  warnUnreachableRoutes,
  warnUnused,
} from "./warnings.ts";

/**
 * Compiles a configuration to the types that the proxy uses, and checks what needs the whole file: references,
 * operands, reachability. Problems are reported to the parse context. The result may be used only if none of them is an
 * error. `templates`: releases for routes of the Gateway API, which are checked only.
 */
export function compileConfig(
  config: Config,
  context: CompileContext,
  templates: readonly Entry<ReleaseConfig>[] = [],
): CompiledConfig {
  const { parsing } = context;
  // After a parse error parts are missing, so something may wrongly seem unused or unreachable.
  const isComplete = !parsing.problems.failed;
  const proxiesKnown = !isComplete || config.trustedProxies.length > 0;
  // The order matters: attributes collect the claims that jwt needs, and conditions mark attributes as used.
  const claims = new ClaimPaths();
  const jwtKnown = parsing.has(config, "jwt");
  const scope = { proxiesKnown, jwtKnown, geoKnown: parsing.has(config, "geo"), claims, parsing };
  const attributes = config.attributes.map((entry) => compileAttribute(entry, scope));
  const jwt = compileJwt(config, claims, context);
  const geo = compileGeo(config, context);
  const known = new KnownAttributes(parsing.namesIn(config, "attributes"), attributes);
  const services = config.services.map((entry) => compileService(entry, context));
  const routes = compileRoutes(config.routes, scopeOf(config, known, parsing), context);
  const versionEdits = compileVersionEdits(config.services, known, parsing);
  const pairings = new ReleaseServices(config, parsing);
  const releases = config.releases.map((entry) =>
    compileRelease(entry, pairings.of(entry.name), services, known, context),
  );
  for (const template of templates) checkTemplate(template, known, context);
  const mirrors = config.releases.flatMap((entry) => compileMirror(entry, pairings.of(entry.name), parsing));
  checkCookieNames(config.releases, config.attributes, parsing);
  checkPropagationHeaders(config.releases, parsing);
  checkListeners(config, parsing);
  checkDns(config, parsing);
  checkRoutes(config, parsing);
  warnOfRandomSecrets(config, parsing);
  if (isComplete) {
    warnUnreachableRoutes(config.routes, routes, parsing);
    warnMisreadMatches(config.routes, routes, parsing);
    warnShortTotals(config, parsing);
    warnRulesOutsideRoutes(config, releases, parsing);
    warnOpenProxies(config, parsing);
    warnRedirectLoops(config.routes, routes, parsing);
    warnUnused(config, known, parsing);
    warnOfRollouts(config, releases, context);
    warnOfCookieScope(config.releases, config.routes, parsing);
    warnOfSharedCacheEdits(config, parsing);
  }
  return deepFreeze({
    listeners: config.listeners.map((listener) => compileListener(listener, context)),
    gateway: config.kubernetes?.gateway && compileGateway(config.kubernetes.gateway, config.listeners, context),
    admin: config.admin.address,
    adminAccess: compileAdmin(config.admin, context),
    workers: config.workers,
    stateFile: config.state?.file === undefined ? undefined : context.files.pathOf(config.state.file),
    sharedState: compileSharedState(config.state, config.admin.tokenFile !== undefined, parsing),
    trustedProxies: config.trustedProxies.filter((range) => range !== "unix"),
    trustUnixSockets: config.trustedProxies.includes("unix"),
    exposeVersion: config.exposeVersion,
    pathNormalisation: config.pathNormalisation,
    pathParameters: pathParametersOf(config),
    fastLane: config.fastLane,
    accessLog: { sample: config.accessLog.sample },
    tracing: compileTracing(config.tracing, context),
    limits: compileLimits(config.limits),
    dns: { servers: config.dns.servers, minTtlMs: config.dns.minTtl, maxTtlMs: config.dns.maxTtl },
    attributes,
    jwt,
    geo,
    services,
    releases,
    mirrors,
    routes,
    versionEdits,
    unsignedReleases: config.releases.filter(({ value }) => !hasSecret(value)).map(({ name }) => name),
    files: context.files.paths(),
  });
}

/** Without normalisation, paths are left alone unless the file says otherwise. */
const pathParametersOf = ({ pathNormalisation, pathParameters }: Config): PathParameters =>
  pathParameters ?? (pathNormalisation === "on" ? "refuse-leading" : "keep");

const scopeOf = (config: Config, attributes: KnownAttributes, parsing: ParseContext): RouteScope => ({
  attributes,
  pathNormalisation: config.pathNormalisation,
  pathParameters: pathParametersOf(config),
  listeners: new Set(config.listeners.map(({ name }) => name)),
  services: parsing.namesIn(config, "services"),
  releases: parsing.namesIn(config, "releases"),
});

/** Routes of Gateways come and go while Perch runs. */
function checkRoutes({ routes, kubernetes }: Config, parsing: ParseContext): void {
  if (routes.length > 0 || parsing.lacksParts(routes) || kubernetes?.gateway !== undefined) return;
  const span = parsing.spanOf(routes);
  // What stands in for a list that could not be read has no place in the file.
  const suggestion = "add a route, or kubernetes: { gateway: {} } for routes of the Gateway API";
  if (span.start > 0) parsing.error(span, "bad-value", "the list of routes is empty", suggestion);
}

function checkDns({ dns }: Config, parsing: ParseContext): void {
  if (dns.minTtl <= dns.maxTtl) return;
  const message = `minTtl (${formatDuration(dns.minTtl)}) is above maxTtl (${formatDuration(dns.maxTtl)})`;
  parsing.error(parsing.spanOf(dns, "minTtl"), "conflicting-keys", message);
}

function warnOfRandomSecrets(config: Config, parsing: ParseContext): void {
  for (const entry of config.releases) {
    if (hasSecret(entry.value)) continue;
    const message = `release ${entry.name} has no secretFile: its pins are signed with a random secret, which works for one instance and is lost on restart`;
    parsing.warn(parsing.keySpanOf(entry), "risky", message, "set sticky.cookie.secretFile");
  }
}

const hasSecret = (release: Config["releases"][number]["value"]): boolean =>
  release.sticky.cookie.secretFile !== undefined;
