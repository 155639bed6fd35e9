import { type Draft, lossOf } from "./draft.ts";
import { type Manifest, titleOf } from "./manifests.ts";
import { traefikGroups } from "./traefik/traefik.ts";

/** A kind that an importer reads, with the versions of its API whose fields it knows. */
interface ReadKind {
  readonly kind: string;
  readonly group: string;
  readonly versions: readonly string[];
}

const ofTraefik = (kind: string): ReadKind[] => traefikGroups.map((group) => ({ kind, group, versions: ["v1alpha1"] }));

/** Kinds with routes. An importer that is added adds its kinds here. */
const routing: readonly ReadKind[] = [
  { kind: "Ingress", group: "networking.k8s.io", versions: ["v1", "v1beta1"] },
  { kind: "Ingress", group: "extensions", versions: ["v1beta1"] },
  { kind: "HTTPRoute", group: "gateway.networking.k8s.io", versions: ["v1", "v1beta1", "v1alpha2"] },
  { kind: "GRPCRoute", group: "gateway.networking.k8s.io", versions: ["v1", "v1beta1", "v1alpha2"] },
  { kind: "VirtualService", group: "networking.istio.io", versions: ["v1", "v1beta1", "v1alpha3"] },
  ...ofTraefik("IngressRoute"),
  { kind: "Rollout", group: "argoproj.io", versions: ["v1alpha1"] },
  { kind: "Canary", group: "flagger.app", versions: ["v1beta1"] },
];

/** Kinds that those refer to. */
const referred: readonly ReadKind[] = [
  { kind: "DestinationRule", group: "networking.istio.io", versions: ["v1", "v1beta1", "v1alpha3"] },
  { kind: "ServiceEntry", group: "networking.istio.io", versions: ["v1", "v1beta1", "v1alpha3"] },
  { kind: "Gateway", group: "networking.istio.io", versions: ["v1", "v1beta1", "v1alpha3"] },
  { kind: "Gateway", group: "gateway.networking.k8s.io", versions: ["v1", "v1beta1", "v1alpha2"] },
  { kind: "GatewayClass", group: "gateway.networking.k8s.io", versions: ["v1", "v1beta1", "v1alpha2"] },
  { kind: "ReferenceGrant", group: "gateway.networking.k8s.io", versions: ["v1", "v1beta1", "v1alpha2"] },
  { kind: "ListenerSet", group: "gateway.networking.k8s.io", versions: ["v1"] },
  { kind: "XListenerSet", group: "gateway.networking.x-k8s.io", versions: ["v1alpha1"] },
  { kind: "BackendTLSPolicy", group: "gateway.networking.k8s.io", versions: ["v1", "v1alpha3", "v1alpha2"] },
  { kind: "IngressClass", group: "networking.k8s.io", versions: ["v1", "v1beta1"] },
  ...["Middleware", "TraefikService", "ServersTransport", "TLSOption"].flatMap(ofTraefik),
  { kind: "AnalysisTemplate", group: "argoproj.io", versions: ["v1alpha1"] },
  { kind: "ClusterAnalysisTemplate", group: "argoproj.io", versions: ["v1alpha1"] },
  { kind: "MetricTemplate", group: "flagger.app", versions: ["v1beta1"] },
  { kind: "ConfigMap", group: "", versions: ["v1"] },
  { kind: "Namespace", group: "", versions: ["v1"] },
  { kind: "Secret", group: "", versions: ["v1"] },
  { kind: "Service", group: "", versions: ["v1"] },
];

const read = new Map<string, readonly string[]>(
  [...routing, ...referred].map(({ kind, group, versions }) => [`${group} ${kind}`, versions]),
);

/** Groups of Kubernetes itself that have nothing to do with routes of HTTP. Their objects stay as they are. */
const unrelated: ReadonlySet<string> = new Set([
  "",
  "apps",
  "autoscaling",
  "batch",
  "coordination.k8s.io",
  "discovery.k8s.io",
  "policy",
  "rbac.authorization.k8s.io",
  "scheduling.k8s.io",
  "storage.k8s.io",
  "apiextensions.k8s.io",
]);

/** Kinds of other routers, and what to do about them. */
const advice: ReadonlyMap<string, string> = new Map([
  ["gateway.networking.k8s.io TLSRoute", "Perch does not forward TLS as it is: keep its listener elsewhere"],
  ["gateway.networking.k8s.io TCPRoute", "Perch serves HTTP only: keep its listener elsewhere"],
  ["gateway.networking.k8s.io UDPRoute", "Perch serves HTTP only: keep its listener elsewhere"],
  ...traefikGroups.flatMap((group): [string, string][] => [
    [`${group} IngressRouteTCP`, "Perch serves HTTP only: keep its listener elsewhere"],
    [`${group} IngressRouteUDP`, "Perch serves HTTP only: keep its listener elsewhere"],
  ]),
  ["projectcontour.io HTTPProxy", "Contour's routes are not read: write them by hand"],
  ["apisix.apache.org ApisixRoute", "the routes of APISIX are not read: write them by hand"],
  ["serving.knative.dev Service", "Knative's traffic by revision is not read: write a release with its weights"],
  ["serving.knative.dev Route", "Knative's traffic by revision is not read: write a release with its weights"],
  ["split.smi-spec.io TrafficSplit", "weights between Services are not read: write a release with its weights"],
]);

