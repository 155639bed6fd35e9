import type { CookieSpec, OverrideSpec, StickySpec } from "../decide/release.ts";
import type { CompileContext } from "./compile-context.ts";
import { isFramingHeader } from "./framing-headers.ts";
import { quote } from "./kit/tree.ts";
import type { KnownAttributes } from "./known-attributes.ts";
import type { OverrideConfig, StickyConfig } from "./release-schema.ts";

/** The name of a release's pin where none is given. */
export const defaultCookieName = (release: string): string => `perch-${release}`;

export function compileSticky(
  release: string,
  sticky: StickyConfig,
  attributes: KnownAttributes,
  context: CompileContext,
): StickySpec {
  const { salt, whenWeightsChange, onWeightZero, epoch, assets } = sticky;
  const by = compileUnit(sticky, attributes, context);
  return { by, salt, whenWeightsChange, onWeightZero, epoch, assets, cookie: compileCookie(release, sticky, context) };
}

function compileUnit(sticky: StickyConfig, attributes: KnownAttributes, { reading }: CompileContext): StickySpec["by"] {
  const { by } = sticky;
  if (by === undefined) return undefined;
  if (by === "clientAddress") return { kind: "clientAddress" };
  const attribute = attributes.use(by);
  if (attribute !== undefined) return { kind: "attribute", index: attribute.index, name: by };
  if (attributes.names?.has(by) === false) {
    reading.unknownName(reading.spanOf(sticky, "by"), "attribute", by, [...attributes.names, "clientAddress"]);
  }
  return undefined;
}

function compileCookie(release: string, sticky: StickyConfig, context: CompileContext): CookieSpec {
  const { cookie } = sticky;
  const name = cookie.name ?? defaultCookieName(release);
  checkCookie(name, cookie, context);
  const secrets =
    cookie.secretFile === undefined
      ? [context.randomSecret(release)]
      : context.secrets(cookie.secretFile, context.reading.spanOf(cookie, "secretFile"));
  const { maxAge: maxAgeMs, path, domain, secure, sameSite } = cookie;
  return { name, maxAgeMs, path, domain, secure, sameSite, secrets };
}

/** What browsers ask of prefixed names and of SameSite=None (RFC 6265bis §4.1.3, §5.6); they drop the cookie otherwise. */
function checkCookie(name: string, cookie: StickyConfig["cookie"], { reading }: CompileContext): void {
  const { secure, sameSite, path, domain } = cookie;
  if (sameSite === "none" && secure === "never") {
    const message = "browsers drop a cookie with SameSite=None that is not Secure";
    reading.error(
      reading.spanOf(cookie, "sameSite"),
      "conflicting-keys",
      message,
      "use secure: always or sameSite: lax",
    );
  }
  const prefix = /^__(?:host|secure)-/i.exec(name)?.[0];
  if (prefix === undefined) return;
  const span = reading.spanOf(cookie, "name");
  if (secure !== "always") {
    reading.error(span, "conflicting-keys", `browsers take a cookie named ${prefix}… only with secure: always`);
  }
  if (prefix.toLowerCase() === "__host-" && (path !== "/" || domain !== undefined)) {
    reading.error(span, "conflicting-keys", `browsers take a cookie named ${prefix}… only with path: / and no domain`);
  }
}

export function compileOverride(override: OverrideConfig, context: CompileContext): OverrideSpec {
  const { reading } = context;
  const { header, cookie, query, allowFrom, secretFile } = override;
  if (header !== undefined && isFramingHeader(header)) {
    const message = `${quote(header)} can not be an override's header: it is taken out of what goes upstream`;
    reading.error(reading.spanOf(override, "header"), "bad-value", message);
  }
  if (query !== undefined && cookie === undefined) {
    const message = "a link for testers sets a cookie, and this override names none";
    reading.error(reading.keySpanOf(override, "query"), "missing-key", message, "add cookie: perch-version");
  }
  if (allowFrom.length === 0 && secretFile === undefined) {
    const message = "nobody may use this override: it has neither allowFrom nor secretFile";
    reading.warn(reading.spanOf(override), "unused", message);
  }
  const secrets = secretFile === undefined ? [] : context.secrets(secretFile, reading.spanOf(override, "secretFile"));
  return { header, cookie, query, allowFrom, secrets };
}
