import { compileReplacement } from "../../pattern.ts";
import { urlPath } from "../../scalars.ts";
import { hostAndPort } from "../../sections/rewrite.ts";
import { accepts } from "../accepts.ts";
import { corsOf } from "../cors.ts";
import type { Draft, YamlMap } from "../draft.ts";
import { durationIn, secondsIn } from "../durations.ts";
import { headerEdits } from "../header-edits.ts";
import { redirectOf, statusIn } from "../redirects.ts";
import type { SourceObject } from "../source-object.ts";
import { escaped, type UriTest } from "./istio-match.ts";

/** The settings of a Perch route, except its path's rewrite, which depends on the match. */
export function routeSettings(route: SourceObject, where: string, draft: Draft): { settings: YamlMap; host: string } {
  const { settings, host } = headerSettings(route.object("headers"), where, draft);
  const authority = route
    .object("rewrite")
    .take("authority", (text) => (accepts(hostAndPort, text) ? text : undefined));
  const total = route.take("timeout", durationIn) ?? "";
  // An attempt of Envoy is over with its response; Perch limits the time until that begins.
  const responseHeaders = route.object("retries").take("perTryTimeout", durationIn) ?? "";
  const timeouts = { ...(total === "" ? {} : { total }), ...(responseHeaders === "" ? {} : { responseHeaders }) };
  return {
    settings: {
      ...settings,
      ...corsPolicy(route.object("corsPolicy"), where, draft),
      ...(Object.keys(timeouts).length === 0 ? {} : { timeouts }),
      ...fault(route.object("fault"), where, draft),
    },
    host: authority ?? host,
  };
}

/** Envoy tests origins by text. Of the tests only exact ones and those for any origin have an equivalent. */
function corsPolicy(policy: SourceObject, where: string, draft: Draft): YamlMap {
  const tested = policy.objects("allowOrigins").flatMap((origin) => {
    const exact = origin.text("exact");
    const isAny = origin.take("regex", (text) => (/^(?:\.\*|\*)$/.test(text) ? text : undefined)) !== undefined;
    return exact === "" ? (isAny ? ["*"] : []) : [exact];
  });
  const origins = [...tested, ...policy.texts("allowOrigin")];
  if (origins.length === 0) return {};
  const maxAge = policy.take("maxAge", secondsIn);
  const parts = {
    origins,
    methods: policy.texts("allowMethods"),
    headers: policy.texts("allowHeaders"),
    exposed: policy.texts("exposeHeaders"),
    credentials: policy.flag("allowCredentials") === true,
    maxAgeSeconds: maxAge,
  };
  return corsOf(parts, where, draft);
}

/** `host` is the Host header for the upstream; empty if it stays. */
export function headerSettings(
  headers: SourceObject,
  where: string,
  draft: Draft,
): { readonly settings: YamlMap; readonly host: string } {
  const edits = (message: "request" | "response") => {
    const operations = headers.object(message);
    const pairs = (key: string) => {
      const map = operations.object(key);
      return map.keys().map((name) => [name, map.text(name)] as const);
    };
    return headerEdits(
      { set: pairs("set"), add: pairs("add"), remove: operations.texts("remove") },
      message,
      where,
      draft,
    );
  };
  const request = edits("request");
  const response = edits("response");
  return {
    settings: {
      ...(Object.keys(request.edits).length === 0 ? {} : { requestHeaders: request.edits }),
      ...(Object.keys(response.edits).length === 0 ? {} : { responseHeaders: response.edits }),
    },
    host: request.host,
  };
}

function fault(injection: SourceObject, where: string, draft: Draft): YamlMap {
  const delay = injection.object("delay");
  const abort = injection.object("abort");
  const delayFor = delay.take("fixedDelay", (text) => durationIn(text) || undefined);
  const status = abort.number("httpStatus") ?? abort.take("grpcStatus", statusOfGrpc);
  if (status === undefined && abort.has("grpcStatus")) {
    const status = abort.text("grpcStatus");
    draft.note(where, `${abort.path}.grpcStatus ${status}: no equivalent, only UNAVAILABLE: the abort is left out`);
    abort.dismiss();
  }
  const found: YamlMap = {
    ...(delayFor === undefined ? {} : { delay: { for: delayFor, percent: percentOf(delay, where, draft) } }),
    ...(status === undefined ? {} : { abort: { status, percent: percentOf(abort, where, draft) } }),
  };
  return Object.keys(found).length === 0 ? {} : { fault: found };
}

