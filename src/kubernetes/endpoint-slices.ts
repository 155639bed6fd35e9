import { isIPv4, isIPv6 } from "node:net";
import type { ApiObject } from "./api-client.ts";

/**
 * What Perch reads of an EndpointSlice (discovery.k8s.io/v1). Anything may be missing or null.
 *
 * @see https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoint-slice-v1/
 */
export interface EndpointSlice extends ApiObject {
  readonly addressType?: string;
  readonly endpoints?: readonly SliceEndpoint[] | null;
  readonly ports?: readonly SlicePort[] | null;
}

interface SliceEndpoint {
  readonly addresses?: readonly string[] | null;
  readonly conditions?: {
    readonly ready?: boolean | null;
    readonly serving?: boolean | null;
    readonly terminating?: boolean | null;
  } | null;
  readonly hints?: { readonly forZones?: readonly { readonly name?: string }[] | null } | null;
  readonly targetRef?: { readonly kind?: string; readonly uid?: string } | null;
}

interface SlicePort {
  readonly name?: string | null;
  readonly port?: number | null;
  readonly protocol?: string | null;
}

/** Which endpoints of a Service are wanted. */
export interface EndpointQuery {
  /** A port's name in the Service, or the number that its Pods listen on. Undefined: the Service's only port. */
  readonly port: string | number | undefined;
  /** The zone that hints are compared with; undefined: hints are ignored. */
  readonly zone: string | undefined;
}

export interface PodAddress {
  readonly address: string;
  readonly port: number;
}

/** What the EndpointSlices of a Service say. */
export interface ServiceEndpoints {
  /** Those that get requests, sorted: the same endpoints in another order are not a change. */
  readonly used: readonly PodAddress[];
  /** How many there are of each state, whether used or not. */
  readonly counts: EndpointCounts;
  /** What is wrong with the slices or with what is asked of them, for users; empty: nothing. */
  readonly problems: readonly string[];
}

/** `terminating`: those that still serve, which get requests only while none is ready. */
export interface EndpointCounts {
  readonly ready: number;
  readonly terminating: number;
  readonly notReady: number;
}

/** Above what a cluster's Service has; whoever writes more slices must not take all memory. */
export const maxEndpoints = 10_000;

interface Candidate extends PodAddress {
  readonly family: 4 | 6;
  /** Of its Pod, if it is one. */
  readonly pod: string | undefined;
  readonly state: keyof EndpointCounts;
  /** Empty: without a hint. */
  readonly zones: readonly string[];
}

/**
 * Finds the endpoints that get new requests as kube-proxy does: the ready ones; if none is ready, those that terminate
 * and still serve. Of a Pod with addresses of both families, the IPv4 one. Of those, the ones hinted for the zone, if
 * every one has a hint and at least one is for it.
 *
 * @see https://github.com/kubernetes/enhancements/tree/master/keps/sig-network/1669-proxy-terminating-endpoints
 * @see https://kubernetes.io/docs/concepts/services-networking/topology-aware-routing/#safeguards
 */
export function readEndpoints(slices: Iterable<EndpointSlice>, { port, zone }: EndpointQuery): ServiceEndpoints {
  const problems = new Problems();
  const all = [...slices];
  const known = all.filter((slice) => isOfKnownType(slice, problems));
  const candidates = new Map<string, Candidate>();
  for (const slice of known) {
    const number = portIn(slice, port);
    if (number !== undefined) addCandidates(slice, number, candidates, problems);
  }
  if (all.length === 0) problems.add("it has no EndpointSlices: is there such a Service, and has it a selector?");
  else if (candidates.size === 0) problems.add(...explainNone(known, port));
  const found = oneFamilyEach([...candidates.values()]);
  const counts = { ready: 0, terminating: 0, notReady: 0 };
  for (const { state } of found) counts[state]++;
  const used =
    counts.ready > 0
      ? nearTo(
          zone,
          found.filter(({ state }) => state === "ready"),
        )
      : found.filter(({ state }) => state === "terminating");
  return { used: sorted(used), counts, problems: problems.texts };
}

/** Each text once, and not many: slices are written by others. */
class Problems {
  readonly #texts = new Set<string>();

