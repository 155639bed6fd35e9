import { type Draft, isYamlMap, lossOf, type YamlMap, type YamlValue } from "../draft.ts";
import { covers } from "../hostnames.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { longestTimeout } from "../perch-limits.ts";
import type { ServicePorts } from "../service-ports.ts";
import type { SourceObject } from "../source-object.ts";
import { serviceIn } from "./istio-hosts.ts";
import type { EntryPort, ServiceEntries } from "./istio-service-entries.ts";
import { hashedRelease, type PolicySections, policySettings, schemeOf, sectionsOf } from "./istio-traffic-policy.ts";
import { isVisibleIn } from "./istio-visibility.ts";

/** Without a DestinationRule Istio waits ten seconds for a connection, and for everything else as long as it takes. */
const noTimeouts: YamlMap = { connect: "10s", responseHeaders: longestTimeout, idle: longestTimeout };

/** Where Istio itself is installed by default: rules of that namespace are for every client. */
const rootNamespace = "istio-system";

/** Who sends requests to a destination. */
export interface Caller {
  /** Of the route: short names of destinations are of it. */
  readonly namespace: string;
  /** The namespaces of the proxies that send the requests. */
  readonly proxies: readonly string[];
}

/** Resolves destinations of VirtualServices, with the DestinationRules of their hosts. */
export class IstioDestinations {
  /** Several rules of one host add their subsets. */
  readonly #rules = new Map<string, Manifest[]>();
  /** Rules of many hosts, as `*.shop.svc.cluster.local` is, those of the longest pattern first. */
  readonly #wide: readonly Manifest[];
  readonly #entries: ServiceEntries;
  readonly #ports: ServicePorts;
  readonly #draft: Draft;

  constructor(rules: readonly Manifest[], entries: ServiceEntries, ports: ServicePorts, draft: Draft) {
    const isWide = ({ spec }: Manifest) => String(spec.peek("host")).startsWith("*");
    const length = ({ spec }: Manifest) => spec.text("host").length;
    this.#wide = rules.filter(isWide).toSorted((a, b) => length(b) - length(a));
    this.#entries = entries;
    for (const rule of rules) {
      const key = hostKey(rule.spec.text("host"), rule.namespace);
      this.#rules.set(key, [...(this.#rules.get(key) ?? []), rule]);
      // Who may see it in the mesh.
      rule.spec.dismiss("exportTo");
      for (const subset of rule.spec.objects("subsets")) subset.dismiss("name", "labels");
    }
    this.#ports = ports;
    this.#draft = draft;
  }

  /** The origins of a destination: one, or the addresses that its ServiceEntry has. Perch does not select Pods by label, so a subset needs its own Service. */
  origins(destination: SourceObject, caller: Caller, where: string): readonly [string, ...string[]] {
    const entry = this.#entryOf(destination, caller);
    if (entry === undefined) return [this.#origin(destination, caller, where)];
    const scheme = schemeOf(this.#sections(destination, caller).tls);
    const [first, ...others] = entry.addresses;
    return [`${scheme}://${first}`, ...others.map((address) => `${scheme}://${address}`)];
  }

  #entryOf(destination: SourceObject, { proxies }: Caller): EntryPort | undefined {
    return this.#entries.find(destination.text("host"), destination.object("port").number("number"), proxies);
  }

  #origin(destination: SourceObject, caller: Caller, where: string): string {
    const host = destination.text("host");
    const subset = destination.text("subset");
    const service = serviceOf(host, caller.namespace);
    const scheme = schemeOf(this.#sections(destination, caller).tls);
    const port = destination.object("port").number("number");
    if (service === undefined && port === undefined) {
      this.#draft.note(where, `the destination ${host} has no port, so ${scheme === "https" ? 443 : 80} is used`);
    }
    if (service === undefined) return `${scheme}://${host}:${port ?? (scheme === "https" ? 443 : 80)}`;
    const ofService = this.#ports.origin(scheme, service.namespace, service.name, port, where);
    if (subset === "") return ofService;
    const name = `${service.name}-${subset}`;
    const labels = this.#labels(destination, caller, subset);
    const selector =
      labels.length === 0
        ? "its Pods (the input has no DestinationRule with this subset)"
        : `{ ${labels.join(", ")} } in addition to the labels of ${service.name}`;
    this.#draft.note(
      where,
      `the subset ${subset} of ${service.name} needs its own Service: create ${service.namespace}/${name}, which selects ${selector}`,
    );
    return ofService.replace(`//${service.name}.`, () => `//${name}.`);
  }

