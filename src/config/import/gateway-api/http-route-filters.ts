import { urlPath } from "../../scalars.ts";
import { hostAndPort } from "../../sections/rewrite.ts";
import { accepts } from "../accepts.ts";
import { corsOf } from "../cors.ts";
import { type Draft, isYamlMap, lossOf, type YamlMap, type YamlValue } from "../draft.ts";
import { headerEdits } from "../header-edits.ts";
import { redirectOf, statusIn } from "../redirects.ts";
import type { SourceObject } from "../source-object.ts";

/** The keys of a Perch route for the filters of a rule, or why it redirects or rewrites in a way that Perch does not. */
export type FilterSettings =
  | { readonly settings: YamlMap; readonly mirror: SourceObject | undefined }
  | { readonly problem: string };

/** `path`: what the route matches. A prefix is what a filter can replace. */
export function filterSettings(
  filters: readonly SourceObject[],
  path: YamlValue | undefined,
  where: string,
  draft: Draft,
): FilterSettings {
  const matchesPrefix = path === undefined || (isYamlMap(path) && path["prefix"] !== undefined);
  const settings: Record<string, YamlValue> = {};
  const rewrite: Record<string, YamlValue> = {};
  let mirror: SourceObject | undefined;
  for (const filter of filters) {
    const type = filter.text("type");
    if (type === "RequestHeaderModifier" || type === "ResponseHeaderModifier") {
      const { edits, host } = modifierEdits(filter, type, where, draft);
      if (Object.keys(edits).length > 0) {
        settings[editsKey(type)] = edits;
      }
      if (host !== "" && rewrite["host"] === undefined) rewrite["host"] = host;
    } else if (type === "RequestRedirect") {
      const written = filter.object("requestRedirect");
      const found = redirectOf(redirectParts(written, path, matchesPrefix));
      const unread = written.object("path").unread();
      if (unread.length > 0) return { problem: `${unread.join(", ")}: no equivalent` };
      if ("problem" in found) return { problem: `${filter.path}: ${found.problem}` };
      settings["redirect"] = found.redirect;
    } else if (type === "URLRewrite") {
      const written = filter.object("urlRewrite");
      Object.assign(rewrite, urlRewrite(written, matchesPrefix));
      // Forwarded as it is, the request could reach what the rewrite hides.
      const unread = written.unread();
      if (unread.length > 0) return { problem: `${unread.join(", ")}: no equivalent` };
    } else if (type === "RequestMirror") {
      if (mirror !== undefined) draft.note(where, `${filter.path}: a release mirrors to one version only`);
      if (mirror === undefined) mirror = filter.object("requestMirror");
      else filter.dismiss();
    } else if (type === "CORS") {
      Object.assign(settings, filterCors(filter.object("cors"), where, draft));
    } else {
      filter.dismiss();
      draft.note(where, `the filter ${type}: no equivalent`, lossOf(mayProtect(type)));
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

/**
 * The settings of a version for the filters of a backend: edits of headers. Filters that only a route of Perch has are
 * noted.
 */
export function headerModifiers(filters: readonly SourceObject[], where: string, draft: Draft): YamlMap {
  const settings: Record<string, YamlValue> = {};
  for (const filter of filters) {
    const type = filter.text("type");
    if (type !== "RequestHeaderModifier" && type !== "ResponseHeaderModifier") {
      filter.dismiss();
      draft.note(where, `${filter.path}: a version has no equivalent of the filter ${type}`, lossOf(mayProtect(type)));
      continue;
    }
    const { edits, host } = modifierEdits(filter, type, where, draft);
    if (host !== "") draft.note(where, `${filter.path}: the Host of one version only has no equivalent`);
    if (Object.keys(edits).length > 0) settings[editsKey(type)] = edits;
  }
  return settings;
}

/** An extension of the gateway may authenticate, or limit rates. */
const mayProtect = (type: string): boolean => type === "ExtensionRef" || type === "ExternalAuth";

type Modifier = "RequestHeaderModifier" | "ResponseHeaderModifier";

const editsKey = (type: Modifier) => (type === "RequestHeaderModifier" ? "requestHeaders" : "responseHeaders");

function modifierEdits(filter: SourceObject, type: Modifier, where: string, draft: Draft) {
  const isRequest = type === "RequestHeaderModifier";
  const modifier = filter.object(isRequest ? "requestHeaderModifier" : "responseHeaderModifier");
  const pairs = (key: string) =>
    modifier.objects(key).map((field) => [field.text("name"), field.text("value")] as const);
  const written = { set: pairs("set"), add: pairs("add"), remove: modifier.texts("remove") };
  return headerEdits(written, isRequest ? "request" : "response", where, draft);
}

function redirectParts(redirect: SourceObject, path: YamlValue | undefined, matchesPrefix: boolean) {
  const change = pathChange(redirect.object("path"), matchesPrefix);
  const isSame = !["scheme", "hostname", "port", "path"].some((key) => redirect.has(key));
  return {
    scheme: redirect.text("scheme"),
    host: redirect.text("hostname"),
    port: redirect.number("port"),
    ...(isSame ? samePath(path) : change),
    status: redirect.take("statusCode", statusIn) ?? 302,
  };
}

/** For a redirect of the status alone, which goes to the same URL. A configuration has to name some part of it. */
function samePath(path: YamlValue | undefined): { readonly path?: string; readonly prefix?: string } {
  if (!isYamlMap(path)) return { prefix: "/" };
  const { exact, prefix } = path;
  if (typeof exact === "string") return { path: exact };
  return typeof prefix === "string" ? { prefix } : {};
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
