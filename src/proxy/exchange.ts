import type { Decision } from "../decide/decision.ts";
import { randomUnit } from "../decide/unit.ts";
import type { ErrorCode } from "../errors.ts";
import { normalHead } from "../http/path.ts";
import type { Caller, RequestHead } from "../http/request-head.ts";
import { RequestFacts } from "../identify/request-facts.ts";
import type { Outcome } from "../observe/outcome.ts";
import type { FaultKind } from "../observe/route-stats.ts";
import { Attempts } from "./attempts.ts";
import { affinityOf, decideRequest } from "./decide-request.ts";
import type { Fault } from "./fault.ts";
import type { LocalReply, Refusal } from "./local-reply.ts";
import { type Mirror, type MirroredRequest, type Mirroring, mirrorHeader } from "./mirror.ts";
import type { ProxyContext } from "./proxy-context.ts";
import { followLink, routeRedirect } from "./redirects.ts";
import type { Service, ServiceVersion } from "./service.ts";
import type { ActiveRelease, Route, Snapshot } from "./snapshot.ts";
import { Trace } from "./trace.ts";
import { spansOf } from "./trace-spans.ts";

/** What we accept as a request id from a trusted caller: short, and harmless in a log line and a header. */
const requestIdPattern = /^[\w.:=+/@-]{1,128}$/;

/**
 * One request's way through the chain: route → identify → decide → forward → observe.
 *
 * It knows no transport. A lane reads the head, calls `begin`, sends the request where `attempts` says, and calls `end`
 * exactly once, whatever happened.
 */
export class Exchange implements Outcome {
  readonly snapshot: Snapshot;
  readonly caller: Caller;
  readonly head: RequestHead;
  readonly facts: RequestFacts;
  readonly requestId: string;
  /** Undefined where traces are not configured. */
  readonly trace: Trace | undefined;
  route: Route | undefined;
  decision: Decision | undefined;
  /** How long it is held on purpose before it is forwarded, in milliseconds. */
  delayMs = 0;
  /** What was done to it on purpose. */
  fault: FaultKind | undefined;
  /** The path that goes upstream, where it is another than the client's. */
  upstreamPath: string | undefined;
  /** Set by `begin` where the request is to be forwarded. */
  attempts: Attempts | undefined;
  status = 0;
  /** How the call ended, where it is one of gRPC. */
  grpcStatus: number | undefined;
  error: ErrorCode | undefined;
  bytesReceived = 0;
  bytesSent = 0;
  durationMs = 0;
  readonly #context: ProxyContext;
  readonly #startedMs: number;
  readonly #nowMs: number;
  /** The path is none that everybody reads alike. */
  #refused: boolean;
  #ended = false;
  /** Whether it is one of those that the load counts. */
  #isLoad = false;
  #mirror: Mirror | "none" | undefined;

