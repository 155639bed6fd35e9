import { type CompileContext, KnownAttributes } from "./compile-context.ts";
import { type CompiledConfig, deepFreeze } from "./compiled-config.ts";
import { ReleaseServices } from "./release-services.ts";
import type { Config } from "./schema.ts";
import { formatDuration } from "./schema-kit/scalars.ts";
import type { ParseContext } from "./schema-kit/schema.ts";
import { compileAdmin } from "./sections/admin.ts";
import { compileAttribute } from "./sections/attributes.ts";
import { compileRelease } from "./sections/compile-release.ts";
import { compileGeo } from "./sections/geo.ts";
import { compileVersionEdits } from "./sections/header-edits.ts";
import { ClaimPaths, compileJwt } from "./sections/jwt.ts";
import { compileLimits } from "./sections/limits.ts";
import { checkListeners, compileListener } from "./sections/listener.ts";
import { compileMirror } from "./sections/mirror.ts";
import { checkPropagationHeaders } from "./sections/propagation.ts";
import { compileRoutes, type RouteScope } from "./sections/route.ts";
import { compileService } from "./sections/service.ts";
import { checkCookieNames } from "./sections/sticky.ts";
import { compileTracing } from "./sections/tracing.ts";
import { warnRedirectLoops, warnUnreachableRoutes, warnUnused } from "./warnings.ts";

/**
 * Compiles a configuration to the types of the stages, and checks what only the whole can tell: names, operands,
 * reachability. Problems are reported to the parse context; the result counts only if there was no error among them.
 */
export function compileConfig(config: Config, context: CompileContext): CompiledConfig {
  const { parsing } = context;
  // After an error in the reading parts are missing, and what seems unused or unreachable may not be.
  const whole = !parsing.problems.failed;
  const proxiesKnown = !whole || config.trustedProxies.length > 0;
  const claims = new ClaimPaths();
  const jwtKnown = parsing.has(config, "jwt");
  const scope = { proxiesKnown, jwtKnown, geoKnown: parsing.has(config, "geo"), claims, parsing };
  const attributes = config.attributes.map((entry) => compileAttribute(entry, scope));
  const jwt = compileJwt(config, claims, context);
  const geo = compileGeo(config, context);
  const table = new KnownAttributes(parsing.namesIn(config, "attributes"), attributes);
  const services = config.services.map((entry) => compileService(entry, context));
  const routes = compileRoutes(config.routes, scopeOf(config, table, parsing), context);
  const versionEdits = compileVersionEdits(config.services, table, parsing);
  const pairings = new ReleaseServices(config, parsing);
  const releases = config.releases.map((entry) => compileRelease(entry, pairings.of(entry.name), table, context));
  const mirrors = config.releases.flatMap((entry) => compileMirror(entry, pairings.of(entry.name), parsing));
  checkCookieNames(config.releases, config.attributes, parsing);
  checkPropagationHeaders(config.releases, parsing);
  checkListeners(config, parsing);
  checkDns(config, parsing);
  warnOfDeployment(config, parsing);
  if (whole) {
    warnUnreachableRoutes(config.routes, routes, parsing);
    warnRedirectLoops(config.routes, routes, parsing);
    warnUnused(config, table, parsing);
  }
  return deepFreeze({
    listeners: config.listeners.map((listener) => compileListener(listener, context)),
    admin: config.admin.address,
    adminAccess: compileAdmin(config.admin, context),
    workers: config.workers,
    trustedProxies: config.trustedProxies.filter((range) => range !== "unix"),
    trustUnixSockets: config.trustedProxies.includes("unix"),
    exposeVersion: config.exposeVersion,
    pathNormalisation: config.pathNormalisation,
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

function checkDns({ dns }: Config, parsing: ParseContext): void {
  if (dns.minTtl <= dns.maxTtl) return;
  const message = `minTtl is ${formatDuration(dns.minTtl)}, more than maxTtl, which is ${formatDuration(dns.maxTtl)}`;
  parsing.error(parsing.spanOf(dns, "minTtl"), "conflicting-keys", message);
}

const hasSecret = (release: Config["releases"][number]["value"]): boolean =>
  release.sticky.cookie.secretFile !== undefined;

const scopeOf = (config: Config, attributes: KnownAttributes, parsing: ParseContext): RouteScope => ({
  attributes,
  pathNormalisation: config.pathNormalisation,
  services: parsing.namesIn(config, "services"),
  releases: parsing.namesIn(config, "releases"),
});

/** What is valid, but seldom meant once real traffic comes. */
function warnOfDeployment(config: Config, parsing: ParseContext): void {
  for (const entry of config.releases) {
    if (hasSecret(entry.value)) continue;
    const message = `release ${entry.name} has no secretFile: its pins are signed with a random secret, which is right for one instance only and is lost with it`;
    parsing.warn(parsing.keySpanOf(entry), "risky", message, "name a file in sticky.cookie.secretFile");
  }
}
