import type { GatewaySpec } from "../../compiled-config.ts";
import { Draft, type YamlMap } from "../draft.ts";
import { routeFilters } from "../gateway-api/backends.ts";
import { headerModifiers } from "../gateway-api/http-route-filters.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { ServicePorts, speaksHttp2 } from "../service-ports.ts";
import type { SourceObject } from "../source-object.ts";
import type { Cluster } from "./cluster.ts";
import type { Problem } from "./conditions.ts";
import type { TlsPolicies } from "./tls-policies.ts";

/** A backend of a rule: a port of a Service. */
export interface LiveBackend {
  /** What it is, whatever its weight. */
  readonly identity: string;
  readonly name: string;
  readonly namespace: string;
  readonly port: number;
  readonly weight: number;
  /** As they are written. */
  readonly filters: string;
  /** Undefined if requests for it get an error. */
  readonly target: BackendTarget | undefined;
  /** Why it is not as the route wants it. */
  readonly problem: Problem | undefined;
}

export interface BackendTarget {
  readonly endpoint: string | YamlMap;
  readonly protocol: "http1" | "http2";
  /** Undefined: plain HTTP. */
  readonly tls: YamlMap | undefined;
  /** Edits of headers for this backend only. */
  readonly settings: YamlMap;
  /** Edits that have no equivalent. */
  readonly unsupported: readonly string[];
}

/** Each is a watch of its own, on a connection of its own. */
const maxFollowed = 1_000;
const tooMany = `routes lead to more than ${maxFollowed} Services: those of the youngest have their Services' cluster addresses, not their Pods`;

/** Reads backendRefs as a gateway in the cluster does: what is not there gets an error. */
export class LiveBackends {
  readonly #cluster: Cluster;
  readonly #ports: ServicePorts;
  readonly #policies: TlsPolicies;
  readonly #endpoints: GatewaySpec["endpoints"];
  readonly #draft: Draft;
  /** Services whose Pods are endpoints, as `namespace/name`. */
  readonly #followed = new Set<string>();

  constructor(cluster: Cluster, policies: TlsPolicies, endpoints: GatewaySpec["endpoints"], draft: Draft) {
    this.#cluster = cluster;
    this.#endpoints = endpoints;
    this.#ports = new ServicePorts(cluster.manifests, draft);
    this.#policies = policies;
    this.#draft = draft;
  }

  /** `alone`: the filters of a rule's only backend that are no edits of headers are those of the rule. */
  read(ref: SourceObject, route: Manifest, alone: boolean): LiveBackend {
    const name = ref.text("name");
    const namespace = ref.text("namespace") || route.namespace;
    const port = ref.number("port") ?? 0;
    const kind = ref.text("kind") || "Service";
    const group = ref.text("group");
    const weight = Math.max(0, ref.number("weight") ?? 1);
    const identity = `${group}/${kind}/${namespace}/${name}:${port}`;
    const found = this.#find({ namespace, name, port, kind, group }, ref, route, alone);
    const isProblem = "reason" in found;
    return {
      ...{ identity, name, namespace, port, weight },
      filters: JSON.stringify(ref.peek("filters") ?? []),
      target: isProblem ? undefined : found,
      problem: isProblem ? found : undefined,
    };
  }

