import { isDeepStrictEqual } from "node:util";
import type { GatewaySpec } from "../../compiled-config.ts";
import { gatewayGroup } from "../gateway-api/gateways.ts";
import type { Manifest } from "../manifests.ts";
import { isMap, type Loose } from "../source-object.ts";
import type { ClusterObject } from "./cluster.ts";
import type { CompiledGateway, CompiledGatewayApi, CompiledRoute, CompiledTlsPolicy } from "./compile-gateway.ts";
import { type Condition, conditionOf, type Problem } from "./conditions.ts";
import { isProgrammed, isUsable, type LiveListener } from "./live-listeners.ts";
import type { LiveParent } from "./live-parents.ts";

/** What the status of an object is to say. The status itself comes from it and from what stands there now. */
export interface WantedStatus {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** The status with our part as it is to be, and the parts of others as they are. `nowMs`: for conditions that change. */
  readonly merge: (status: Loose, nowMs: number) => Loose;
}

/** Whether the configuration that these statuses are about is active: undefined, or why it is not. */
export type Activation = Problem | undefined;

/** The statuses of all objects of ours. */
export function wantedStatuses(
  compiled: CompiledGatewayApi,
  { controllerName, addresses }: Pick<GatewaySpec, "controllerName" | "addresses">,
  activation: Activation,
): readonly WantedStatus[] {
  return [
    ...compiled.classes.map(classStatus),
    ...compiled.gateways.map((gateway) => gatewayStatus(gateway, compiled, addresses, activation)),
    ...compiled.routes.map((route) => routeStatus(route, controllerName)),
    ...compiled.tlsPolicies.map((policy) => tlsPolicyStatus(policy, controllerName)),
  ];
}

type EntriesKey = "parents" | "ancestors";

/** Where the statuses of a kind have an entry for each Gateway and controller; undefined if they have none. */
function entriesKeyOf(kind: string): EntriesKey | undefined {
  if (kind === "BackendTLSPolicy") return "ancestors";
  return kind === "HTTPRoute" || kind === "GRPCRoute" ? "parents" : undefined;
}

/** The status of an object that has nothing to do with Gateways of ours; undefined if no entry in it is ours. */
export function withoutOurs(
  { kind, namespace, name }: Pick<WantedStatus, "kind" | "namespace" | "name">,
  status: Loose,
  controllerName: string,
): WantedStatus | undefined {
  const key = entriesKeyOf(kind);
  if (key === undefined || !listIn(status, key).some((entry) => isOurs(entry, controllerName))) return undefined;
  const merge = (now: Loose) => ({ ...now, [key]: othersIn(now, key, controllerName) });
  return { kind, namespace, name, merge };
}

const placeOf = ({ kind, namespace, name }: Manifest) => ({ kind, namespace, name });

function classStatus({ manifest, generation }: ClusterObject): WantedStatus {
  const problem = manifest.spec.has("parametersRef")
    ? { reason: "InvalidParameters", message: "Perch takes no parameters (parametersRef)" }
    : undefined;
  return {
    ...placeOf(manifest),
    merge: (status, nowMs) => withConditions(status, [conditionOf("Accepted", problem)], generation, nowMs),
  };
}

function gatewayStatus(
  { manifest, generation, notAccepted }: CompiledGateway,
  { listeners, routes }: CompiledGatewayApi,
  addresses: readonly string[],
  activation: Activation,
): WantedStatus {
  const own = listeners.of(manifest);
  const unserved = new Set(routes.filter(({ isServed }) => !isServed).map((route) => route.manifest));
  const attachedTo = (listener: LiveListener) => [...listener.attached].filter((route) => !unserved.has(route)).length;
  const bad = own.filter((listener) => !isUsable(listener) || !isProgrammed(listener));
  const noneLeft = bad.length === own.length && own.length > 0;
  const invalid: Problem | undefined = noneLeft
    ? { reason: "Invalid", message: "none of its listeners can be served" }
    : undefined;
  const refused = own.length > 0 && own.every((listener) => !isUsable(listener));
  const accepted =
    notAccepted ??
    (refused ? { reason: "ListenersNotValid", message: "none of its listeners is accepted" } : undefined);
  const conditions = [
    conditionOf("Accepted", accepted, own.every(isUsable) ? "Accepted" : "ListenersNotValid"),
    conditionOf("Programmed", asProgrammed(accepted) ?? invalid ?? unusableAddress(manifest, addresses) ?? activation),
  ];
  return {
    ...placeOf(manifest),
    merge(status, nowMs) {
      const merged = withConditions(status, conditions, generation, nowMs);
      const before = new Map(listIn(status, "listeners").map((one) => [one["name"], one]));
      const published = addresses.map((value) => ({ type: typeOf(value), value }));
      return {
        ...merged,
        ...(published.length === 0 && status["addresses"] === undefined ? {} : { addresses: published }),
        listeners: own.map((one) => ({
          ...listenerStatus(one, before.get(one.section) ?? {}, activation, generation, nowMs),
          attachedRoutes: attachedTo(one),
        })),
      };
    },
  };
}

