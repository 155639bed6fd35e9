import { withoutTrailingSlash } from "../../decide/path-prefix.ts";
import { maxKeptSeconds } from "../../decide/pin.ts";
import type { CookieSpec, OverrideSpec, StickySpec } from "../../decide/release-spec.ts";
import { isFramingHeader } from "../../http/header-names.ts";
import { normalPath } from "../../http/path.ts";
import type { CompileContext, KnownAttributes } from "../compile-context.ts";
import type { Entry } from "../schema-kit/collections.ts";
import type { ParseContext } from "../schema-kit/schema.ts";
import { quote, type Span } from "../schema-kit/tree.ts";
import type { AttributeConfig } from "./attributes.ts";
import type { OverrideConfig, ReleaseConfig, StickyConfig } from "./release.ts";

/** An override's cookie has the Secure, Path and Domain of its release's pin. */
type CookieConfig = StickyConfig["cookie"];

export function compileSticky(
  release: string,
  sticky: StickyConfig,
  attributes: KnownAttributes,
  context: CompileContext,
): StickySpec {
  const { salt, whenWeightsChange, onWeightZero, epoch, assets, fetches } = sticky;
  const by = compileUnit(sticky, attributes, context);
  const assetPaths = compilePages(sticky, context);
  const cookie = compileCookie(release, sticky, context);
  return { by, salt, whenWeightsChange, onWeightZero, epoch, assets, fetches, assetPaths, cookie };
}

/** Returns the asset paths in normal form, as requests are matched. */
function compilePages(sticky: StickyConfig, { parsing }: CompileContext): string[] {
  const needing = [
    ...(sticky.fetches === "follow-document" ? ["fetches"] : []),
    ...(sticky.assetPaths.length > 0 ? ["assetPaths"] : []),
  ];
  for (const key of sticky.assets === "independent" ? needing : []) {
    const message = `${key} needs assets: follow-document`;
    parsing.error(parsing.keySpanOf(sticky, key), "missing-key", message, "add assets: follow-document");
  }
  return sticky.assetPaths.flatMap((written, index) => {
    const normal = normalPath(written);
    const span = parsing.spanOf(sticky.assetPaths, index);
    if (normal === undefined) {
      parsing.error(span, "bad-value", `${quote(written)} is not a valid path: requests with it are rejected`);
      return [];
    }
    if (normal.includes("*"))
      parsing.warn(span, "risky", `${quote(written)} is a prefix: its * matches a literal * only`);
    return [withoutTrailingSlash(normal)];
  });
}

function compileUnit(sticky: StickyConfig, attributes: KnownAttributes, { parsing }: CompileContext): StickySpec["by"] {
  const { by } = sticky;
  if (by === undefined) return undefined;
  if (by === "clientAddress") return { kind: "clientAddress" };
  const attribute = attributes.use(by);
  if (attribute !== undefined) return { kind: "attribute", index: attribute.index, name: by };
  if (attributes.names?.has(by) === false) {
    parsing.unknownName(parsing.spanOf(sticky, "by"), "attribute", by, [...attributes.names, "clientAddress"]);
  }
  return undefined;
}

function compileCookie(release: string, sticky: StickyConfig, context: CompileContext): CookieSpec {
  const { cookie } = sticky;
  const name = cookie.name ?? defaultCookieName(release);
  checkName(name, cookie, context.parsing.spanOf(cookie, "name"), context);
  checkCrossSite(cookie, context);
  warnOfCappedAge(cookie, context);
  const secrets =
    cookie.secretFile === undefined
      ? [context.randomSecret(release)]
      : context.secrets(cookie.secretFile, context.parsing.spanOf(cookie, "secretFile"));
  const { maxAge: maxAgeMs, path, domain, secure, sameSite, partitioned } = cookie;
  return { name, maxAgeMs, path, domain, secure, sameSite, partitioned, secrets };
}

const defaultCookieName = (release: string): string => `perch-${release}`;

/**
 * Browsers drop a cookie whose attributes are not those that its name promises (RFC 6265bis §4.1.3). `__Http-` and
 * `__Host-Http-` promise HttpOnly in addition, which every cookie of Perch has.
 */
function checkName(name: string, cookie: CookieConfig, span: Span, { parsing }: CompileContext): void {
  const prefix = /^__(?:host|secure|http)-/i.exec(name)?.[0];
  if (prefix === undefined) return;
  if (cookie.secure !== "always") {
    parsing.error(span, "conflicting-keys", `browsers accept a cookie named ${prefix}… only with secure: always`);
  }
  if (prefix.toLowerCase() === "__host-" && (cookie.path !== "/" || cookie.domain !== undefined)) {
    parsing.error(
      span,
      "conflicting-keys",
      `browsers accept a cookie named ${prefix}… only with path: / and no domain`,
    );
  }
}

