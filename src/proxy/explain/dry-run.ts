import type { Decision, Trail, TrailEntry } from "../../decide/decision.ts";
import { type Address, parseAddress } from "../../decide/ip-address.ts";
import type { PinRejection } from "../../decide/pin.ts";
import type { RandomSource } from "../../decide/unit.ts";
import { defaultPorts } from "../../http/authority.ts";
import { receivedLines } from "../../http/forwarded.ts";
import { otherReadings, routedHead, withoutParameters } from "../../http/path.ts";
import { PlainHead, type PlainRequest } from "../../http/plain-head.ts";
import type { Caller, RequestHead } from "../../http/request-head.ts";
import type { AttributeTable } from "../../identify/attributes.ts";
import { RequestFacts } from "../../identify/request-facts.ts";
import { decideRequest } from "../decide-request.ts";
import { servedVersion } from "../exchange.ts";
import { findRoute } from "../find-route.ts";
import type { ServiceVersion } from "../service.ts";
import type { ForwardRoute, Route, Snapshot } from "../snapshot.ts";

/** One step of the chain: what it did with the request, and why. */
export interface ExplainedStep {
  readonly stage: "request" | "route" | "identify" | TrailEntry["stage"] | "forward" | "mirror";
  readonly outcome:
    | TrailEntry["outcome"]
    | "read"
    | "malformed"
    | "none"
    | "found"
    | "absent"
    | "rejected"
    | "served"
    | "default-served"
    | "kept"
    | "copied"
    | "not-copied"
    | "redirected"
    | "answered"
    | "so-configured"
    | "limited"
    | "fault"
    | "rewritten"
    | "edited"
    | "told"
    | "not-told";
  readonly detail: string;
}

export interface DryRequest extends PlainRequest {
  /** The caller's IP address. Default: unknown, as over a unix socket. */
  readonly client?: string | undefined;
  /** The name of the listener at which it arrives. Default: the first one of the URL's scheme. */
  readonly listener?: string | undefined;
}

export interface DryRunContext {
  /** Milliseconds since the Unix epoch. */
  readonly nowMs: number;
  /** For a new unit, if the request identifies none. */
  readonly random: RandomSource;
  /** Default: the snapshot's table, which counts unusable values in the metrics. */
  readonly attributes?: AttributeTable;
  readonly trail?: Trail;
}

/** The result of the chain up to the point where the request would be forwarded. */
export interface DryRun {
  readonly head: RequestHead;
  /** The path before normalisation. */
  readonly writtenPath: string;
  readonly caller: Caller;
  readonly facts: RequestFacts;
  readonly pinRejections: readonly PinRejection[];
  /** Undefined if no route matches. */
  readonly route: Route | undefined;
  /** Undefined if the request is not forwarded. */
  readonly target: DryTarget | undefined;
}

export interface DryTarget {
  readonly route: ForwardRoute;
  /** Undefined if the route has no release: the service's default serves. */
  readonly decision: Decision | undefined;
  /** By configuration. Endpoint failures could make the default version serve instead. */
  readonly served: ServiceVersion;
  /** The Set-Cookie value of the response. */
  readonly setCookie: string | undefined;
  /** The fields that propagate versions, flat: name, value. */
  readonly propagated: readonly string[];
}

/** Runs a described request through route, identify and decide, as `Exchange` does for a received one. Sends nothing. */
export function dryRun(
  snapshot: Snapshot,
  request: DryRequest,
  context: DryRunContext,
): DryRun | { readonly problem: string } {
  const described = PlainHead.read(request);
  if ("problem" in described) return described;
  const { config } = snapshot;
  const head = routedHead(described, config);
  if (head === undefined) {
    const path = JSON.stringify(described.path);
    return withoutParameters(described.path, config.pathParameters) === undefined
      ? { problem: `${path} has a path parameter, which pathParameters: ${config.pathParameters} refuses` }
      : { problem: `${path} is an ambiguous path: servers read it differently` };
  }
  const address = request.client === undefined ? undefined : parseAddress(request.client);
  if (request.client !== undefined && address === undefined) {
    return { problem: `${JSON.stringify(request.client)} is not an IP address` };
  }
  const { listener } = request;
  if (listener !== undefined && !config.listeners.some(({ name }) => name === listener)) {
    return { problem: `${JSON.stringify(listener)} is no listener of the configuration` };
  }
  const caller = callerAt(address, listener, described, snapshot);
  const facts = new RequestFacts(
    context.attributes ?? snapshot.attributes,
    head,
    caller,
    snapshot.trustedProxies,
    context.nowMs,
  );
  const pinRejections: PinRejection[] = [];
  const route = findRoute(snapshot, facts, context.nowMs);
  if (route === "ambiguous") {
    const others = otherReadings(head.path, config.pathParameters).map((path) => JSON.stringify(path));
    const reading = others.length === 0 ? "in normal form" : `read as ${others.join(" or ")}`;
    return { problem: `${JSON.stringify(head.path)} is ambiguous: ${reading}, it matches another route` };
  }
  const forwarded = route?.redirect === undefined ? route : undefined;
  const target = forwarded && decideFor(snapshot, forwarded, head, caller, facts, context, pinRejections);
  return { head, writtenPath: described.path, caller, facts, pinRejections, route, target };
}

function callerAt(
  address: Address | undefined,
  named: string | undefined,
  { scheme }: PlainHead,
  { config, trustedProxies }: Snapshot,
): Caller {
  const trusted = address !== undefined && trustedProxies.some((range) => range.contains(address));
  const usual = config.listeners.find(({ tls }) => (tls !== undefined) === (scheme === "https")) ?? config.listeners[0];
  return { address, trusted, scheme, localPort: defaultPorts[scheme], listener: named ?? usual?.name ?? "" };
}

function decideFor(
  snapshot: Snapshot,
  route: ForwardRoute,
  head: RequestHead,
  caller: Caller,
  facts: RequestFacts,
  { nowMs, random, trail }: DryRunContext,
  rejections: PinRejection[],
): DryTarget {
  const { service, release } = route;
  const lines = receivedLines(head, "baggage");
  const propagated = (decision: Decision | undefined): readonly string[] =>
    snapshot.propagation.fields({ head, caller, service, release: release?.policy.name, decision }, lines?.join(","));
  if (release === undefined) {
    const served = service.defaultVersion;
    return { route, decision: undefined, served, setCookie: undefined, propagated: propagated(undefined) };
  }
  const context = {
    caller,
    service,
    nowMs,
    random,
    rejected: (cause: PinRejection) => void rejections.push(cause),
  };
  const decision = decideRequest(release.policy, head, facts, context, trail);
  return {
    route,
    decision,
    served: servedVersion(service, decision),
    setCookie: decision.pin && release.policy.setCookie(decision.pin, facts.isHttps),
    propagated: propagated(decision),
  };
}
