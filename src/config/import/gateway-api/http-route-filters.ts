import { urlPath } from "../../scalars.ts";
import { hostAndPort } from "../../sections/rewrite.ts";
import { accepts } from "../accepts.ts";
import { corsOf } from "../cors.ts";
import type { Draft, YamlMap, YamlValue } from "../draft.ts";
import { headerEdits } from "../header-edits.ts";
import { redirectOf, statusIn } from "../redirects.ts";
import type { SourceObject } from "../source-object.ts";

/** The keys of a Perch route for the filters of a rule, or why it redirects in a way that Perch does not. */
export type FilterSettings =
  | { readonly settings: YamlMap; readonly mirror: SourceObject | undefined }
  | { readonly problem: string };

/** `matchesPrefix`: whether the route has a prefix that a filter can replace. */
export function filterSettings(
  rule: SourceObject,
  matchesPrefix: boolean,
  where: string,
  draft: Draft,
): FilterSettings {
  const settings: Record<string, YamlValue> = {};
  const rewrite: Record<string, YamlValue> = {};
  let mirror: SourceObject | undefined;
  for (const filter of rule.objects("filters")) {
    const type = filter.text("type");
    if (type === "RequestHeaderModifier" || type === "ResponseHeaderModifier") {
      const { edits, host } = modifierEdits(filter, type, where, draft);
      if (Object.keys(edits).length > 0) {
        settings[type === "RequestHeaderModifier" ? "requestHeaders" : "responseHeaders"] = edits;
      }
      if (host !== "" && rewrite["host"] === undefined) rewrite["host"] = host;
    } else if (type === "RequestRedirect") {
      const found = redirectOf(redirectParts(filter.object("requestRedirect"), matchesPrefix));
      if ("problem" in found) return { problem: `${filter.path}: ${found.problem}` };
      settings["redirect"] = found.redirect;
    } else if (type === "URLRewrite") {
      Object.assign(rewrite, urlRewrite(filter.object("urlRewrite"), matchesPrefix));
    } else if (type === "RequestMirror") {
      if (mirror !== undefined) draft.note(where, `${filter.path}: a release mirrors to one version only`);
      if (mirror === undefined) mirror = filter.object("requestMirror");
      else filter.dismiss();
    } else if (type === "CORS") {
      Object.assign(settings, filterCors(filter.object("cors"), where, draft));
    } else {
      filter.dismiss();
      // An extension of the gateway may authenticate, or limit rates.
      draft.note(where, `the filter ${type}: no equivalent`, type === "ExtensionRef" || type === "ExternalAuth");
    }
  }
  return { settings: { ...settings, ...(Object.keys(rewrite).length === 0 ? {} : { rewrite }) }, mirror };
}

function filterCors(cors: SourceObject, where: string, draft: Draft): YamlMap {
  const parts = {
    origins: cors.texts("allowOrigins"),
    methods: cors.texts("allowMethods"),
    headers: cors.texts("allowHeaders"),
    exposed: cors.texts("exposeHeaders"),
    credentials: cors.flag("allowCredentials") === true,
    maxAgeSeconds: cors.number("maxAge"),
  };
  return corsOf(parts, where, draft);
}

function modifierEdits(
  filter: SourceObject,
  type: "RequestHeaderModifier" | "ResponseHeaderModifier",
  where: string,
  draft: Draft,
) {
  const isRequest = type === "RequestHeaderModifier";
  const modifier = filter.object(isRequest ? "requestHeaderModifier" : "responseHeaderModifier");
  const pairs = (key: string) =>
    modifier.objects(key).map((field) => [field.text("name"), field.text("value")] as const);
  const written = { set: pairs("set"), add: pairs("add"), remove: modifier.texts("remove") };
  return headerEdits(written, isRequest ? "request" : "response", where, draft);
}

function redirectParts(redirect: SourceObject, matchesPrefix: boolean) {
  return {
    scheme: redirect.text("scheme"),
    host: redirect.text("hostname"),
    port: redirect.number("port"),
    ...pathChange(redirect.object("path"), matchesPrefix),
    status: redirect.take("statusCode", statusIn) ?? 302,
  };
}

function urlRewrite(rewrite: SourceObject, matchesPrefix: boolean): YamlMap {
  const host = rewrite.take("hostname", (text) => (accepts(hostAndPort, text) ? text : undefined));
  return { ...(host === undefined ? {} : { host }), ...pathChange(rewrite.object("path"), matchesPrefix) };
}

/** `path` or `prefix` of a rewrite or redirect. What cannot be used stays unread, and is so noted. */
function pathChange(path: SourceObject, matchesPrefix: boolean): { readonly path?: string; readonly prefix?: string } {
  const type = path.text("type");
  const asPath = (text: string) => (accepts(urlPath, text || "/") ? text || "/" : undefined);
  const full = type === "ReplaceFullPath" ? path.take("replaceFullPath", asPath) : undefined;
  const isPrefix = type === "ReplacePrefixMatch" && matchesPrefix;
  const prefix = isPrefix ? path.take("replacePrefixMatch", asPath) : undefined;
  return { ...(full === undefined ? {} : { path: full }), ...(prefix === undefined ? {} : { prefix }) };
}