/** Browsers drop a cookie with SameSite=None (RFC 6265bis §5.7) or Partitioned that is not Secure. */
function checkCrossSite(cookie: CookieConfig, { parsing }: CompileContext): void {
  const { secure, sameSite, partitioned } = cookie;
  const crossSite = [...(sameSite === "none" ? ["sameSite"] : []), ...(partitioned ? ["partitioned"] : [])];
  for (const key of secure === "never" ? crossSite : []) {
    const attribute = key === "sameSite" ? "SameSite=None" : "Partitioned";
    const hint = key === "sameSite" ? "use secure: always or sameSite: lax" : "use secure: always";
    const message = `browsers drop a cookie with ${attribute} that is not Secure`;
    parsing.error(parsing.spanOf(cookie, key), "conflicting-keys", message, hint);
  }
  if (partitioned && sameSite !== "none") {
    const message = `partitioned is for pages in frames of other sites, where browsers send no cookie with sameSite: ${sameSite}`;
    parsing.warn(parsing.spanOf(cookie, "partitioned"), "risky", message, "set sameSite: none");
  }
  if (secure === "auto" && sameSite === "none") {
    const message =
      "with secure: auto the cookie is sent as SameSite=Lax where Perch does not see https: behind a load balancer that " +
      "ends TLS that is every request, unless trustedProxies has its address and it sends X-Forwarded-Proto";
    parsing.warn(parsing.spanOf(cookie, "sameSite"), "risky", message, "set secure: always");
  }
}

function warnOfCappedAge(cookie: CookieConfig, { parsing }: CompileContext): void {
  if (cookie.maxAge === "session" || cookie.maxAge <= maxKeptSeconds * 1000) return;
  parsing.warn(parsing.spanOf(cookie, "maxAge"), "risky", "browsers keep a cookie for at most 400 days", "use 400d");
}

export function compileOverride(override: OverrideConfig, pin: CookieConfig, context: CompileContext): OverrideSpec {
  const { parsing } = context;
  const { header, cookie, query, allowFrom, secretFile } = override;
  if (header !== undefined && isFramingHeader(header)) {
    const message = `${quote(header)} cannot be an override's header: that is removed from forwarded requests`;
    parsing.error(parsing.spanOf(override, "header"), "bad-value", message);
  }
  if (query !== undefined && cookie === undefined) {
    const message = "query needs cookie: a link for testers sets the override's cookie";
    parsing.error(parsing.keySpanOf(override, "query"), "missing-key", message, "add cookie: perch-version");
  }
  if (query !== undefined && cookie !== undefined) checkName(cookie, pin, parsing.spanOf(override, "cookie"), context);
  if (allowFrom.length === 0 && secretFile === undefined) {
    const message = "this override cannot be used: it has neither allowFrom nor secretFile";
    parsing.warn(parsing.spanOf(override), "unused", message);
  }
  const secrets = secretFile === undefined ? [] : context.secrets(secretFile, parsing.spanOf(override, "secretFile"));
  return { header, cookie, query, allowFrom, secrets };
}

/**
 * A pin's cookie must not be used for anything else, by another release, an override or an attribute: Perch removes it
 * from forwarded requests and may replace it at any time.
 */
export function checkCookieNames(
  releases: readonly Entry<ReleaseConfig>[],
  attributes: readonly Entry<AttributeConfig>[],
  parsing: ParseContext,
): void {
  const pins = checkPins(releases, parsing);
  for (const { value } of releases) {
    const cookie = value.override?.cookie;
    const release = cookie === undefined ? undefined : pins.get(cookie);
    if (value.override === undefined || release === undefined) continue;
    refuse(parsing, parsing.spanOf(value.override, "cookie"), cookie ?? "", release);
  }
  for (const { value } of attributes) {
    for (const source of value.from) {
      const release = source.cookie === undefined ? undefined : pins.get(source.cookie);
      if (release !== undefined) refuse(parsing, parsing.spanOf(source, "cookie"), source.cookie ?? "", release);
    }
  }
}

/** Releases by the cookie name of their pin. */
function checkPins(releases: readonly Entry<ReleaseConfig>[], parsing: ParseContext): ReadonlyMap<string, string> {
  const pins = new Map<string, string>();
  for (const entry of releases) {
    const { cookie } = entry.value.sticky;
    const name = cookie.name ?? defaultCookieName(entry.name);
    const other = pins.get(name);
    if (other === undefined) pins.set(name, entry.name);
    else
      refuse(
        parsing,
        cookie.name === undefined ? parsing.keySpanOf(entry) : parsing.spanOf(cookie, "name"),
        name,
        other,
      );
  }
  return pins;
}

function refuse(parsing: ParseContext, span: Span, cookie: string, release: string): void {
  const message = `the cookie ${quote(cookie)} is already the pin of release ${release}`;
  parsing.error(span, "duplicate-name", message);
}
