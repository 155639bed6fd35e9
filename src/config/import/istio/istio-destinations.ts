import type { Draft, YamlMap } from "../draft.ts";
import { durationIn } from "../durations.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import type { SourceObject } from "../source-object.ts";
import type { ServicePorts } from "../weighted-versions.ts";

/** Resolves destinations of VirtualServices, with the DestinationRules of their hosts. */
export class IstioDestinations {
  readonly #rules: ReadonlyMap<string, Manifest>;
  readonly #ports: ServicePorts;
  readonly #draft: Draft;

  constructor(rules: readonly Manifest[], ports: ServicePorts, draft: Draft) {
    this.#rules = new Map(rules.map((rule) => [hostKey(rule.spec.text("host"), rule.namespace), rule]));
    for (const { spec } of rules) {
      // Who may see it in the mesh.
      spec.dismiss("exportTo");
      for (const subset of spec.objects("subsets")) subset.dismiss("name", "labels");
    }
    this.#ports = ports;
    this.#draft = draft;
  }

  /** The origin of a destination. Perch does not select Pods by label, so a subset needs its own Service. */
  origin(destination: SourceObject, namespace: string, where: string): string {
    const host = destination.text("host");
    const subset = destination.text("subset");
    const [service = "", ownNamespace = namespace] = host.split(".");
    const port = destination.object("port").number("number");
    const external = host.includes(".") && !host.includes(".svc") && host.split(".").length > 2;
    if (external && port === undefined) this.#draft.note(where, `the destination ${host} has no port, so 80 is used`);
    if (external) return `http://${host}:${port ?? 80}`;
    const ofService = this.#ports.origin("http", ownNamespace, service, port, where);
    if (subset === "") return ofService;
    const name = `${service}-${subset}`;
    const labels = this.#labels(host, namespace, subset);
    const selector =
      labels.length === 0
        ? "its Pods (the input has no DestinationRule with this subset)"
        : `{ ${labels.join(", ")} } in addition to the labels of ${service}`;
    this.#draft.note(
      where,
      `the subset ${subset} of ${service} needs its own Service: create ${ownNamespace}/${name}, which selects ${selector}`,
    );
    return ofService.replace(`//${service}.`, () => `//${name}.`);
  }

  /** The service settings for the host's traffic policy. */
  settings(host: string, namespace: string): YamlMap {
    const rule = this.#rules.get(hostKey(host, namespace));
    if (rule === undefined) return {};
    const policy = rule.spec.object("trafficPolicy");
    const where = titleOf(rule);
    const tls = policy.object("tls");
    if (policy.has("tls") && tls.text("mode") !== "DISABLE") {
      const how = "use https endpoints, and set `tls` on the service";
      this.#draft.noteLostProtection(where, `trafficPolicy.tls (${tls.text("mode")}) is not imported: ${how}`);
    }
    policy.dismiss("tls");
    return {
      ...balanceOf(policy.object("loadBalancer")),
      ...this.#outlier(policy.object("outlierDetection"), where),
      ...this.#pool(policy.object("connectionPool"), where),
    };
  }

  #outlier(detection: SourceObject, where: string): YamlMap {
    if (detection.keys().length === 0) return {};
    const positive = (key: string) => detection.take(key, (text) => (Number(text) >= 1 ? Number(text) : undefined));
    const ofAll = detection.number("consecutive5xxErrors");
    const gateway = ofAll === undefined || ofAll === 0 ? positive("consecutiveGatewayErrors") : undefined;
    if (ofAll === 0 && gateway === undefined) {
      this.#draft.note(where, "outlierDetection with consecutive5xxErrors 0 is not imported");
      detection.dismiss();
      return {};
    }
    const ejectFor = detection.take("baseEjectionTime", durationIn) ?? "";
    const percent = positive("maxEjectionPercent");
    return {
      outlier: {
        consecutiveFailures: gateway ?? ofAll ?? 5,
        ...(gateway === undefined ? {} : { failures: "gateway" }),
        ...(ejectFor === "" ? {} : { ejectFor }),
        ...(percent === undefined ? {} : { maxEjected: `${percent}%` }),
      },
    };
  }

  #pool(pool: SourceObject, where: string): YamlMap {
    const tcp = pool.object("tcp");
    const http = pool.object("http");
    const maxConnections = tcp.number("maxConnections");
    const maxInFlight = http.number("http2MaxRequests");
    const maxPending = http.number("http1MaxPendingRequests");
    if (maxPending !== undefined && maxInFlight === undefined) {
      this.#draft.note(where, "http1MaxPendingRequests without http2MaxRequests: no equivalent");
    }
    const connect = tcp.take("connectTimeout", durationIn) ?? "";
    const limits: YamlMap = {
      ...(maxConnections === undefined ? {} : { maxConnections }),
      ...(maxInFlight === undefined ? {} : { maxInFlight }),
      ...(maxPending === undefined || maxInFlight === undefined ? {} : { maxPending }),
    };
    return {
      ...(Object.keys(limits).length === 0 ? {} : { limits }),
      ...(connect === "" ? {} : { timeouts: { connect } }),
    };
  }

  #labels(host: string, namespace: string, subset: string): readonly string[] {
    const rule = this.#rules.get(hostKey(host, namespace));
    const found = rule?.spec.objects("subsets").find((one) => one.peek("name") === subset);
    const labels = found?.object("labels");
    return labels?.keys().map((key) => `${key}: ${labels.text(key)}`) ?? [];
  }
}

function balanceOf(balancer: SourceObject): YamlMap {
  if (balancer.has("consistentHash")) {
    balancer.object("consistentHash").dismiss("useSourceIp");
    return { balance: "hash" };
  }
  const balance = balancer.take("simple", (text) => balances.get(text));
  return balance === undefined ? {} : { balance };
}

const balances: ReadonlyMap<string, string> = new Map([
  ["ROUND_ROBIN", "round-robin"],
  ["LEAST_REQUEST", "least-in-flight"],
  ["LEAST_CONN", "least-in-flight"],
]);

/** In the namespace shop, reviews, reviews.shop and reviews.shop.svc.cluster.local are the same host. */
function hostKey(host: string, namespace: string): string {
  const [name = "", ownNamespace = namespace] = host.split(".");
  return `${ownNamespace}/${name}`;
}