  add(...texts: readonly string[]): void {
    for (const text of texts) if (this.#texts.size < 5) this.#texts.add(text);
  }

  get texts(): readonly string[] {
    return [...this.#texts];
  }
}

const familyOfType: ReadonlyMap<string, 4 | 6> = new Map([
  ["IPv4", 4],
  ["IPv6", 6],
]);

function isOfKnownType({ addressType = "", metadata }: EndpointSlice, problems: Problems): boolean {
  if (familyOfType.has(addressType)) return true;
  problems.add(`the EndpointSlice ${metadata.name} is ignored: its addressType is ${quote(addressType)}`);
  return false;
}

/** The ports by TCP that have a number. kube-proxy ignores the others too. */
function portsOf({ ports }: EndpointSlice): { readonly name: string; readonly number: number }[] {
  if (!Array.isArray(ports)) return [];
  return (ports as readonly (SlicePort | null)[]).flatMap((each) => {
    const number = each?.port ?? 0;
    const isUsable = Number.isInteger(number) && number > 0 && number <= 65_535 && (each?.protocol ?? "TCP") === "TCP";
    return isUsable ? [{ name: each?.name ?? "", number }] : [];
  });
}

function portIn(slice: EndpointSlice, wanted: EndpointQuery["port"]): number | undefined {
  const ports = portsOf(slice);
  if (wanted === undefined) return ports.length === 1 ? ports[0]?.number : undefined;
  return ports.find(({ name, number }) => wanted === (typeof wanted === "number" ? number : name))?.number;
}

function addCandidates(
  { addressType = "", endpoints, metadata }: EndpointSlice,
  port: number,
  candidates: Map<string, Candidate>,
  problems: Problems,
): void {
  const family = familyOfType.get(addressType) ?? 4;
  const isOfFamily = family === 4 ? isIPv4 : isIPv6;
  for (const endpoint of Array.isArray(endpoints) ? (endpoints as readonly SliceEndpoint[]) : []) {
    // All addresses of an endpoint lead to the same place, so the first will do (EndpointSlice v1, "addresses").
    const address = endpoint?.addresses?.[0];
    if (typeof address !== "string" || !isOfFamily(address) || address.includes("%")) {
      problems.add(`the EndpointSlice ${metadata.name} has an endpoint that is not an ${addressType} address`);
      continue;
    }
    const key = `${address} ${port}`;
    if (candidates.size >= maxEndpoints && !candidates.has(key)) {
      problems.add(`only the first ${maxEndpoints} endpoints are used`);
      return;
    }
    const { kind, uid } = endpoint.targetRef ?? {};
    const candidate = {
      address,
      port,
      family,
      pod: kind === "Pod" ? uid : undefined,
      state: stateOf(endpoint),
      zones: (endpoint.hints?.forZones ?? []).flatMap((zone) => zone?.name ?? []),
    } as const;
    candidates.set(key, later(candidates.get(key), candidate));
  }
}

/** Null means that the state is not known; each condition has its own default (EndpointSlice v1, "conditions"). */
function stateOf({ conditions }: SliceEndpoint): Candidate["state"] {
  if (conditions?.ready ?? true) return "ready";
  const isServing = conditions?.serving ?? true;
  return isServing && conditions?.terminating === true ? "terminating" : "notReady";
}

const stateOrder: readonly Candidate["state"][] = ["notReady", "ready", "terminating"];

/**
 * Of an endpoint that two slices have while it is moved from one to the other, the later state: a Pod becomes ready, and
 * in the end terminates.
 */
function later(one: Candidate | undefined, other: Candidate): Candidate {
  if (one === undefined) return other;
  return stateOrder.indexOf(one.state) > stateOrder.indexOf(other.state) ? one : other;
}

function oneFamilyEach(candidates: readonly Candidate[]): readonly Candidate[] {
  const podsByIPv4 = new Set(candidates.flatMap(({ family, pod }) => (family === 4 ? (pod ?? []) : [])));
  if (podsByIPv4.size === 0) return candidates;
  return candidates.filter(({ family, pod }) => family === 4 || pod === undefined || !podsByIPv4.has(pod));
}

function nearTo(zone: string | undefined, ready: readonly Candidate[]): readonly Candidate[] {
  if (zone === undefined || ready.some(({ zones }) => zones.length === 0)) return ready;
  const near = ready.filter(({ zones }) => zones.includes(zone));
  return near.length === 0 ? ready : near;
}

function explainNone(slices: readonly EndpointSlice[], wanted: EndpointQuery["port"]): string[] {
  // A Service without ready Pods may have slices without ports.
  const isFilled = slices.some(({ endpoints }) => Array.isArray(endpoints) && endpoints.length > 0);
  if (!isFilled || slices.some((slice) => portIn(slice, wanted) !== undefined)) return [];
  const ports = new Set(
    slices.flatMap(portsOf).map(({ name, number }) => `${name === "" ? "(no name)" : name} ${number}`),
  );
  const list = ports.size === 0 ? "they have no TCP port" : `there are ${[...ports].slice(0, 20).join(", ")}`;
  return [
    wanted === undefined
      ? `its EndpointSlices have not exactly one port, so say which: ${list}`
      : `its EndpointSlices have no port ${quote(String(wanted))}: ${list}`,
  ];
}

function sorted(candidates: readonly Candidate[]): readonly PodAddress[] {
  const byText = candidates.map(({ address, port }) => ({ address, port, text: `${address} ${port}` }));
  byText.sort((one, other) => (one.text < other.text ? -1 : 1));
  return byText.map(({ address, port }) => ({ address, port }));
}

const quote = (text: string): string => JSON.stringify(text.slice(0, 60));