const asProgrammed = (problem: Problem | undefined): Problem | undefined =>
  problem && { reason: "Invalid", message: problem.message };

/** Perch's addresses are those of its Service, which a Gateway cannot change. */
function unusableAddress({ spec }: Manifest, addresses: readonly string[]): Problem | undefined {
  const other = spec
    .objects("addresses")
    .map((one) => one.text("value"))
    .find((value) => value !== "" && !addresses.includes(value));
  return other === undefined
    ? undefined
    : {
        reason: "AddressNotUsable",
        message: `Perch is not at ${other}; kubernetes.gateway.addresses says where it is`,
      };
}

const typeOf = (address: string): string => (/^[\d.]+$|:/.test(address) ? "IPAddress" : "Hostname");

function listenerStatus(
  listener: LiveListener,
  before: Loose,
  activation: Activation,
  generation: number,
  nowMs: number,
): Loose {
  const { section, kinds, notAccepted, conflict, unresolved } = listener;
  const accepted = notAccepted ?? conflict;
  const programmed = isProgrammed(listener)
    ? activation
    : { reason: "Invalid", message: (accepted ?? unresolved)?.message ?? "" };
  const conditions = [
    conditionOf("Accepted", accepted),
    conditionOf("Programmed", programmed),
    conditionOf("ResolvedRefs", unresolved),
    conflictCondition(conflict),
  ];
  const status = withConditions({ conditions: before["conditions"] }, conditions, generation, nowMs);
  const supportedKinds = kinds.map((kind) => ({ group: gatewayGroup, kind }));
  return { name: section, supportedKinds, ...status };
}

/** Its polarity is the other way round. */
function conflictCondition(conflict: Problem | undefined): Condition {
  return conflict === undefined
    ? { type: "Conflicted", status: "False", reason: "NoConflicts", message: "" }
    : { type: "Conflicted", status: "True", ...conflict };
}

function routeStatus(route: CompiledRoute, controllerName: string): WantedStatus {
  const { manifest, generation } = route;
  return {
    ...placeOf(manifest),
    merge: (status, nowMs) =>
      withEntries(
        status,
        { key: "parents", controllerName },
        route.parents.map((parent) => ({
          ref: { parentRef: parent.reference },
          conditions: routeConditions(route, parent),
        })),
        { generation, nowMs },
      ),
  };
}

function tlsPolicyStatus(policy: CompiledTlsPolicy, controllerName: string): WantedStatus {
  const { manifest, generation, gateways, notAccepted, unresolved } = policy;
  const conditions = [conditionOf("Accepted", notAccepted), conditionOf("ResolvedRefs", unresolved)];
  return {
    ...placeOf(manifest),
    merge: (status, nowMs) =>
      withEntries(
        status,
        { key: "ancestors", controllerName },
        gateways.map(({ namespace, name }) => ({
          ref: { ancestorRef: { group: gatewayGroup, kind: "Gateway", namespace, name } },
          conditions,
        })),
        { generation, nowMs },
      ),
  };
}

/** What is said of an object to one Gateway, or by one reference to it. */
interface Entry {
  readonly ref: Loose;
  readonly conditions: readonly Condition[];
}

/** The status with these entries of ours beside those of others. */
function withEntries(
  status: Loose,
  { key, controllerName }: { readonly key: EntriesKey; readonly controllerName: string },
  entries: readonly Entry[],
  { generation, nowMs }: { readonly generation: number; readonly nowMs: number },
): Loose {
  const room = Math.max(0, maxEntries[key] - othersIn(status, key, controllerName).length);
  const isOf = (one: Loose, ref: Loose) =>
    isOurs(one, controllerName) && Object.entries(ref).every(([name, value]) => isDeepStrictEqual(one[name], value));
  const merged = mergedInPlace(listIn(status, key), entries.slice(0, room), {
    isOurs: (one) => isOurs(one, controllerName),
    isSame: (one, { ref }) => isOf(one, ref),
    write({ ref, conditions }, known = {}) {
      const own = withConditions({ conditions: known["conditions"] }, conditions, generation, nowMs);
      return { ...ref, controllerName, conditions: own["conditions"] };
    },
  });
  return { ...status, [key]: merged };
}

