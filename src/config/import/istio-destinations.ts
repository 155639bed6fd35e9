import type { Draft, YamlMap, YamlValue } from "./draft.ts";
import { type Loose, type Manifest, mapIn, mapsIn, numberIn, textIn, titleOf } from "./manifests.ts";
import type { ServicePorts } from "./weighted-versions.ts";

/** Resolves destinations of VirtualServices, with the DestinationRules of their hosts. */
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

  /** The origin of a destination. Perch does not select Pods by label, so a subset needs its own Service. */
  origin(destination: Loose, namespace: string, where: string): string {
    const host = textIn(destination["host"]);
    const subset = textIn(destination["subset"]);
    const [service = "", ownNamespace = namespace] = host.split(".");
    const port = numberIn(mapIn(destination["port"])["number"]);
    if (port === undefined) {
      this.#draft.note(where, `the destination ${host} has no port, so 80 is used`);
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
        ? "its Pods (the input has no DestinationRule with this subset)"
        : `{ ${labels.join(", ")} } in addition to the labels of ${service}`;
    this.#draft.note(
      where,
      `the subset ${subset} of ${service} needs its own Service: create ${ownNamespace}/${name}, which selects ${selector}`,
    );
    return this.#ports.origin("http", ownNamespace, name, port ?? 80, where);
  }

  /** The service settings for the host's traffic policy. */
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
      this.#draft.note(where, "http1MaxPendingRequests without http2MaxRequests: no equivalent");
    if (policy["tls"] !== undefined)
      this.#draft.note(where, "trafficPolicy.tls is not imported: use https endpoints, and set `tls` on the service");
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

/** In the namespace shop, reviews, reviews.shop and reviews.shop.svc.cluster.local are the same host. */
function hostKey(host: string, namespace: string): string {
  const [name = "", ownNamespace = namespace] = host.split(".");
  return `${ownNamespace}/${name}`;
}
