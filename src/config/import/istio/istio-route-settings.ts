import { compileReplacement } from "../../pattern.ts";
import { urlPath } from "../../scalars.ts";
import { faultSchema } from "../../sections/fault.ts";
import { hostAndPort } from "../../sections/rewrite.ts";
import { accepts, problemWith } from "../accepts.ts";
import { corsOf } from "../cors.ts";
import type { Draft, YamlMap } from "../draft.ts";
import { durationIn, secondsIn, timeLimitIn } from "../durations.ts";
import { escaped } from "../escaped.ts";
import { headerEdits } from "../header-edits.ts";
import { redirectOf, statusIn } from "../redirects.ts";
import type { SourceObject } from "../source-object.ts";
import type { UriTest } from "./istio-match.ts";

/** The settings of a Perch route, except its path's rewrite, which depends on the match. */
export function routeSettings(route: SourceObject, where: string, draft: Draft): { settings: YamlMap; host: string } {
  const { settings, host } = headerSettings(route.object("headers"), where, draft);
  const authority = route
    .object("rewrite")
    .take("authority", (text) => (accepts(hostAndPort, text) ? text : undefined));
  const total = route.take("timeout", timeLimitIn) ?? "";
  // An attempt of Envoy is over with its response; Perch limits the time until that begins.
  const responseHeaders = route.object("retries").take("perTryTimeout", timeLimitIn) ?? "";
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
  const delayFor = delay.take("fixedDelay", (text) => {
    const written = durationIn(text) || undefined;
    if (written === undefined || isDelay(written)) return written;
    draft.note(where, `${delay.path}.fixedDelay ${text}: no equivalent; Perch delays for ${longestDelay} at most`);
    return longestDelay;
  });
  const status = abortStatus(abort, where, draft);
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
  return Math.min(Math.max(percent ?? 0, 0), 100);
}

const longestDelay = "1m";

const isDelay = (text: string): boolean => problemWith(faultSchema, { delay: { for: text } }) === undefined;

/**
 * The status of an abort: the nearest one if Perch does not have it, since requests that it kept from the service must
 * not get there. An abort of Perch is UNAVAILABLE to gRPC clients, whatever its status.
 */
function abortStatus(abort: SourceObject, where: string, draft: Draft): number | undefined {
  const key = ["httpStatus", "grpcStatus", "http2Error"].find((one) => abort.has(one));
  if (key === undefined) return undefined;
  const written = abort.text(key);
  abort.dismiss(key);
  if (key === "httpStatus" && problemWith(faultSchema, { abort: { status: Number(written) } }) === undefined) {
    return Number(written);
  }
  const ofGrpc = key === "grpcStatus" ? grpcStatuses.get(written.toUpperCase()) : undefined;
  const { status, isSame } = ofGrpc ?? { status: 503, isSame: false };
  const toGrpc = key === "grpcStatus" ? ", which is UNAVAILABLE to gRPC clients" : "";
  if (!isSame)
    draft.note(where, `${abort.path}.${key} ${written}: no equivalent; the abort answers ${status}${toGrpc}`);
  return status;
}

const grpcStatuses: ReadonlyMap<string, { readonly status: number; readonly isSame: boolean }> = new Map(
  [
    { names: ["UNAVAILABLE", "14"], status: 503, isSame: true },
    { names: ["PERMISSION_DENIED", "7"], status: 403, isSame: false },
    { names: ["UNAUTHENTICATED", "16"], status: 401, isSame: false },
    { names: ["RESOURCE_EXHAUSTED", "8"], status: 429, isSame: false },
  ].flatMap(({ names, ...one }) => names.map((name) => [name, one] as const)),
);

/** Why the path's rewrite has no equivalent; undefined if it has one, or if there is none. */
export function rewriteProblem(route: SourceObject): string | undefined {
  const rewrite = route.object("rewrite");
  if (rewrite.has("uriRegexRewrite")) {
    const { pattern, replacement, written } = regexIn(rewrite.object("uriRegexRewrite"));
    if (written === "") return "uriRegexRewrite has no pattern";
    const compiled = compileReplacement(pattern, replacement);
    return "problem" in compiled ? compiled.problem : undefined;
  }
  const uri = rewrite.peek("uri") ?? "";
  if (uri === "" || accepts(urlPath, rewrite.text("uri"))) return undefined;
  return `${JSON.stringify(uri)} is not a path`;
}

/** The rewrite of the path, which has no `rewriteProblem`. Envoy replaces the characters of a matched prefix, and else the whole path. */
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
function regexIn(rewrite: SourceObject): { readonly pattern: string; replacement: string; written: string } {
  const written = rewrite.text("match");
  const target = rewrite.text("rewrite");
  const usesWhole = /\\0/.test(target);
  const pattern = usesWhole ? `(${written})` : written;
  const replacement = target.replace(/\$|\\(\\|\d)/g, (part, group?: string) => {
    if (group === undefined) return "$$";
    return group === "\\" ? part : `$${Number(group) + (usesWhole ? 1 : 0)}`;
  });
  return { pattern, replacement, written };
}

function regexRewrite(rewrite: SourceObject, where: string, draft: Draft): YamlMap {
  const { pattern, replacement, written } = regexIn(rewrite);
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
