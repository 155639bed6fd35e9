import type { CompiledConfig, RouteSpec } from "../config/compiled-config.ts";
import type { Endpoint } from "../upstream/endpoint.ts";
import type { Exchange } from "./exchange.ts";
import { combinedEdits, type HeaderEdits } from "./header-edits.ts";
import { Rewrite } from "./rewrite.ts";
import type { Service, ServiceVersion } from "./snapshot.ts";

/** By the index of the version that serves. */
type EditsByVersion = readonly (HeaderEdits | undefined)[];

/** What a route, and the version that serves, do to requests and responses beyond forwarding them. Made once a snapshot. */
export class RouteWork {
  readonly rewrite: Rewrite | undefined;
  readonly #request: EditsByVersion;
  readonly #response: EditsByVersion;

  private constructor(rewrite: Rewrite | undefined, request: EditsByVersion, response: EditsByVersion) {
    this.rewrite = rewrite;
    this.#request = request;
    this.#response = response;
  }

  /** Undefined where there is nothing to do, so that a request pays nothing. */
  static of(
    { headers, rewrite }: RouteSpec,
    service: Service,
    { versionEdits }: CompiledConfig,
  ): RouteWork | undefined {
    const own = versionEdits.filter((edits) => edits.service === service.name);
    const editsOf = (message: "request" | "response"): EditsByVersion =>
      Array.from(service.versions.keys(), (name) =>
        combinedEdits(headers[message], own.find(({ version }) => version === name)?.[message]),
      );
    const [request, response] = [editsOf("request"), editsOf("response")];
    if (rewrite === undefined && [...request, ...response].every((edits) => edits === undefined)) return undefined;
    return new RouteWork(rewrite && new Rewrite(rewrite), request, response);
  }

  editsOf(message: "request" | "response", { index }: ServiceVersion): HeaderEdits | undefined {
    return message === "request" ? this.#request[index] : this.#response[index];
  }

  /** The fields of a request, or of a copy, as they go to an endpoint of this version. */
  requestFields(
    fields: readonly string[],
    exchange: Exchange,
    version: ServiceVersion,
    endpoint: Endpoint | undefined,
  ): string[] {
    const out = [...fields];
    if (this.rewrite?.spec.host !== undefined && exchange.head.authority !== "") {
      // The Host comes first, and is the only one.
      out[1] = this.rewrite.host(exchange.head.authority, endpoint);
    }
    this.editsOf("request", version)?.apply(out, exchange, version.name);
    return out;
  }

  /** Changes the fields of a response that pass, in place. */
  changeResponse(fields: string[], exchange: Exchange): void {
    if (this.rewrite !== undefined) {
      for (let i = 0; i < fields.length; i += 2) {
        fields[i + 1] = this.rewrite.mapBack(fields[i] ?? "", fields[i + 1] ?? "", exchange);
      }
    }
    const served = exchange.attempts?.served;
    if (served !== undefined) this.editsOf("response", served)?.apply(fields, exchange, served.name);
  }
}
