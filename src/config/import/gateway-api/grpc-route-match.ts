import { isYamlMap, type YamlMap, type YamlValue } from "../draft.ts";
import { re2Problem } from "../re2-problem.ts";
import type { SourceObject } from "../source-object.ts";
import { type MatchProblem, type RuleMatch, readHeaders } from "./http-route-match.ts";

/** Tests of headers with the content type that every call has (gRPC over HTTP/2); other requests are no calls. */
function ofCalls(tests: YamlValue | undefined): YamlMap {
  const written = isYamlMap(tests) ? tests : {};
  const { "content-type": type } = written;
  return { ...written, "content-type": { prefix: "application/grpc", ...(isYamlMap(type) ? type : {}) } };
}

/**
 * A match of a GRPCRoute: the path of a call is `/service/method`. Its rank is the precedence that Gateway API defines:
 * characters of the service, characters of the method, more headers.
 */
export function readGrpcMatch(match: SourceObject): RuleMatch | MatchProblem {
  const method = match.object("method");
  const type = method.text("type") || "Exact";
  const service = method.text("service");
  const name = method.text("method");
  const path = pathOf(type, service, name);
  if ("problem" in path) return path;
  const tested = readHeaders(match);
  if ("problem" in tested) return tested;
  return {
    match: { ...path.match, methods: ["POST"], headers: ofCalls(tested.match["headers"]) },
    host: tested.host,
    rank: [service.length, name.length, match.objects("headers").length],
  };
}

function pathOf(type: string, service: string, method: string): { readonly match: YamlMap } | MatchProblem {
  if (service === "" && method === "") return { match: {} };
  if (type === "Exact") {
    const other = [service, method].find((text) => !/^[\w.]*$/.test(text));
    if (other !== undefined) return { problem: `${other} is not the name of a gRPC service or method` };
    if (service !== "" && method !== "") return { match: { path: { exact: `/${service}/${method}` } } };
    if (method === "") return { match: { path: { prefix: `/${service}` } } };
    return { match: { path: { regex: `^/[^/]+/${method}$` } } };
  }
  if (type !== "RegularExpression") return { problem: `a method of the type ${type} has no equivalent` };
  for (const pattern of [service, method].filter((one) => one !== "")) {
    const problem = re2Problem(pattern);
    if (problem !== undefined) return { problem };
  }
  const part = (pattern: string) => (pattern === "" ? "[^/]+" : `(?:${pattern})`);
  return { match: { path: { regex: `^/${part(service)}/${part(method)}$` } } };
}
