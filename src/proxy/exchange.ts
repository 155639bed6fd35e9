import type { Decision } from "../decide/decision.ts";
import { isPreflight } from "../decide/preflight.ts";
import { randomUnit } from "../decide/unit.ts";
import { type ErrorCode, firstCause, knownCause } from "../errors.ts";
import { routedHead } from "../http/path.ts";
import type { Caller, RequestHead } from "../http/request-head.ts";
import { RequestFacts } from "../identify/request-facts.ts";
import type { Outcome } from "../observe/outcome.ts";
import type { RolloutTap } from "../observe/rollout/rollout-tap.ts";
import type { FaultKind } from "../observe/route-stats.ts";
import { Attempts } from "./attempts.ts";
import { affinityOf, decideRequest, decisionContext } from "./decide-request.ts";
import type { Fault } from "./fault.ts";
import { findRoute } from "./find-route.ts";
import {
  grpcLocalResponse,
  type LocalReply,
  type LocalResponse,
  localResponse,
  type Refusal,
  refusal,
} from "./local-reply.ts";
import { type Mirror, type MirroredRequest, type Mirroring, mirrorHeader } from "./mirror.ts";
import type { ProxyContext } from "./proxy-context.ts";
import type { LimitVerdict } from "./rate-limit.ts";
import { followLink, routeRedirect } from "./redirects.ts";
import type { Service, ServiceVersion } from "./service.ts";
import type { ActiveRelease, Route, Snapshot } from "./snapshot.ts";
import { Trace } from "./trace.ts";
import { spansOf } from "./trace-spans.ts";

/**
 * One request in the chain: route → identify → decide → forward → observe.
 *
 * It does no I/O. A lane reads the head, calls `begin`, sends the request to the endpoints that `attempts` picks, and
 * calls `end` when the request is over, however it ended.
 */
export class Exchange implements Outcome {
  snapshot!: Snapshot;
  caller!: Caller;
  /** With the path that routes match. */
  head!: RequestHead;
  readonly facts: RequestFacts;
  requestId!: string;
  /** Undefined if tracing is not configured. */
  trace: Trace | undefined;
  route: Route | undefined;
  decision: Decision | undefined;
  /** Injected delay before the request is forwarded, in milliseconds. */
  delayMs = 0;
  /** How long the request waited for the verdict of a shared rate limit, in milliseconds. */
  limitWaitMs: number = Number.NaN;
  /** The injected fault. */
  fault: FaultKind | undefined;
  /** The path that goes upstream; undefined if it is the head's. */
  upstreamPath: string | undefined;
  /** The X-Forwarded-Prefix of the current attempt, if the response is mapped by prefix. */
  forwardedPrefix: string | undefined;
  /** Set by `begin` if the request is to be forwarded. */
  attempts: Attempts | undefined;
  status = 0;
  /** The status of a gRPC call. */
  grpcStatus: number | undefined;
  error: ErrorCode | undefined;
  /** Why Perch refused the request or cut its response, if not for a failed attempt alone. */
  failure: Refusal | undefined;
  bytesReceived = 0;
  bytesSent = 0;
  /** Not a number before the end. */
  durationMs: number = Number.NaN;
  readonly #context: ProxyContext;
  // Doubles from the start: V8 would give the first exchanges another shape.
  #startedMs: number = Number.NaN;
  #nowMs: number = Number.NaN;
  #received!: RequestHead;
  /** Servers may read the path differently (path confusion). */
  #isAmbiguous = false;
  #ended = false;
  /** Of a shared rate limit; undefined if none was asked for. */
  #verdict: LimitVerdict | undefined;
  /** Whether the overload manager counts it as in flight. */
  #isAdmitted = false;
  #mirror: Mirror | "none" | undefined;
  /** Of the rollout that the decision was made in, if the service has its candidate. */
  #tap: RolloutTap | undefined;
  /** Those of the first request, which serve the next ones too. */
  #ownAttempts: Attempts | undefined;

  constructor(context: ProxyContext, caller: Caller, head: RequestHead) {
    const { attributes, trustedProxies } = context.snapshot;
    this.#context = context;
    this.facts = new RequestFacts(attributes, head, caller, trustedProxies, 0);
    this.restart(caller, head);
  }

