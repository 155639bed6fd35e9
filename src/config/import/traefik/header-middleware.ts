import { corsOf } from "../cors.ts";
import type { Draft, YamlMap } from "../draft.ts";
import { headerEdits } from "../header-edits.ts";
import type { SourceObject } from "../source-object.ts";

export interface HeaderSettings {
  /** `requestHeaders`, `responseHeaders` and `cors` of a route. */
  readonly settings: YamlMap;
  /** The Host header for the upstream; empty if it stays. */
  readonly host: string;
}

type Fields = readonly (readonly [name: string, value: string])[];

/** The `headers` middleware: an empty value removes a header. */
export function headerSettings(headers: SourceObject, where: string, draft: Draft): HeaderSettings {
  const request = edited(fieldsOf(headers.object("customRequestHeaders")), "request", where, draft);
  const response = edited(
    [...fieldsOf(headers.object("customResponseHeaders")), ...securityFields(headers)],
    "response",
    where,
    draft,
  );
  for (const key of ["allowedHosts", "sslRedirect", "sslHost", "sslForceHost", "sslProxyHeaders"]) {
    if (!headers.has(key)) continue;
    draft.noteLostProtection(where, `${headers.path}.${key}: no equivalent`);
    headers.dismiss(key);
  }
  // Hints for the redirects above, and for development.
  headers.dismiss("hostsProxyHeaders", "sslTemporaryRedirect", "forceSTSHeader", "isDevelopment", "addVaryHeader");
  return {
    settings: {
      ...(Object.keys(request.edits).length === 0 ? {} : { requestHeaders: request.edits }),
      ...(Object.keys(response.edits).length === 0 ? {} : { responseHeaders: response.edits }),
      ...cors(headers, where, draft),
    },
    host: request.host,
  };
}

const fieldsOf = (map: SourceObject): Fields => map.keys().map((name) => [name, map.text(name)] as const);

/** The later of two fields counts: names are the same in upper and lower case. */
function edited(written: Fields, message: "request" | "response", where: string, draft: Draft) {
  const fields = [...new Map(written.map(([name, value]) => [name.toLowerCase(), [name, value] as const])).values()];
  const set = fields.filter(([, value]) => value !== "");
  const remove = fields.filter(([, value]) => value === "").map(([name]) => name);
  return headerEdits({ set, add: [], remove }, message, where, draft);
}

function securityFields(headers: SourceObject): Fields {
  const flag = (key: string, name: string, value: string): Fields =>
    headers.flag(key) === true ? [[name, value]] : [];
  const text = (key: string, name: string): Fields => {
    const value = headers.text(key);
    return value === "" ? [] : [[name, value]];
  };
  const frame = text("customFrameOptionsValue", "x-frame-options");
  const deny = flag("frameDeny", "x-frame-options", "DENY");
  return [
    ...strictTransport(headers),
    ...(frame.length > 0 ? frame : deny),
    ...flag("contentTypeNosniff", "x-content-type-options", "nosniff"),
    ...flag("browserXssFilter", "x-xss-protection", "1; mode=block"),
    ...text("customBrowserXSSValue", "x-xss-protection"),
    ...text("contentSecurityPolicy", "content-security-policy"),
    ...text("contentSecurityPolicyReportOnly", "content-security-policy-report-only"),
    ...text("referrerPolicy", "referrer-policy"),
    ...text("permissionsPolicy", "permissions-policy"),
    ...text("featurePolicy", "feature-policy"),
  ];
}

/** Browsers ignore it in answers over plain HTTP (RFC 6797 §8.1). */
function strictTransport(headers: SourceObject): Fields {
  const seconds = headers.number("stsSeconds") ?? 0;
  const below = headers.flag("stsIncludeSubdomains") === true ? "; includeSubDomains" : "";
  const preload = headers.flag("stsPreload") === true ? "; preload" : "";
  return seconds > 0 ? [["strict-transport-security", `max-age=${seconds}${below}${preload}`]] : [];
}

function cors(headers: SourceObject, where: string, draft: Draft): YamlMap {
  const origins = headers.texts("accessControlAllowOriginList");
  const parts = {
    origins,
    methods: headers.texts("accessControlAllowMethods"),
    headers: headers.texts("accessControlAllowHeaders"),
    exposed: headers.texts("accessControlExposeHeaders"),
    credentials: headers.flag("accessControlAllowCredentials") === true,
    maxAgeSeconds: headers.number("accessControlMaxAge"),
  };
  return origins.length === 0 ? {} : corsOf(parts, where, draft);
}
