import type { RequestFacts } from "../identify/request-facts.ts";
import type { Condition } from "../upstream/endpoint-health.ts";
import { describeSpec } from "../upstream/endpoint-spec.ts";
import { affinityOf } from "./affinity.ts";
import type { DryTarget } from "./dry-run.ts";
import type { Service, ServiceVersion } from "./snapshot.ts";

const outages: Readonly<Record<Condition["state"], string>> = {
  up: "up",
  failing: "its checks fail",
  ejected: "ejected for its answers",
  refused: "refuses connections",
};

/** The endpoints as they are now. Whoever asks without serving knows no more of a name than that it is one. */
export function describeEndpoints({ spec }: Service, { name, endpoints }: ServiceVersion): string {
  const specs = spec.versions.find((version) => version.name === name)?.endpoints ?? [];
  const names = specs.filter(({ kind }) => kind === "dns").map(describeSpec);
  const known = endpoints.current.map(({ origin, up, health }) =>
    up ? origin : `${origin} (${outages[health.condition.state]})`,
  );
  if (names.length === 0) return known.join(", ");
  return `${known.join(", ") || "no address known here"} (${names.join(", ")})`;
}

/** Which of the endpoints the requester is kept on, where requesters are; undefined where they are not. */
export function describeHash(
  { route, decision, served }: DryTarget,
  facts: RequestFacts,
  nowMs: number,
): string | undefined {
  const { current } = served.endpoints;
  if (route.service.spec.balance !== "hash") return undefined;
  const affinity = affinityOf(decision, facts);
  const endpoint = served.balancer.pick(current, { nowMs, tried: [], affinity, randomFraction: () => 0 });
  if (endpoint === undefined) return undefined;
  if (affinity === undefined) return "balance hash: any endpoint, for nobody knows who asks";
  const whose = affinity === decision?.unit ? "this unit" : "this client's address";
  return `balance hash: ${whose} is kept on ${endpoint.origin}`;
}