  /** The settings of the service whose versions these destinations are. What they do not share is noted. */
  settings(destinations: readonly SourceObject[], caller: Caller): YamlMap {
    const found = destinations.map((destination) => {
      const rule = this.#rulesOf(destination, caller)[0];
      const where = rule === undefined ? "" : titleOf(rule);
      const policy = policySettings(this.#sections(destination, caller), where, this.#draft);
      return { where, settings: { ...this.#protocol(destination, caller), ...policy } };
    });
    const [first] = found;
    if (first === undefined) return { timeouts: noTimeouts };
    const keys = new Set(found.flatMap(({ settings }) => Object.keys(settings)));
    const shared: Record<string, YamlValue> = {};
    for (const key of keys) {
      const values = new Set(found.map(({ settings }) => JSON.stringify(settings[key] ?? null)));
      const value = first.settings[key];
      if (values.size === 1 && value !== undefined) shared[key] = value;
      else this.#noteDifference(key, destinations, found);
    }
    const { timeouts = {}, ...others } = shared;
    return { ...others, timeouts: { ...noTimeouts, ...(isYamlMap(timeouts) ? timeouts : {}) } };
  }

  /** Istio takes the protocol from the Service's port. */
  #protocol(destination: SourceObject, caller: Caller): YamlMap {
    const entry = this.#entryOf(destination, caller);
    if (entry !== undefined) return entry.isHttp2 ? { protocol: "http2" } : {};
    const service = serviceOf(destination.text("host"), caller.namespace);
    const port = destination.object("port").number("number");
    const isHttp2 = service !== undefined && this.#ports.speaksHttp2(service.namespace, service.name, port);
    return isHttp2 ? { protocol: "http2" } : {};
  }

  /** The settings of a release for a service with `balance: hash`. */
  hashedRelease(destination: SourceObject | undefined, caller: Caller): YamlMap {
    if (destination === undefined) return {};
    return hashedRelease(this.#sections(destination, caller).loadBalancer, this.#draft);
  }

  #noteDifference(
    key: string,
    destinations: readonly SourceObject[],
    found: readonly { readonly where: string; readonly settings: YamlMap }[],
  ): void {
    const values = found.map(({ settings }, index) => {
      const target = destinations[index];
      const name = target?.text("subset") || target?.text("host") || "";
      return `${name} ${settings[key] === undefined ? "none" : JSON.stringify(settings[key])}`;
    });
    const where = found.find((one) => one.settings[key] !== undefined)?.where ?? "";
    const what = `${key} differs (${values.join(", ")}), and is one for all versions of a service: left out`;
    this.#draft.note(where, what, lossOf(key === "tls"));
  }

  #sections(destination: SourceObject, caller: Caller): PolicySections {
    const rules = this.#rulesOf(destination, caller);
    const service = serviceOf(destination.text("host"), caller.namespace);
    const only = service === undefined ? undefined : this.#ports.onlyPort(service.namespace, service.name);
    const port = destination.object("port").number("number") ?? only;
    return sectionsOf(rules, destination.text("subset"), port);
  }

  #labels(destination: SourceObject, caller: Caller, subset: string): readonly string[] {
    const subsets = this.#rulesOf(destination, caller).flatMap(({ spec }) => spec.objects("subsets"));
    const labels = subsets.find((one) => one.peek("name") === subset)?.object("labels");
    return labels?.keys().map((key) => `${key}: ${labels.peek(key)}`) ?? [];
  }

  /** Those that Istio applies for the caller; others are noted. */
  #rulesOf(destination: SourceObject, caller: Caller): readonly Manifest[] {
    const host = destination.text("host");
    const own = this.#applied(this.#rules.get(hostKey(host, caller.namespace)) ?? [], host, caller);
    if (own.length > 0) return own;
    const service = serviceOf(host, caller.namespace);
    const long = service === undefined ? host : `${service.name}.${service.namespace}.svc.cluster.local`;
    const wide = this.#wide.filter(({ spec }) => covers(spec.text("host"), long));
    return this.#applied(wide, host, caller).slice(0, 1);
  }

  #applied(rules: readonly Manifest[], host: string, { namespace, proxies }: Caller): readonly Manifest[] {
    const ofService = serviceOf(host, namespace)?.namespace;
    return rules.filter((rule) => {
      // Where a host outside the cluster is declared, only its ServiceEntry says.
      const isNear = ofService === undefined || [...proxies, ofService, rootNamespace].includes(rule.namespace);
      const isVisible = proxies.some((proxy) => isVisibleIn(proxy, rule));
      const of = [...new Set(proxies)].join(", ");
      const why = isNear
        ? `its exportTo does not name the namespace of the clients, ${of}`
        : `its namespace is not that of the clients (${of}), nor the Service's, nor ${rootNamespace}`;
      if (!isNear || !isVisible) this.#draft.note(titleOf(rule), `not applied to requests for ${host}: ${why}`);
      return isNear && isVisible;
    });
  }
}

/** The Service of a destination: there `reviews.shop` is one too. Undefined for hosts outside the cluster. */
function serviceOf(host: string, namespace: string): { readonly name: string; readonly namespace: string } | undefined {
  const known = serviceIn(host, namespace);
  if (known !== undefined) return known;
  const [name = "", own = "", ...rest] = host.split(".");
  return rest.length === 0 ? { name, namespace: own } : undefined;
}

/** In the namespace shop, reviews, reviews.shop and reviews.shop.svc.cluster.local are the same host. */
function hostKey(host: string, namespace: string): string {
  const service = serviceOf(host, namespace);
  return service === undefined ? host : `${service.namespace}/${service.name}`;
}
