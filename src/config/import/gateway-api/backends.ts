import type { Draft, YamlMap } from "../draft.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { ServicePorts, speaksHttp2 } from "../service-ports.ts";
import type { SourceObject } from "../source-object.ts";
import type { WeightedBackend } from "../weighted-versions.ts";
import { BackendTls } from "./backend-tls.ts";
import { headerModifiers } from "./http-route-filters.ts";
import { ReferenceGrants } from "./reference-grants.ts";

/** The backends of a rule. */
export interface Backends {
  readonly valid: readonly Backend[];
  /** The sum of the weights of those that are not valid; requests to them got an error. */
  readonly invalidWeight: number;
}

export interface Backend extends WeightedBackend {
  readonly namespace: string;
  readonly port: number | undefined;
  /** `http2` if its Service says so. */
  readonly protocol: "http1" | "http2";
  /** `tls` of its service in Perch; undefined for plain HTTP. */
  readonly tls: YamlMap | undefined;
}

/** Reads backendRefs, with what Services and BackendTLSPolicies say of them. */
export class BackendReader {
  readonly #ports: ServicePorts;
  readonly #grants: ReferenceGrants;
  readonly #tls: BackendTls;
  readonly #draft: Draft;

  constructor(manifests: readonly Manifest[], draft: Draft) {
    this.#ports = new ServicePorts(manifests, draft);
    this.#grants = new ReferenceGrants(manifests);
    this.#tls = new BackendTls(manifests, draft);
    this.#draft = draft;
  }

  /** Names everything in BackendTLSPolicies that was not imported. */
  noteUnread(): void {
    this.#tls.noteUnread();
  }

  /** Filters that only a route of Perch has are those of `routeFilters`. */
  read(refs: readonly SourceObject[], route: Manifest): Backends {
    const ofRoute = routeFilters(refs);
    const found = refs.map((ref) => this.#read(ref, ofRoute, route));
    return {
      valid: found.flatMap(({ backend }) => (backend === undefined ? [] : [backend])),
      invalidWeight: found.reduce((sum, { backend, weight }) => sum + (backend === undefined ? weight : 0), 0),
    };
  }

  /** The endpoint of a headless Service, whose name has the addresses of its Pods; undefined for other Services. */
  podsOf({ namespace, name, port }: Backend, where: string): YamlMap | undefined {
    return this.#ports.pods(namespace, name, port, where);
  }

  #read(
    ref: SourceObject,
    ofRoute: readonly SourceObject[],
    route: Manifest,
  ): { readonly backend: Backend | undefined; readonly weight: number } {
    const where = titleOf(route);
    const name = ref.text("name");
    const kind = ref.text("kind") || "Service";
    const group = ref.text("group");
    const isImport = kind === "ServiceImport" && group === "multicluster.x-k8s.io";
    const namespace = ref.text("namespace") || route.namespace;
    const weight = Math.max(0, ref.number("weight") ?? 1);
    const invalid = (why: string) => {
      this.#draft.leftOut(where, `${ref.path} is left out: ${why}`);
      ref.dismiss();
      return { backend: undefined, weight };
    };
    if (name === "" || !(isImport || (kind === "Service" && group === ""))) {
      return invalid(`a backend of kind ${group === "" ? "" : `${group}/`}${kind} has no equivalent`);
    }
    const granted = this.#grants.allow(route, { namespace, group, kind, name });
    if (granted === "no") return invalid(`no ReferenceGrant allows the backend ${namespace}/${name}`);
    if (granted === "unknown") {
      const what = `${ref.path}: the backend is in the namespace ${namespace}, which needs a ReferenceGrant there; none is in the input, so it is taken as given`;
      this.#draft.note(where, what);
    }
    const port = ref.number("port");
    const servicePort = isImport ? undefined : this.#ports.port(namespace, name, port);
    const tls = this.#tls.of(namespace, name, servicePort?.text("name") ?? "");
    const scheme = tls === undefined ? "http" : "https";
    const appProtocol = servicePort?.text("appProtocol") ?? "";
    if (tls === undefined && /^(?:https|tls|kubernetes\.io\/wss)$/i.test(appProtocol)) {
      const what = `${ref.path}: appProtocol ${appProtocol} of its Service: where the gateway spoke TLS for it, Perch does not`;
      this.#draft.noteLostProtection(where, `${what}; add a BackendTLSPolicy, or write https endpoints`);
    }
    const origin = isImport
      ? `${scheme}://${name}.${namespace}.svc.clusterset.local:${port ?? 80}`
      : this.#ports.origin(scheme, namespace, name, port, where);
    const filters = ref.objects("filters").filter((filter) => !ofRoute.includes(filter));
    const settings = headerModifiers(filters, where, this.#draft);
    const protocol = speaksHttp2(servicePort) ? "http2" : "http1";
    const backend = { name, namespace, port, origin, weight, protocol, tls } as const;
    return { backend: Object.keys(settings).length === 0 ? backend : { ...backend, settings }, weight };
  }
}

/** With one backend alone its filters are those of all requests: these are for the route, not for the version. */
export function routeFilters(refs: readonly SourceObject[]): readonly SourceObject[] {
  const [ref, ...others] = refs;
  if (ref === undefined || others.length > 0) return [];
  return ref.objects("filters").filter((filter) => !/^Re(?:quest|sponse)HeaderModifier$/.test(filter.text("type")));
}