  /**
   * Makes it the exchange of another request, for a lane that uses one object for many requests, one after the other.
   * The request before must have ended, and `mayRestart` must hold.
   */
  restart(caller: Caller, head: RequestHead): void {
    const context = this.#context;
    this.#startedMs = context.monotonicMs();
    this.#nowMs = context.nowMs();
    this.snapshot = context.snapshot;
    this.caller = caller;
    const routed = head.pathIsPlain ? head : routedHead(head, this.snapshot.config);
    this.#isAmbiguous = routed === undefined;
    this.head = routed ?? head;
    this.#received = head;
    const { attributes, trustedProxies } = this.snapshot;
    this.facts.restart(attributes, this.head, caller, trustedProxies, this.#nowMs);
    this.requestId = acceptedRequestId(head, caller) ?? context.newRequestId();
    const { tracing } = this.snapshot.config;
    this.trace = tracing && new Trace(tracing, head, caller, context, this.#startedMs);
    this.route = undefined;
    this.decision = undefined;
    this.delayMs = 0;
    this.limitWaitMs = 0;
    this.fault = undefined;
    this.upstreamPath = undefined;
    this.forwardedPrefix = undefined;
    this.attempts = undefined;
    this.status = 0;
    this.grpcStatus = undefined;
    this.error = undefined;
    this.failure = undefined;
    this.bytesReceived = 0;
    this.bytesSent = 0;
    this.durationMs = Number.NaN;
    this.#ended = false;
    this.#verdict = undefined;
    this.#isAdmitted = false;
    this.#mirror = undefined;
    this.#tap = undefined;
  }

  /**
   * Whether nothing outside refers to it any more. Call after its end. What took an unusual way may still be referred to:
   * by another attempt's events, a mirrored request or a trace.
   */
  get mayRestart(): boolean {
    const wasForwardedOnce = this.attempts?.count === 1 && this.error === undefined;
    const isPlain = this.attempts === undefined || wasForwardedOnce;
    return this.#ended && isPlain && this.delayMs === 0 && typeof this.#mirror !== "object" && this.trace === undefined;
  }

  /** Finds the route, once. Decides and counts nothing, so the request can still be handed over to the other lane. */
  findRoute(): Route | undefined {
    if (this.route !== undefined || this.#isAmbiguous) return this.route;
    const found = findRoute(this.snapshot, this.facts, this.#nowMs);
    if (found === "ambiguous") this.#isAmbiguous = true;
    else this.route = found;
    return this.route;
  }

  /**
   * Asks for the verdict of the route's rate limit if it is shared with other processes. True: `onVerdict` is called
   * once, later, with whether it brings an answer; call `begin` then. False: call `begin` now.
   */
  awaitsVerdict(onVerdict: (event: "answer" | "no answer") => void): boolean {
    const limit = this.findRoute()?.rateLimit;
    if (limit?.isShared !== true) return false;
    const verdict = limit.ask(this.facts, this.#startedMs, (late, event) => {
      this.#verdict = late;
      this.limitWaitMs = this.#context.monotonicMs() - this.#startedMs;
      onVerdict(event);
    });
    if (verdict === "asked") return true;
    this.#verdict = verdict;
    return false;
  }

  /**
   * Route, identify, decide. Returns a local reply, or undefined to forward the request. The replies, in order:
   * `no-route`, `bad-request` (an ambiguous path), `rate-limited`, the response to a preflight, the route's redirect,
   * `overloaded`, `bad-request` (no path for the upstream), the redirect of an override link, `fault`. Attributes are
   * identified when a condition reads them, so unread ones cost nothing.
   */
  begin(): LocalReply | undefined {
    const route = this.findRoute();
    if (route === undefined) {
      return this.#isAmbiguous ? refusal("bad-request", "ambiguous-path") : refusal("no-route", "no-match");
    }
    const limited = route.rateLimit && (this.#verdict ?? route.rateLimit.refuse(this.facts, this.#startedMs));
    if (limited !== undefined && limited !== "passed") return limited;
    if (route.cors !== undefined && isPreflight(this.facts)) return route.cors.preflight(this.head);
    if (route.redirect !== undefined) return routeRedirect(route.redirect, this);
    const shed = this.#context.overload.admit(this.snapshot.config.limits);
    if (shed !== undefined) return refusal("overloaded", shed);
    this.#isAdmitted = true;
    if (route.upstreamPath !== undefined) {
      this.upstreamPath = route.upstreamPath.for({ written: this.#received.path, matched: this.head.path });
      if (this.upstreamPath === undefined) return refusal("bad-request", "invalid-rewrite");
    }
    const { service, release } = route;
    const { ownParameters } = this.snapshot;
    if (release !== undefined && ownParameters.size > 0) {
      const link = followLink(release.policy, this.head, this.facts, ownParameters, this.#nowMs);
      if (link !== undefined) return link;
    }
    if (release !== undefined) this.decision = this.#decide(release, service);
    const abort = route.fault && this.#injectFault(route.fault);
    if (abort !== undefined) return abort;
    const exact = this.decision?.reason === "override";
    const version = servedVersion(service, this.decision);
    const affinity = service.spec.balance === "hash" ? affinityOf(this.decision, this.facts) : undefined;
    const { method } = this.head;
    this.#ownAttempts ??= new Attempts(this.#context);
    this.#ownAttempts.restart(service, method, version, exact, this.#nowMs, affinity);
    this.attempts = this.#ownAttempts;
    this.attempts.trace = this.trace;
    return undefined;
  }

  #injectFault(fault: Fault): Refusal | undefined {
    const { randomUnit: random, randomFraction } = this.#context;
    const unit = this.decision?.unit ?? randomUnit(random);
    const context = { facts: this.facts, unit, nowMs: this.#nowMs, randomFraction };
    const status = fault.abortOf(context);
    this.delayMs = status === undefined ? fault.delayOf(context) : 0;
    if (status !== undefined) this.fault = "abort";
    else if (this.delayMs > 0) this.fault = "delay";
    return status === undefined ? undefined : { error: "fault", cause: "abort", status };
  }

  #decide({ policy, stats, tap }: ActiveRelease, service: Service): Decision {
    const context = decisionContext.about(this.caller, service, this.#nowMs, this.#context.randomUnit, stats);
    const decision = decideRequest(policy, this.head, this.facts, context);
    if (decision.reason === "preflight") return decision;
    stats.decided(decision.version, decision.reason, this.#nowMs, decision.odds);
    if (decision.rule !== undefined) stats.ruleHit(decision.rule);
    if (decision.flipped) stats.pinFlips.value++;
    // A service without the candidate gives the same answers to both sides.
    if (tap.current !== undefined && service.versions.has(tap.current.candidate)) this.#tap = tap.current;
    return decision;
  }

  /**
   * Call when the request has a connection to its endpoint. Starts the mirrored request that `describe` returns, if the
   * route mirrors this one. Further attempts get the same mirror.
   */
  mirror(describe: () => Omit<MirroredRequest, "mirroring">): Mirror | undefined {
    const mirroring = this.route?.mirroring;
    if (mirroring === undefined) return undefined;
    this.#mirror ??= this.#beginMirror(mirroring, describe) ?? "none";
    return this.#mirror === "none" ? undefined : this.#mirror;
  }

  #beginMirror(mirroring: Mirroring, describe: () => Omit<MirroredRequest, "mirroring">): Mirror | undefined {
    const verdict = mirroring.verdict({
      method: this.method,
      unit: this.decision?.unit,
      served: this.servedVersion ?? "",
      isCopy: this.caller.trusted && this.head.header(mirrorHeader) !== undefined,
    });
    return verdict === "copied" ? this.#context.mirrors.begin({ mirroring, ...describe() }, this.#context) : undefined;
  }

  /** The Set-Cookie value of the pin to write with the final response, or undefined. */
  setCookie(): string | undefined {
    const pin = this.decision?.pin;
    return pin === undefined ? undefined : this.route?.release?.policy.setCookie(pin, this.facts.isHttps);
  }

  /** Renders the local reply to this request. An error is counted. `grpc`: an error in the format of gRPC. */
  localResponse(reply: LocalReply, accept: unknown, dialect: "http" | "grpc" = "http"): LocalResponse {
    const { requestId } = this;
    const isError = "error" in reply;
    if (isError) {
      this.failure = reply;
      this.#context.refused(reply.error, knownCause(reply));
    }
    const response =
      isError && dialect === "grpc"
        ? grpcLocalResponse(reply, requestId)
        : localResponse(reply, requestId, accept, this.attempts?.retryAfterSeconds, this.#corsFields());
    this.bytesSent = response.body.length;
    return response;
  }

  #corsFields(): readonly string[] {
    return this.route?.cors?.responseFields(this.head) ?? [];
  }

  /**
   * The single end of every request: counted, timed, logged. Further calls do nothing. `status` is that of the response;
   * `error` is the reason for a local reply or for an aborted response.
   */
  end(status: number, error: ErrorCode | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#isAdmitted) this.#context.overload.release();
    this.attempts?.finished();
    if (typeof this.#mirror === "object") this.#mirror.requestEnded();
    this.status = status;
    this.error = error;
    this.durationMs = this.#context.monotonicMs() - this.#startedMs;
    // A preflight got a version without a user who was assigned it: it must not count in comparisons of versions.
    const served = this.decision?.reason === "preflight" ? undefined : this.attempts?.served;
    const stats = served === undefined ? this.route?.localReplyStats : this.route?.stats?.[served.index];
    this.#context.observer.observe(this, stats ?? this.snapshot.noRouteStats);
    if (this.trace?.isSampled) this.#context.spans.add(spansOf(this, this.trace));
    if (this.#tap !== undefined && this.decision !== undefined) this.#tell(this.#tap, this.decision);
  }

  #tell(tap: RolloutTap, { version, unit, odds }: Decision): void {
    const side = tap.sideOf(version);
    if (side !== undefined) tap.observe(unit, side, odds, this);
  }

  get traceId(): string | undefined {
    return this.trace?.traceId;
  }

  get sampledTrace(): Trace | undefined {
    return this.trace?.isSampled ? this.trace : undefined;
  }

  /** Maximum size of the request body in bytes; 0: no limit. */
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

  get failedAttempt(): boolean {
    return this.attempts?.failedAttempt ?? false;
  }

  get unit(): string | undefined {
    const { decision, route } = this;
    if (decision?.unit === undefined || route?.release === undefined) return undefined;
    const { reason, odds } = decision;
    const isDrawnOrHeld = odds !== undefined || reason === "split" || reason === "pin";
    return isDrawnOrHeld ? route.release.policy.digestOf(decision.unit) : undefined;
  }

  get odds(): number | undefined {
    return this.decision?.odds;
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
    const { attempts } = this;
    return attempts === undefined || Number.isNaN(attempts.ttfbMs) ? undefined : attempts.ttfbMs;
  }

  get errorCause(): string | undefined {
    const { error, failure, attempts } = this;
    if (error === undefined) return undefined;
    if (failure?.error === error) return failure.cause;
    return (attempts?.failure === error ? attempts.cause : undefined) ?? firstCause(error);
  }

  get upstream(): string | undefined {
    return this.attempts?.endpoint?.origin;
  }

  get attemptCount(): number {
    return this.attempts?.count ?? 0;
  }
}

/** A service without the assigned version serves its default, so only the services that changed need a canary. */
export function servedVersion(service: Service, decision: Decision | undefined): ServiceVersion {
  return (decision && service.versions.get(decision.version)) ?? service.defaultVersion;
}

/** Ids accepted from a trusted caller: short, and safe in a log line and a header. */
const requestIdPattern = /^[\w.:=+/@-]{1,128}$/;

function acceptedRequestId(head: RequestHead, caller: Caller): string | undefined {
  if (!caller.trusted) return undefined;
  const sent = head.header("x-request-id");
  return typeof sent === "string" && requestIdPattern.test(sent) ? sent : undefined;
}
