import type { CompiledConfig, RouteSpec } from "../config/compiled-config.ts";
import { normalPath, type PathParameters } from "../http/path.ts";
import type { Rewrite } from "./rewrite.ts";

/** A request's path, as the client wrote it and as routes match it. */
export interface ReceivedPath {
  readonly written: string;
  readonly matched: string;
}

/** The path that a route sends upstream. Built once per snapshot, for routes that do not send the matched path. */
export class UpstreamPath {
  /** The parameters' policy, if the route normalises the path although the configuration does not. */
  readonly normalises: PathParameters | undefined;
  readonly #form: "matched" | "written" | "normal";
  readonly #isNormal: boolean;
  readonly #rewrite: Rewrite | undefined;

  private constructor(spec: RouteSpec, rewrite: Rewrite | undefined, config: CompiledConfig) {
    const isRouteNormal = spec.pathNormalisation === "on";
    const isSame = spec.pathNormalisation === config.pathNormalisation;
    this.#form = isSame ? "matched" : isRouteNormal ? "normal" : "written";
    this.#isNormal = isRouteNormal;
    this.#rewrite = rewrite;
    this.normalises = this.#form === "normal" ? config.pathParameters : undefined;
  }

  /** Undefined if the route sends the path that it matched. */
  static of(spec: RouteSpec, rewrite: Rewrite | undefined, config: CompiledConfig): UpstreamPath | undefined {
    const isMatched = spec.pathNormalisation === config.pathNormalisation && rewrite?.spec.path === undefined;
    return isMatched ? undefined : new UpstreamPath(spec, rewrite, config);
  }

  /** The path; undefined if the request is to be refused, since the upstream may read the path as another one. */
  for({ written, matched }: ReceivedPath): string | undefined {
    const path = this.#form === "written" ? written : this.normalises ? normalPath(matched, this.normalises) : matched;
    if (path === undefined || this.#rewrite === undefined) return path;
    return this.#isNormal ? this.#rewrite.path(path) : this.#rewrite.rawPath(path);
  }
}