/** Istio injects nothing where it is not said how often. */
function percentOf(part: SourceObject, where: string, draft: Draft): number {
  const percent = part.object("percentage").number("value") ?? part.number("percent");
  if (percent === undefined) draft.note(where, `${part.path} has no percentage, so it applies to no request`);
  return percent ?? 0;
}

/** An abort of Perch is UNAVAILABLE to gRPC clients, whatever its status. */
function statusOfGrpc(name: string): number | undefined {
  return name.toUpperCase() === "UNAVAILABLE" || name === "14" ? 503 : undefined;
}

/** The rewrite of the path. Envoy replaces the characters of a matched prefix, and else the whole path. */
export function pathRewrite(route: SourceObject, uri: UriTest, where: string, draft: Draft): YamlMap {
  const rewrite = route.object("rewrite");
  if (rewrite.has("uriRegexRewrite")) return regexRewrite(rewrite.object("uriRegexRewrite"), where, draft);
  const target = rewrite.take("uri", (text) => (accepts(urlPath, text) ? text : undefined));
  if (target === undefined) return {};
  if (uri.kind === "whole") return { path: target };
  if (uri.kind === "prefix" && uri.segments) return { prefix: target };
  if (uri.kind === "any" && target === "/") return {};
  if (uri.kind === "any" && target.endsWith("/")) return { prefix: target };
  const [prefix, flag] = uri.kind === "prefix" ? [uri.prefix, uri.ignoresCase ? "(?i)" : ""] : ["/", ""];
  return { regex: { pattern: `${flag}^${escaped(prefix)}`, replacement: target.replaceAll("$", () => "$$") } };
}

/** Envoy writes groups as `\1` and the whole match as `\0`. */
function regexRewrite(rewrite: SourceObject, where: string, draft: Draft): YamlMap {
  const written = rewrite.text("match");
  const target = rewrite.text("rewrite");
  const usesWhole = /\\0/.test(target);
  const pattern = usesWhole ? `(${written})` : written;
  const replacement = target.replace(/\$|\\(\\|\d)/g, (part, group?: string) => {
    if (group === undefined) return "$$";
    return group === "\\" ? part : `$${Number(group) + (usesWhole ? 1 : 0)}`;
  });
  const compiled = compileReplacement(pattern, replacement);
  if ("problem" in compiled) {
    draft.note(where, `${rewrite.path}: the path stays unchanged, as ${compiled.problem}`);
    return {};
  }
  if (!written.startsWith("^")) {
    draft.note(where, `${rewrite.path} replaced every match of ${written} in the path; Perch replaces the first`);
  }
  return { regex: { pattern, replacement } };
}

/** The redirect; undefined if it leads back to the same URL, or cannot be expressed. Then it is noted. */
export function istioRedirect(redirect: SourceObject, where: string, draft: Draft): YamlMap | undefined {
  const [, host, port] = /^(\[.+\]|[^:]+)(?::(\d+))?$/.exec(redirect.text("authority")) ?? [];
  const [path = "", query] = redirect.text("uri").split("?");
  if (query !== undefined) {
    draft.note(where, `${redirect.path}.uri: the query ?${query} is lost, and the client's query stays`);
  }
  // The default, which Perch has as well.
  if (redirect.peek("derivePort") === "FROM_PROTOCOL_DEFAULT") redirect.dismiss("derivePort");
  if (redirect.has("derivePort")) {
    draft.note(
      where,
      `${redirect.path}.derivePort: no equivalent; set the redirect's \`port\`, if it is not the default`,
    );
    redirect.dismiss("derivePort");
  }
  const found = redirectOf({
    scheme: redirect.text("scheme"),
    host: host ?? redirect.text("authority"),
    port: redirect.number("port") ?? (port === undefined ? undefined : Number(port)),
    path: path.includes("%PREFIX()%") ? "invalid" : path,
    status: redirect.take("redirectCode", statusIn) ?? 301,
  });
  if (!("problem" in found)) return found.redirect;
  draft.leftOut(where, `${redirect.path}: ${found.problem}, so it is left out; later routes match its requests`);
  return undefined;
}
