/**
 * Perch's decision engine as a library: the same decisions as the proxy's, in process and without a server.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { batchedRandom } from "./app/random.ts";
import type { CompiledConfig } from "./config/compiled-config.ts";
import { type LoadOptions, type LoadResult, loadConfigFile, loadConfigText } from "./config/load.ts";
import { type Diagnostic, formatDiagnostic } from "./config/schema-kit/diagnostics.ts";
import type { Decision } from "./decide/decision.ts";
import { parseAddress } from "./decide/ip-address.ts";
import { formatUnit } from "./decide/unit.ts";
import type { PlainRequest } from "./http/plain-head.ts";
import { StatsRegistry } from "./observe/stats-registry.ts";
import { ActiveSnapshot } from "./proxy/active-snapshot.ts";
import { type DryRequest, type DryRun, dryRun } from "./proxy/explain/dry-run.ts";
import { type Explanation, explainRequest } from "./proxy/explain/explain.ts";
import { type PlainValue, plainValue } from "./proxy/route-transforms.ts";
import { EndpointRegistry, noopEndpointEvents } from "./upstream/endpoint-registry.ts";

export type { Diagnostic, Explanation, PlainValue };

/** The input of `engine.decide`. A request of `node:http` has all of these properties. */
export interface EngineRequest extends PlainRequest {
  /**
   * The IP address of the peer. X-Forwarded-* headers are used only if it is in `trustedProxies`. Without it the client
   * address is unknown.
   */
  readonly remoteAddress?: string | undefined;
}

/**
 * Which version a request gets, and why. If no route matches or the request is malformed, `route` to `unit` are null.
 * If the route is a redirect, all of these but `route` are null.
 */
export interface EngineDecision {
  readonly route: string | null;
  readonly service: string | null;
  readonly release: string | null;
  /** The version assigned. */
  readonly version: string | null;
  /** The version that serves the request: the service's default version if it does not have the assigned one. */
  readonly served: string | null;
  readonly reason: Decision["reason"] | null;
  /** The rule that decided, now or when the pin was set. */
  readonly rule: string | null;
  /** The unit that was assigned, as the pin names it. Null if the decision needed no unit, as with an override. */
  readonly unit: string | null;
  /** The Set-Cookie value to add to the response; undefined if there is nothing to set. */
  readonly setCookie: string | undefined;
  /**
   * Whether no shared cache may store the response, since it belongs to one version: answer with `Cache-Control: private`.
   * False on routes with `sharedCache: keep`, unless there is a pin to set.
   */
  readonly isPrivate: boolean;
  /**
   * Headers to add to calls to other services so that they follow this decision: the release's header and the request's
   * baggage, as `propagate` configures them. Do not send them to third parties.
   */
  readonly propagate: Readonly<Record<string, string>>;
  /** Attributes by name; null for those that the request does not have. Times are in RFC 3339. */
  readonly attributes: Readonly<Record<string, PlainValue | null>>;
}

export interface EngineOptions {
  /** The variables that `${NAME}` in the configuration refers to. Default: `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** For a configuration given as text: its name in messages and the base of relative paths. Default: `perch.yaml`. */
  readonly file?: string;
  /** The current time in milliseconds since the Unix epoch. Default: `Date.now`. */
  readonly nowMs?: () => number;
  /**
   * Cryptographically secure random bytes, for new units and for the secrets of releases without a `secretFile`.
   * Default: `crypto.randomBytes`.
   */
  readonly randomBytes?: (size: number) => Uint8Array;
}

/** The configuration is invalid or cannot be read. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  /** All problems, in file order. The message includes them. */
  readonly problems: readonly Diagnostic[];

  constructor(problems: readonly Diagnostic[]) {
    super(`The configuration cannot be used.\n${problems.map(formatDiagnostic).join("\n")}`);
    this.problems = problems;
  }
}

/** Decides requests according to one configuration. */
export interface Engine {
  /** Warnings about the current configuration. */
  readonly warnings: readonly Diagnostic[];
  /** Decides one request. Never throws, whatever the client sent: for a malformed request `route` is null. */
  decide(request: EngineRequest): EngineDecision;
  /** Decides one request and explains each stage, as `perch explain --json` does. Never throws. */
  explain(request: EngineRequest): Explanation;
  /**
   * Replaces the configuration: YAML text or a file, as for `createEngine`. Without an argument the last source is
   * loaded again. Files are not watched.
   *
   * @throws ConfigError if the new configuration cannot be used; the engine then keeps the current one.
   */
  reload(config?: string | { readonly file: string }): void;
}