  constructor(context: ProxyContext, caller: Caller, head: RequestHead) {
    this.#context = context;
    this.#startedMs = context.monotonicMs();
    this.#nowMs = context.nowMs();
    this.snapshot = context.snapshot;
    this.caller = caller;
    const normal = this.snapshot.config.pathNormalisation === "on" ? normalHead(head) : head;
    this.#refused = normal === undefined;
    this.head = normal ?? head;
    const { attributes, trustedProxies } = this.snapshot;
    this.facts = new RequestFacts(attributes, this.head, caller, trustedProxies, this.#nowMs);
    this.requestId = acceptedRequestId(head, caller) ?? context.newRequestId();
    const { tracing } = this.snapshot.config;
    this.trace = tracing && new Trace(tracing, head, caller, context, this.#startedMs);
  }

  /** Finds the route, once: nothing is decided or counted yet, so a lane can still leave the request to another. */
  findRoute(): Route | undefined {
    if (this.route !== undefined || this.#refused) return this.route;
    const found = findRoute(this.snapshot, this.facts, this.#nowMs);
    if (found === "ambiguous") this.#refused = true;
    else this.route = found;
    return this.route;
  }

  /**
   * Route, identify, decide. An ending is the answer, and nothing was decided: `no-route`, a path that can not be told
   * (`bad-request`), one request too many of one requester (`rate-limited`) or of all (`overloaded`), or a redirect, the
   * route's or that of a tester's link; or it was, and is aborted on purpose (`fault`). Undefined: forward it. Attributes
   * are identified as conditions ask for them, so what no rule reads costs nothing.
   */
  begin(): LocalReply | undefined {
    const route = this.findRoute();
    if (route === undefined) return this.#refused ? "bad-request" : "no-route";
    const refusal = route.rateLimit?.refuse(this.facts, this.#startedMs);
    if (refusal !== undefined) return refusal;
    if (route.redirect !== undefined) return routeRedirect(route.redirect, this);
    this.#isLoad = this.#context.overload.admit(this.snapshot.config.limits);
    if (!this.#isLoad) return "overloaded";
    if (route.transforms?.rewrite !== undefined) {
      this.upstreamPath = route.transforms.rewrite.path(this.head.path);
      if (this.upstreamPath === undefined) return "bad-request";
    }
    const { service, release } = route;
    const { ownParameters } = this.snapshot;
    if (release !== undefined && ownParameters.size > 0) {
      const link = followLink(release.policy, this.head, this.facts, ownParameters, this.#nowMs);
      if (link !== undefined) return link;
    }
    if (release !== undefined) this.decision = this.#decide(release, service);
    const abort = route.fault && this.#strike(route.fault);
    if (abort !== undefined) return abort;
    const exact = this.decision?.reason === "override";
    const version = servedVersion(service, this.decision);
    const affinity = service.spec.balance === "hash" ? affinityOf(this.decision, this.facts) : undefined;
    const { method } = this.head;
    this.attempts = new Attempts(this.#context, service, method, version, exact, this.#nowMs, affinity);
    this.attempts.trace = this.trace;
    return undefined;
  }

  #strike(fault: Fault): Refusal | undefined {
    const { randomUnit: random, randomFraction } = this.#context;
    const unit = this.decision?.unit ?? randomUnit(random);
    const struck = { facts: this.facts, unit, nowMs: this.#nowMs, randomFraction };
    const status = fault.abortOf(struck);
    this.delayMs = status === undefined ? fault.delayOf(struck) : 0;
    if (status !== undefined) this.fault = "abort";
    else if (this.delayMs > 0) this.fault = "delay";
    return status === undefined ? undefined : { error: "fault", status, retryAfterSeconds: undefined };
  }

  #decide({ policy, stats }: ActiveRelease, service: Service): Decision {
    const decision = decideRequest(policy, this.head, this.facts, {
      caller: this.caller,
      service,
      nowMs: this.#nowMs,
      random: this.#context.randomUnit,
      rejected: (cause) => stats.pinRejected(cause),
    });
    stats.decided(decision.version, decision.reason, this.#nowMs);
    if (decision.rule !== undefined) stats.ruleHit(decision.rule);
    if (decision.flipped) stats.pinFlips.value++;
    return decision;
  }

  /**
   * The request is on a connection to its endpoint. A copy of it leaves now, where there is to be one: `order` says what
   * it is made of. A further attempt makes no further copy.
   */
  mirror(order: () => Omit<MirroredRequest, "mirroring">): Mirror | undefined {
    const mirroring = this.route?.mirroring;
    if (mirroring === undefined) return undefined;
    this.#mirror ??= this.#beginMirror(mirroring, order) ?? "none";
    return this.#mirror === "none" ? undefined : this.#mirror;
  }

  #beginMirror(mirroring: Mirroring, order: () => Omit<MirroredRequest, "mirroring">): Mirror | undefined {
    const verdict = mirroring.verdict({
      method: this.method,
      unit: this.decision?.unit,
      served: this.servedVersion ?? "",
      isCopy: this.caller.trusted && this.head.header(mirrorHeader) !== undefined,
    });
    return verdict === "copied" ? this.#context.mirrors.begin({ mirroring, ...order() }, this.#context) : undefined;
  }

  /** The Set-Cookie value of the pin to write with a final answer, or undefined. */
  setCookie(): string | undefined {
    const pin = this.decision?.pin;
    return pin === undefined ? undefined : this.route?.release?.policy.setCookie(pin, this.facts.isHttps);
  }

  /**
   * The one end of every request: counted, timed, logged. `status` is what the client got; an error says why where it
   * was Perch that answered, or where the answer was cut short.
   */
  end(status: number, error: ErrorCode | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#isLoad) this.#context.overload.release();
    this.attempts?.finished();
    if (typeof this.#mirror === "object") this.#mirror.requestEnded();
    this.status = status;
    this.error = error;
    this.durationMs = this.#context.monotonicMs() - this.#startedMs;
    const served = this.attempts?.served;
    const stats = served === undefined ? this.route?.ownStats : this.route?.stats?.[served.index];
    this.#context.observer.observe(this, stats ?? this.snapshot.noRouteStats);
    if (this.trace?.isSampled) this.#context.spans.add(spansOf(this, this.trace));
  }

  get traceId(): string | undefined {
    return this.trace?.traceId;
  }

  get sampledTrace(): Trace | undefined {
    return this.trace?.isSampled ? this.trace : undefined;
  }

  /** The largest body that the request may have, in bytes; 0: no limit. */
  get bodyBytes(): number {
    return this.findRoute()?.bodyBytes ?? this.snapshot.config.limits.bodyBytes;
  }

  get routeName(): string {
    return this.route?.name ?? "none";
  }

  get serviceName(): string | undefined {
    return this.route?.service?.name;
  }

  get releaseName(): string | undefined {
    return this.route?.release?.policy.name;
  }

  get servedVersion(): string | undefined {
    return this.attempts?.served.name;
  }

  get assignedVersion(): string | undefined {
    return this.decision?.version ?? this.servedVersion;
  }

  get reason(): string | undefined {
    return this.decision?.reason;
  }

  get ruleName(): string | undefined {
    return this.decision?.rule;
  }

  get fallback(): boolean {
    return this.attempts?.fallback ?? false;
  }

  get rescued(): boolean {
    return this.attempts?.rescued ?? false;
  }

  get method(): string {
    return this.head.method;
  }

  get host(): string {
    return this.head.host;
  }

  get path(): string {
    return this.head.path;
  }

  get clientAddressText(): string {
    return this.facts.clientAddress?.text ?? "";
  }

  get ttfbMs(): number | undefined {
    return this.attempts?.ttfbMs;
  }

  get errorCause(): string | undefined {
    return this.error === undefined ? undefined : this.attempts?.cause;
  }

  get upstream(): string | undefined {
    return this.attempts?.endpoint?.origin;
  }

  get attemptCount(): number {
    return this.attempts?.count ?? 0;
  }
}

/** A service that lacks the assigned version serves its default, so a chain needs canaries only where something changed. */
export function servedVersion(service: Service, decision: Decision | undefined): ServiceVersion {
  return (decision && service.versions.get(decision.version)) ?? service.defaultVersion;
}

function acceptedRequestId(head: RequestHead, caller: Caller): string | undefined {
  if (!caller.trusted) return undefined;
  const sent = head.header("x-request-id");
  return typeof sent === "string" && requestIdPattern.test(sent) ? sent : undefined;
}

/**
 * The route that takes a request. `ambiguous` where servers read the path in two ways, and the other way leads to another
 * route: whoever forwarded it could be made to pass what that route keeps out (path confusion).
 */
export function findRoute(
  { config, routes }: Snapshot,
  facts: RequestFacts,
  nowMs: number,
): Route | "ambiguous" | undefined {
  const route = routes.find(facts, nowMs);
  const path = config.pathNormalisation === "on" ? facts.otherPath : undefined;
  if (path === undefined) return route;
  const { method, host, isHttps } = facts;
  const header = (name: string) => facts.header(name);
  const query = (name: string) => facts.query(name);
  return routes.find({ method, host, isHttps, path, header, query }, nowMs) === route ? route : "ambiguous";
}
