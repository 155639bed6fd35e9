/**
 * Perch's decision engine as a library: the decisions of the gateway, in process, without a server.
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

/** A request as `engine.decide` takes it; a request of `node:http` has all of this. */
export interface EngineRequest extends PlainRequest {
  /** The address of the peer: of one in trustedProxies, X-Forwarded-* count. Without it no address is known. */
  readonly remoteAddress?: string | undefined;
}

/**
 * Which version a request gets, and why. All null where no route takes the request, or it is malformed; all but the route
 * where that is a redirect.
 */
export interface EngineDecision {
  readonly route: string | null;
  readonly service: string | null;
  readonly release: string | null;
  /** The version assigned. */
  readonly version: string | null;
  /** The version that serves: the service's default where it lacks the one assigned. */
  readonly served: string | null;
  readonly reason: Decision["reason"] | null;
  /** The rule that decided, or that the pin remembers. */
  readonly rule: string | null;
  /** Who was assigned, as the pin names it; null where nobody had to be, as with an override. */
  readonly unit: string | null;
  /** The value of the Set-Cookie header to send with the answer; undefined where there is none to send. */
  readonly setCookie: string | undefined;
  /**
   * The headers to send with calls to other services, so that they follow this decision: the release's header and the
   * request's baggage, as `propagate` configures them. Not for services of others.
   */
  readonly propagate: Readonly<Record<string, string>>;
  /** By name; null for those that the request does not have. Times in RFC 3339. */
  readonly attributes: Readonly<Record<string, PlainValue | null>>;
}

export interface EngineOptions {
  /** What `${NAME}` in the configuration stands for. Default: `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** For a text: its name in messages, and where its relative paths start. Default: `perch.yaml`. */
  readonly file?: string;
  /** The time, in milliseconds since the Unix epoch. Default: `Date.now`. */
  readonly nowMs?: () => number;
  /** Bytes fit for secrets: new units, and secrets of releases without a secretFile. Default: the system's. */
  readonly randomBytes?: (size: number) => Uint8Array;
}

/** A configuration that can not be used. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  /** Every problem, in the order of the file; the message has them all. */
  readonly problems: readonly Diagnostic[];

  constructor(problems: readonly Diagnostic[]) {
    super(`The configuration can not be used.\n${problems.map(formatDiagnostic).join("\n")}`);
    this.problems = problems;
  }
}

/** Decides requests by a configuration. */
export interface Engine {
  /** Problems of the configuration that do not keep it from being used. */
  readonly warnings: readonly Diagnostic[];
  /** Decides one request. Never throws, whatever a client sent; a malformed request has no route. */
  decide(request: EngineRequest): EngineDecision;
  /** Decides one request and says why, stage by stage; what `perch explain --json` prints. Never throws. */
  explain(request: EngineRequest): Explanation;
  /**
   * Takes a new configuration into use, a text or a file as for `createEngine`; without one, the last file is read again.
   * Throws a `ConfigError` where it can not be used, and then the one before it stays.
   */
  reload(config?: string | { readonly file: string }): void;
}

/**
 * Makes an engine from a configuration, the YAML text or the file that holds it. Listeners, endpoints and everything
 * else about forwarding is checked and not used. Files are read here and in `reload` alone. Nothing is ever sent, so keys
 * for tokens come from files: a `jwksUrl` is refused.
 *
 * Give all header lines where you can (`request.headersDistinct` of `node:http`): a header that came twice counts as
 * absent, which a joined value does not show.
 *
 * @throws ConfigError where the configuration can not be used.
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
  /** One secret for the life of the engine: a reload must not void the pins that it signed before. */
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
  propagate: Object.freeze({}),
  attributes: Object.freeze({}),
});

function dryRequest({ remoteAddress, ...request }: EngineRequest): DryRequest {
  // Node adds the zone to a link-local address. What is no address, such as a socket's path, is as good as none.
  const address = remoteAddress === undefined ? undefined : parseAddress(remoteAddress.replace(/%.*$/, ""));
  return { ...request, client: address?.text };
}

function decisionOf({ route: taken, target, facts }: DryRun, { attributes }: CompiledConfig): EngineDecision {
  const values = attributes.map(({ name, type }, index): [string, PlainValue | null] => {
    const value = facts.attribute(index);
    return [name, value === undefined ? null : plainValue(type, value)];
  });
  if (target === undefined) {
    return { ...undecided, route: taken?.name ?? null, attributes: Object.fromEntries(values) };
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
    propagate: headersOf(propagated),
    attributes: Object.fromEntries(values),
  };
}

function headersOf(flat: readonly string[]): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  for (let i = 0; i < flat.length; i += 2) headers[flat[i] ?? ""] = flat[i + 1] ?? "";
  return headers;
}