/**
 * Creates an engine from a configuration, given as YAML text or as a file. Listeners, endpoints and all other
 * forwarding settings are validated but not used. Files are read only here and in `reload`. The engine makes no network
 * requests, so `jwksUrl` is rejected: use `jwksFile`.
 *
 * Pass every header line if possible (`request.headersDistinct` of `node:http`). A header that occurs twice counts as
 * absent, and joined values hide that it did.
 *
 * @throws ConfigError if the configuration cannot be used.
 * @example
 * const engine = createEngine({ file: "perch.yaml" });
 * http.createServer((request, response) => {
 *   const { served, setCookie } = engine.decide({
 *     method: request.method,
 *     url: request.url ?? "/",
 *     headers: request.headersDistinct,
 *     remoteAddress: request.socket.remoteAddress,
 *   });
 *   if (setCookie !== undefined) response.appendHeader("set-cookie", setCookie);
 *   response.end(`Hello from ${served}.`);
 * });
 */
export function createEngine(config: string | { readonly file: string }, options: EngineOptions = {}): Engine {
  return new DecisionEngine(config, options);
}

class DecisionEngine implements Engine {
  readonly #options: EngineOptions;
  readonly #active: ActiveSnapshot;
  readonly #nowMs: () => number;
  readonly #random;
  /** Random secrets by release. Kept for the engine's lifetime, so that a reload does not invalidate existing pins. */
  readonly #secrets = new Map<string, Uint8Array>();
  #source: string | { readonly file: string };
  #warnings: readonly Diagnostic[];

  constructor(source: string | { readonly file: string }, options: EngineOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? Date.now;
    this.#random = batchedRandom(options.randomBytes);
    this.#source = source;
    const { compiled, hash, warnings } = this.#load(source);
    this.#warnings = warnings;
    this.#active = new ActiveSnapshot(new StatsRegistry(), new EndpointRegistry(noopEndpointEvents), compiled, hash);
  }

  get warnings(): readonly Diagnostic[] {
    return this.#warnings;
  }

  decide(request: EngineRequest): EngineDecision {
    const snapshot = this.#active.current;
    const run = dryRun(snapshot, dryRequest(request), { nowMs: this.#nowMs(), random: this.#random });
    return "problem" in run ? undecided : decisionOf(run, snapshot.config);
  }

  explain(request: EngineRequest): Explanation {
    return explainRequest(this.#active.current, dryRequest(request), { nowMs: this.#nowMs(), random: this.#random });
  }

  reload(source: string | { readonly file: string } = this.#source): void {
    const { compiled, hash, warnings } = this.#load(source);
    this.#active.replace(compiled, hash);
    this.#source = source;
    this.#warnings = warnings;
  }

  #load(source: string | { readonly file: string }): Extract<LoadResult, { ok: true }> {
    const { env = process.env, file = "perch.yaml" } = this.#options;
    const options: LoadOptions = {
      env,
      randomSecret: (release) => this.#secretOf(release),
      publishedKeys: "refused",
    };
    const result =
      typeof source === "string" ? loadConfigText(source, { ...options, file }) : loadConfigFile(source.file, options);
    if (!result.ok) throw new ConfigError(result.problems);
    return result;
  }

  #secretOf(release: string): Uint8Array {
    const secret = this.#secrets.get(release) ?? (this.#options.randomBytes ?? randomBytes)(32);
    this.#secrets.set(release, secret);
    return secret;
  }
}

const undecided: EngineDecision = Object.freeze({
  route: null,
  service: null,
  release: null,
  version: null,
  served: null,
  reason: null,
  rule: null,
  unit: null,
  setCookie: undefined,
  isPrivate: false,
  propagate: Object.freeze({}),
  attributes: Object.freeze({}),
});

function dryRequest({ remoteAddress, ...request }: EngineRequest): DryRequest {
  // Node appends the zone to a link-local address. Anything that is not an IP address, such as a socket path, is
  // ignored.
  const address = remoteAddress === undefined ? undefined : parseAddress(remoteAddress.replace(/%.*$/, ""));
  return { ...request, client: address?.text };
}

function decisionOf({ route: matched, target, facts }: DryRun, { attributes }: CompiledConfig): EngineDecision {
  const values = attributes.map(({ name, type }, index): [string, PlainValue | null] => {
    const value = facts.attribute(index);
    return [name, value === undefined ? null : plainValue(type, value)];
  });
  if (target === undefined) {
    return { ...undecided, route: matched?.name ?? null, attributes: Object.fromEntries(values) };
  }
  const { route, decision, served, setCookie, propagated } = target;
  return {
    route: route.name,
    service: route.service.name,
    release: route.release?.policy.name ?? null,
    version: decision?.version ?? served.name,
    served: served.name,
    reason: decision?.reason ?? "default",
    rule: decision?.rule ?? null,
    unit: decision?.unit === undefined ? null : formatUnit(decision.unit),
    setCookie,
    isPrivate: route.isPrivate || setCookie !== undefined,
    propagate: headersOf(propagated),
    attributes: Object.fromEntries(values),
  };
}

function headersOf(flat: readonly string[]): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  for (let i = 0; i < flat.length; i += 2) headers[flat[i] ?? ""] = flat[i + 1] ?? "";
  return headers;
}
