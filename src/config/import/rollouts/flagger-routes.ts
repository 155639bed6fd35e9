import type { Draft } from "../draft.ts";
import { escaped } from "../escaped.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { isMap, type Loose, type SourceObject } from "../source-object.ts";

/** The Services that Flagger creates for a Canary. */
export function namesOf({ spec, name }: Manifest): {
  readonly apex: string;
  readonly primary: string;
  readonly candidate: string;
} {
  const apex = spec.object("service").text("name") || spec.object("targetRef").text("name") || name;
  return { apex, primary: `${apex}-primary`, candidate: `${apex}-canary` };
}

/** What says how Services and Pods are made, which Perch does not do. */
const ofServices = [
  "portName",
  "targetPort",
  "portDiscovery",
  "appProtocol",
  "trafficDistribution",
  "apex",
  "primary",
  "canary",
  "unmanagedMetadata",
] as const;

/** The objects with the routes that Flagger creates for a Canary: an HTTPRoute, or a VirtualService. */
export function flaggerRoutes(canary: Manifest, draft: Draft): readonly object[] {
  const service = canary.spec.object("service");
  const where = titleOf(canary);
  const protocol = service.text("appProtocol") || service.text("portName");
  if (/^(?:tcp|tls)/i.test(protocol)) {
    draft.note(where, `service: its Pods speak ${protocol}, and Perch serves HTTP only`);
  }
  if (/grpc|h2c|^http2/.test(protocol)) {
    draft.note(where, `service: its Pods speak ${protocol}, so set \`protocol: http2\` on the service`);
  }
  service.dismiss(...ofServices);
  if (service.flag("headless") === true) draft.note(where, "service.headless: use `{ dns: … }` endpoints for its Pods");
  if (service.flag("delegation") === true) {
    const how = "give Perch both as the cluster has them, or set the hosts by hand";
    draft.note(
      where,
      `service.delegation: Flagger writes a delegate, whose hosts are those of another VirtualService: ${how}`,
    );
  }
  if (service.has("mirror")) draft.note(where, "service.mirror: not imported; a release mirrors to its candidate only");
  service.dismiss("mirror", "meshName", "backends");
  const isGatewayApi = service.has("gatewayRefs");
  const made = isGatewayApi ? [httpRoute(canary, service)] : virtualService(canary, service);
  const unused = ["retries", "corsPolicy", "trafficPolicy"].filter((key) => isGatewayApi && service.has(key));
  if (unused.length > 0) draft.note(where, `service: ${unused.join(", ")}: not imported with gatewayRefs`);
  // Their importer names what it cannot express.
  service.dismiss();
  return made;
}

/** The TraefikService that Flagger creates with the provider traefik. */
export function traefikServiceOf(canary: Manifest): object {
  const { apex, primary, candidate } = namesOf(canary);
  const port = canary.spec.object("service").number("port") ?? 80;
  const services = [
    { name: primary, port, weight: 100 },
    { name: candidate, port, weight: 0 },
  ];
  return {
    apiVersion: "traefik.io/v1alpha1",
    kind: "TraefikService",
    metadata: metadataOf(canary, apex),
    spec: { weighted: { services } },
  };
}

function metadataOf({ namespace }: Manifest, name: string): Loose {
  return { name, namespace };
}

function virtualService(canary: Manifest, service: SourceObject): readonly object[] {
  const { apex, primary, candidate } = namesOf(canary);
  const port = service.number("port") ?? 80;
  const named = service.texts("hosts");
  const hosts = named.includes("*") || named.includes(apex) ? named : [...named, apex];
  const target = (host: string, weight: number) => ({ destination: { host, port: { number: port } }, weight });
  const route = {
    ...taken(service, ["match", "timeout", "retries", "headers", "corsPolicy"]),
    // The type is for an HTTPRoute.
    ...(service.has("rewrite") ? { rewrite: taken(service.object("rewrite"), ["uri", "authority"]) } : {}),
    route: [target(primary, 100), target(candidate, 0)],
  };
  const policy = service.peek("trafficPolicy");
  // One for both, as Perch has one policy for a service.
  const rules = policy === undefined ? [] : [{ host: primary, trafficPolicy: policy }];
  return [
    {
      apiVersion: "networking.istio.io/v1",
      kind: "VirtualService",
      metadata: metadataOf(canary, apex),
      spec: { ...taken(service, ["gateways"]), hosts, http: [route] },
    },
    ...rules.map((spec) => ({
      apiVersion: "networking.istio.io/v1",
      kind: "DestinationRule",
      metadata: metadataOf(canary, spec.host),
      spec,
    })),
  ];
}

