import type { Draft, YamlMap, YamlValue } from "./draft.ts";
import { type Loose, type Manifest, mapIn, mapsIn, numberIn, textIn, titleOf } from "./manifests.ts";
import type { ServicePorts } from "./weighted-versions.ts";

/** Hosts as VirtualServices name them, and what DestinationRules say of their subsets. */
export class IstioDestinations {
  readonly #rules: ReadonlyMap<string, Manifest>;
  readonly #ports: ServicePorts;
  readonly #draft: Draft;

  constructor(manifests: readonly Manifest[], ports: ServicePorts, draft: Draft) {
    const rules = manifests.filter(({ kind, group }) => kind === "DestinationRule" && group === "networking.istio.io");
    this.#rules = new Map(rules.map((rule) => [hostKey(textIn(rule.spec["host"]), rule.namespace), rule]));
    this.#ports = ports;
    this.#draft = draft;
  }

  /** Where a destination is reached. Perch knows no labels: a subset needs a Service that selects its Pods. */
  origin(destination: Loose, namespace: string, where: string): string {
    const host = textIn(destination["host"]);
    const subset = textIn(destination["subset"]);
    const [service = "", ownNamespace = namespace] = host.split(".");
    const port = numberIn(mapIn(destination["port"])["number"]);
    if (port === undefined) {
      this.#draft.note(where, `the port of ${host} is not named, so 80 stands in its place`);
    }
    const external = host.includes(".") && !host.includes(".svc") && host.split(".").length > 2;
    if (external) return `http://${host}:${port ?? 80}`;
    if (subset === "") return this.#ports.origin("http", ownNamespace, service, port ?? 80, where);
    const name = `${service}-${subset}`;
    const labels = Object.entries(this.#labels(host, namespace, subset)).map(
      ([key, value]) => `${key}: ${textIn(value)}`,
    );
    const selector =
      labels.length === 0
        ? "its Pods (no DestinationRule in the input names them)"
        : `{ ${labels.join(", ")} } beside the labels of ${service}`;
    this.#draft.note(
      where,
      `the subset ${subset} of ${service} needs a Service of its own: make ${ownNamespace}/${name}, which selects ${selector}`,
    );
    return this.#ports.origin("http", ownNamespace, name, port ?? 80, where);
  }

  /** What the host's traffic policy comes to. */
  settings(host: string, namespace: string): YamlMap {
    const rule = this.#rules.get(hostKey(host, namespace));
    if (rule === undefined) return {};
    const policy = mapIn(rule.spec["trafficPolicy"]);
    const where = titleOf(rule);
    return { ...balanceOf(policy), ...this.#outlier(mapIn(policy["outlierDetection"])), ...this.#pool(policy, where) };
  }

  #outlier(detection: Loose): YamlMap {
    const failures = numberIn(detection["consecutive5xxErrors"]) ?? numberIn(detection["consecutiveGatewayErrors"]);
    const ejectFor = textIn(detection["baseEjectionTime"]);
    const percent = numberIn(detection["maxEjectionPercent"]);
    if (Object.keys(detection).length === 0) return {};
    return {
      outlier: {
        consecutiveFailures: failures ?? 5,
        ...(ejectFor === "" ? {} : { ejectFor }),
        ...(percent === undefined ? {} : { maxEjected: `${percent}%` }),
      },
    };
  }

  #pool(policy: Loose, where: string): YamlMap {
    const { tcp, http } = mapIn(policy["connectionPool"]);
    const maxConnections = numberIn(mapIn(tcp)["maxConnections"]);
    const maxPending = numberIn(mapIn(http)["http1MaxPendingRequests"]);
    const maxInFlight = numberIn(mapIn(http)["http2MaxRequests"]);
    const connect = textIn(mapIn(tcp)["connectTimeout"]);
    const limits: Record<string, YamlValue> = {};
    if (maxConnections !== undefined) limits["maxConnections"] = maxConnections;
    if (maxInFlight !== undefined) limits["maxInFlight"] = maxInFlight;
    if (maxPending !== undefined && maxInFlight !== undefined) limits["maxPending"] = maxPending;
    else if (maxPending !== undefined)
      this.#draft.note(where, "http1MaxPendingRequests without http2MaxRequests: no equivalent here");
    if (policy["tls"] !== undefined)
      this.#draft.note(where, "trafficPolicy.tls: name https endpoints and `tls` on the service");
    return {
      ...(Object.keys(limits).length === 0 ? {} : { limits }),
      ...(connect === "" ? {} : { timeouts: { connect } }),
    };
  }

  #labels(host: string, namespace: string, subset: string): Loose {
    const rule = this.#rules.get(hostKey(host, namespace));
    const found = mapsIn(rule?.spec["subsets"]).find((one) => textIn(one["name"]) === subset);
    return mapIn(found?.["labels"]);
  }
}

function balanceOf(policy: Loose): YamlMap {
  const { simple, consistentHash } = mapIn(policy["loadBalancer"]);
  if (consistentHash !== undefined) return { balance: "hash" };
  switch (textIn(simple)) {
    case "ROUND_ROBIN":
      return { balance: "round-robin" };
    case "LEAST_REQUEST":
    case "LEAST_CONN":
      return { balance: "least-in-flight" };
    default:
      return {};
  }
}

/** reviews, reviews.shop and reviews.shop.svc.cluster.local are one host in the namespace shop. */
function hostKey(host: string, namespace: string): string {
  const [name = "", ownNamespace = namespace] = host.split(".");
  return `${ownNamespace}/${name}`;
}
