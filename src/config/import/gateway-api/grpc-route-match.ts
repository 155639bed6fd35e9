import { compilePattern } from "../../pattern.ts";
import type { YamlMap } from "../draft.ts";
import { isYamlMap } from "../draft.ts";
import type { SourceObject } from "../source-object.ts";
import { type MatchProblem, notRe2, type RuleMatch, readHeaders } from "./http-route-match.ts";

/** What every gRPC call has (gRPC over HTTP/2). Other requests do not match a GRPCRoute. */
const grpcCall = { methods: ["POST"], type: { prefix: "application/grpc" } } as const;

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
  const { headers } = tested.match;
  return {
    match: {
      ...path.match,
      methods: grpcCall.methods,
      headers: { "content-type": grpcCall.type, ...(isYamlMap(headers) ? headers : {}) },
    },
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
  for (const pattern of [service, method]) {
    const compiled = compilePattern(pattern === "" ? "x" : pattern);
    if ("problem" in compiled) return notRe2(pattern, compiled.problem);
  }
  const part = (pattern: string) => (pattern === "" ? "[^/]+" : `(?:${pattern})`);
  return { match: { path: { regex: `^/${part(service)}/${part(method)}$` } } };
}