function httpRoute(canary: Manifest, service: SourceObject): object {
  const { apex, primary, candidate } = namesOf(canary);
  const port = service.number("port") ?? 80;
  const matches = service.objects("match").map(gatewayMatch);
  const timeout = service.text("timeout");
  const backendTimeout = service.text("backendTimeout");
  const rule = {
    ...(matches.length === 0 ? {} : { matches }),
    filters: [...rewriteFilters(service), ...headerFilters(service)],
    timeouts: {
      ...(timeout === "" ? {} : { request: timeout }),
      ...(backendTimeout === "" ? {} : { backendRequest: backendTimeout }),
    },
    backendRefs: [
      { name: primary, port, weight: 100 },
      { name: candidate, port, weight: 0 },
    ],
  };
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: metadataOf(canary, apex),
    spec: {
      parentRefs: service.objects("gatewayRefs").map((parent) => parentRef(parent, port)),
      hostnames: service.texts("hosts"),
      rules: [rule],
    },
  };
}

/** A parent, which may be the Canary's own Service in a mesh. The one port that the Service has says nothing more. */
function parentRef(parent: SourceObject, port: number): Loose {
  const keys = parent.keys().filter((key) => key !== "group");
  const group = parent.text("group");
  const isOwnPort = parent.text("kind") === "Service" && parent.number("port") === port;
  return {
    ...taken(parent, isOwnPort ? keys.filter((key) => key !== "port") : keys),
    ...(parent.has("group") ? { group: group === "core" ? "" : group } : {}),
  };
}

/** A match of Istio as one of Gateway API. What it does not know keeps its name, so that its importer names it. */
function gatewayMatch(match: SourceObject): object {
  const uri = match.object("uri");
  const path = [
    ["prefix", "PathPrefix"],
    ["exact", "Exact"],
    ["regex", "RegularExpression"],
  ].flatMap(([key = "", type = ""]) => (uri.text(key) === "" ? [] : [{ type, value: uri.text(key) }]))[0];
  const method = match.object("method").text("exact");
  const headers = testsOf(match.object("headers"));
  const queryParams = testsOf(match.object("queryParams"));
  match.dismiss("name");
  const unknown = match.unread().map((one): [string, unknown] => [one.replace(/^.*\]\./, ""), true]);
  return {
    ...(path === undefined ? {} : { path }),
    ...(method === "" ? {} : { method }),
    ...(headers.length === 0 ? {} : { headers }),
    ...(queryParams.length === 0 ? {} : { queryParams }),
    ...Object.fromEntries(unknown),
  };
}

function testsOf(tests: SourceObject): readonly object[] {
  return tests.keys().map((name) => {
    const test = tests.object(name);
    const exact = test.text("exact");
    const [before, after] = [test.text("prefix"), test.text("suffix")];
    if (exact !== "") return { name, type: "Exact", value: exact };
    if (before !== "") return { name, type: "RegularExpression", value: `${escaped(before)}.*` };
    if (after !== "") return { name, type: "RegularExpression", value: `.*${escaped(after)}` };
    return { name, type: "RegularExpression", value: test.text("regex") };
  });
}

/** Flagger replaces the whole path, unless the type says the prefix. */
function rewriteFilters(service: SourceObject): readonly object[] {
  if (!service.has("rewrite")) return [];
  const rewrite = service.object("rewrite");
  const uri = rewrite.text("uri");
  const hostname = rewrite.text("authority");
  const isPrefix = rewrite.text("type") === "ReplacePrefixMatch";
  const path = isPrefix
    ? { type: "ReplacePrefixMatch", replacePrefixMatch: uri }
    : { type: "ReplaceFullPath", replaceFullPath: uri };
  const urlRewrite = { ...(hostname === "" ? {} : { hostname }), ...(uri === "" ? {} : { path }) };
  return [{ type: "URLRewrite", urlRewrite }];
}

function headerFilters(service: SourceObject): readonly object[] {
  const headers = service.object("headers");
  return (["request", "response"] as const).flatMap((message): object[] => {
    if (!headers.has(message)) return [];
    const edits = headers.object(message);
    const pairs = (key: string) => {
      const map = edits.object(key);
      return map.keys().map((name) => ({ name, value: map.text(name) }));
    };
    const modifier = { set: pairs("set"), add: pairs("add"), remove: edits.texts("remove") };
    return message === "request"
      ? [{ type: "RequestHeaderModifier", requestHeaderModifier: modifier }]
      : [{ type: "ResponseHeaderModifier", responseHeaderModifier: modifier }];
  });
}

function taken(service: SourceObject, keys: readonly string[]): Loose {
  return Object.fromEntries(
    keys.flatMap((key): [string, unknown][] => {
      const value = service.peek(key);
      return value === undefined || (isMap(value) && Object.keys(value).length === 0) ? [] : [[key, value]];
    }),
  );
}