/** Kinds that have no routes, and may say how the router is set up. */
const settings: ReadonlyMap<string, string> = new Map([
  ["file File", "it has no kind; of files of Traefik and of values of its chart only the entry points are read"],
  ["helm.cattle.io HelmChart", "of the values of Traefik's chart only the entry points are read"],
  ["helm.cattle.io HelmChartConfig", "of the values of Traefik's chart only the entry points are read"],
  ["helm.toolkit.fluxcd.io HelmRelease", "of the values of Traefik's chart only the entry points are read"],
  ...traefikGroups.map((group): [string, string] => [
    `${group} TLSStore`,
    "add its certificate to the listener that has TLS",
  ]),
]);

/** Groups of other routers, where the kind does not matter. */
const routers: ReadonlyMap<string, string> = new Map([
  ["appmesh.k8s.aws", "App Mesh is not read: write its routes by hand"],
  ["linkerd.io", "Linkerd is not read: write its routes by hand"],
  ["policy.linkerd.io", "Linkerd is not read: write its routes by hand"],
  ["projectcontour.io", "Contour is not read"],
  ["apisix.apache.org", "APISIX is not read"],
  ["getambassador.io", "Emissary is not read: write its routes by hand"],
  ["k8s.nginx.org", "the kinds of NGINX Ingress Controller are not read: write their routes by hand"],
  ["configuration.konghq.com", "the kinds of Kong are not read: write what they do by hand"],
  ["route.openshift.io", "OpenShift's routes are not read: write them by hand"],
]);

/** Kinds such as AuthorizationPolicy, PeerAuthentication and SecurityPolicy, which protect what they are attached to. */
const protective = /(?<!HealthCheck)Policy$|Authenti|Authoriz/;
/**
 * Kinds such as EnvoyFilter, WasmPlugin and Middleware, which may protect what they are attached to: it depends on what
 * they have, which is not read.
 */
const mayProtect =
  /[Aa]uth|OIDC|Oidc|OpenID|JWT|Jwt|JWK|Filter$|Plugin|Middleware|Wasm|RateLimit|WAF|Waf|ModSecurity|GlobalRule$|(?:Apisix|Kong)Consumer|ApisixTls$/;
const hasRoutes = /Route|Ingress|Proxy$|Mapping|ServiceProfile|VirtualServer|VirtualService|Split$|Canary$|Rollout$/;

export function isRead({ kind, group, version }: Manifest): boolean {
  return read.get(`${group} ${kind}`)?.includes(version) === true;
}

/** Names each object that is not read. Deployments and the like are only counted: they need no equivalent. */
export function noteUnreadKinds(manifests: readonly Manifest[], draft: Draft): void {
  const counted = new Map<string, number>();
  for (const manifest of manifests.filter((one) => !isRead(one))) {
    const { kind, group } = manifest;
    if (unrelated.has(group)) counted.set(kind, (counted.get(kind) ?? 0) + 1);
    else noteUnreadKind(manifest, draft);
  }
  if (counted.size === 0) return;
  const kinds = Array.from(counted, ([kind, count]) => `${count} ${kind}`).join(", ");
  draft.note("the input", `${kinds}: not read, as these have no routes`);
}

function noteUnreadKind(manifest: Manifest, draft: Draft): void {
  const { kind, group } = manifest;
  if (kind === "File" && draft.notes.some(({ where }) => where === titleOf(manifest))) return;
  if (kind === "NetworkPolicy") {
    draft.note(titleOf(manifest), "stays in force: it has to let Perch's Pods reach the Services");
    return;
  }
  const protects = protective.test(kind);
  const may = !protects && mayProtect.test(kind);
  const why = `${whyUnread(manifest)}${may ? "; it may have protected what it applied to" : ""}`;
  const loss = lossOf(protects || may);
  const isOfRouter = advice.has(`${group} ${kind}`) || hasRoutes.test(kind);
  if (isOfRouter) draft.leftOut(titleOf(manifest), `left out: ${why}`, loss);
  else draft.note(titleOf(manifest), `not imported: ${why}`, loss);
}

function whyUnread({ kind, group, version }: Manifest): string {
  const versions = read.get(`${group} ${kind}`);
  if (versions !== undefined) {
    return `its version ${group}/${version} is not read, only ${versions.join(", ")}: have kubectl print it again`;
  }
  const known = advice.get(`${group} ${kind}`) ?? settings.get(`${group} ${kind}`) ?? routers.get(group);
  if (known !== undefined) return known;
  const other = [...routing, ...referred].find((one) => one.kind === kind && one.group !== "");
  return other === undefined
    ? "Perch has no equivalent"
    : `its API group is ${group}, and of ${kind} only ${other.group} is read`;
}

/** Why nothing was imported: which kinds would be read, and which the input has. */
export function nothingToImport(manifests: readonly Manifest[]): string {
  const kinds = [
    ...new Set(
      manifests
        .filter(({ group }) => group !== "file")
        .map(({ kind, group }) => (group === "" ? kind : `${kind} of ${group}`)),
    ),
  ];
  const more = kinds.length > 10 ? ", …" : "";
  const found = kinds.length === 0 ? "" : ` (the input has ${kinds.slice(0, 10).join(", ")}${more})`;
  const wanted = [...new Set(routing.map(({ kind }) => kind))];
  const last = wanted.pop() ?? "";
  return `nothing to import: no ${wanted.join(", ")} or ${last} with a usable backend was found${found}`;
}