  #find(
    {
      namespace,
      name,
      port,
      kind,
      group,
    }: { namespace: string; name: string; port: number; kind: string; group: string },
    ref: SourceObject,
    route: Manifest,
    alone: boolean,
  ): BackendTarget | Problem {
    if (kind !== "Service" || group !== "") {
      return { reason: "InvalidKind", message: `${ref.path}: ${group}/${kind} is not a Service` };
    }
    if (!this.#cluster.mayRefer(route, { namespace, group, kind, name })) {
      return { reason: "RefNotPermitted", message: `${ref.path}: no ReferenceGrant allows ${namespace}/${name}` };
    }
    const service = this.#cluster.service(namespace, name);
    const missing = (why: string): Problem => ({ reason: "BackendNotFound", message: `${ref.path}: ${why}` });
    if (service === undefined) return missing(`there is no Service ${namespace}/${name}`);
    // It could lead anywhere, past what the cluster's policies allow Perch's users.
    if (service.spec.peek("type") === "ExternalName") return missing(`Service ${namespace}/${name} is an ExternalName`);
    const servicePort = this.#ports.port(namespace, name, port);
    if (servicePort === undefined) return missing(`Service ${namespace}/${name} has no port ${port}`);
    const tls = this.#policies.settingsFor(route, namespace, name, servicePort.text("name"));
    if (tls !== undefined && "reason" in tls) return tls;
    const where = titleOf(route);
    const own = alone ? routeFilters([ref]) : [];
    const filters = ref.objects("filters").filter((filter) => !own.includes(filter));
    const other = filters.find((filter) => !/^Re(?:quest|sponse)HeaderModifier$/.test(filter.text("type")));
    if (other !== undefined) {
      const message = `${other.path}: a backend beside others has no equivalent of the filter ${other.text("type")}`;
      return { reason: "UnsupportedValue", message };
    }
    const scheme = tls === undefined ? "http" : "https";
    const edits = new Draft();
    const settings = headerModifiers(filters, where, edits);
    for (const { what } of edits.notes) this.#draft.note(where, what);
    return {
      endpoint: this.#endpointOf(scheme, service, port, where),
      protocol: route.kind === "GRPCRoute" || speaksHttp2(servicePort) ? "http2" : "http1",
      tls: tls?.settings,
      settings,
      unsupported: edits.notes.map(({ what }) => `${ref.path}: ${what}`),
    };
  }

  /** Its Pods by their slices; or its cluster address, which needs no DNS, and of a headless Service its Pods by DNS. */
  #endpointOf(scheme: "http" | "https", service: Manifest, port: number, where: string): string | YamlMap {
    const { namespace, name, spec } = service;
    const byScheme = scheme === "http" ? {} : { scheme };
    if (this.#endpoints === "pods" && this.#mayFollow(`${namespace}/${name}`)) {
      // A Service's only port needs no name.
      const portName = this.#ports.portName(namespace, name, port);
      return { kubernetes: { service: name, namespace, ...(portName === "" ? {} : { port: portName }) }, ...byScheme };
    }
    const pods = this.#ports.pods(namespace, name, port, where);
    if (pods !== undefined) return { ...pods, ...byScheme };
    const address = spec.text("clusterIP");
    const host = address === "" ? `${name}.${namespace}` : address.includes(":") ? `[${address}]` : address;
    return `${scheme}://${host}:${port}`;
  }

  /** Those that are asked for first, which are the older routes'. */
  #mayFollow(service: string): boolean {
    if (this.#followed.size < maxFollowed) this.#followed.add(service);
    const isFollowed = this.#followed.has(service);
    if (!isFollowed) this.#draft.note("kubernetes.gateway.endpoints", tooMany);
    return isFollowed;
  }
}

/** Of one service of Perch, all versions have these in common. */
export function sharedSettings(targets: readonly BackendTarget[]): { readonly settings: YamlMap } | Problem {
  const [first] = targets;
  if (first === undefined) return { settings: {} };
  if (targets.some(({ protocol }) => protocol !== first.protocol)) {
    return { reason: "UnsupportedProtocol", message: "its backends speak different protocols (HTTP/1.1 and HTTP/2)" };
  }
  if (targets.some(({ tls }) => JSON.stringify(tls) !== JSON.stringify(first.tls))) {
    return { reason: "UnsupportedValue", message: "the BackendTLSPolicies of its backends differ" };
  }
  const { protocol, tls = {} } = first;
  return {
    settings: {
      ...(protocol === "http2" ? { protocol } : {}),
      ...(Object.keys(tls).length > 0 ? { tls } : {}),
    },
  };
}