interface Merging<T> {
  readonly isOurs: (one: Loose) => boolean;
  readonly isSame: (one: Loose, wanted: T) => boolean;
  readonly write: (wanted: T, known?: Loose) => Loose;
}

/**
 * The list with what is wanted of ours in the places that it has, and what is new at the end. Two controllers that each put
 * their part last would write it by turns for ever.
 */
function mergedInPlace<T>(list: readonly Loose[], wanted: readonly T[], { isOurs, isSame, write }: Merging<T>) {
  const left = new Set(wanted);
  const kept = list.flatMap((one): Loose[] => {
    if (!isOurs(one)) return [one];
    const own = [...left].find((each) => isSame(one, each));
    if (own === undefined) return [];
    left.delete(own);
    return [write(own, one)];
  });
  return [...kept, ...Array.from(left, (own) => write(own))];
}

/** By the CRDs. */
const maxEntries = { parents: 32, ancestors: 16 } as const;

function routeConditions(route: CompiledRoute, { notAccepted, hidden }: LiveParent): readonly Condition[] {
  const { unresolved, unsupported, isServed, policy } = route;
  const unknown = unsupported.length === 0 ? [] : [`Perch has no equivalent of ${unsupported.join("; ")}`];
  const reasons = [...unknown, ...(hidden === undefined ? [] : [hidden])];
  const dropped = reasons.length === 0 ? undefined : reasons.join("; ");
  const nothing =
    notAccepted === undefined && !isServed
      ? { reason: "UnsupportedValue", message: dropped ?? "none of its rules can be served; Perch's log says why" }
      : undefined;
  const partial: readonly Condition[] =
    dropped === undefined || nothing !== undefined || notAccepted !== undefined
      ? []
      : [{ type: "PartiallyInvalid", status: "True", reason: "UnsupportedValue", message: `Dropped Rule: ${dropped}` }];
  const applied =
    policy &&
    conditionOf(policyCondition, policy.problem === undefined ? undefined : invalidPolicy(policy.problem), "Applied");
  return [
    conditionOf("Accepted", notAccepted ?? nothing),
    conditionOf("ResolvedRefs", unresolved),
    ...partial,
    ...(applied === undefined ? [] : [applied]),
  ];
}

/** Whether the policies for a route are applied. */
const policyCondition = "perch.dev/Policy";
const invalidPolicy = (message: string): Problem => ({ reason: "Invalid", message });

const ours: ReadonlySet<unknown> = new Set([
  policyCondition,
  "Accepted",
  "Programmed",
  "ResolvedRefs",
  "Conflicted",
  "PartiallyInvalid",
]);

const maxMessage = 1_000;

/**
 * The status with these conditions. Those of types that Perch knows nothing of stay; the time of one changes with its
 * status only.
 */
function withConditions(status: Loose, conditions: readonly Condition[], generation: number, nowMs: number): Loose {
  const now = new Date(nowMs).toISOString().replace(/\.\d+Z$/, "Z");
  const merged = mergedInPlace(listIn(status, "conditions"), conditions, {
    isOurs: (one) => ours.has(one["type"]),
    isSame: (one, { type }) => one["type"] === type,
    write({ message, ...condition }, known = {}) {
      const stays = known["status"] === condition.status && typeof known["lastTransitionTime"] === "string";
      return {
        ...condition,
        message: message.slice(0, maxMessage),
        observedGeneration: generation,
        lastTransitionTime: stays ? known["lastTransitionTime"] : now,
      };
    },
  });
  return { ...status, conditions: merged };
}

const isOurs = (entry: Loose, controllerName: string): boolean => entry["controllerName"] === controllerName;

function othersIn(status: Loose, key: EntriesKey, controllerName: string): readonly Loose[] {
  return listIn(status, key).filter((entry) => !isOurs(entry, controllerName));
}

function listIn(status: Loose, key: string): readonly Loose[] {
  const value = status[key];
  return Array.isArray(value) ? value.filter(isMap) : [];
}
