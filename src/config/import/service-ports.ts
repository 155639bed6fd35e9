import type { Draft } from "./draft.ts";
import type { Manifest } from "./manifests.ts";
import type { SourceObject } from "./source-object.ts";

/** The Kubernetes Services of the input, and where Perch reaches them. */
export class ServicePorts {
  readonly #services: ReadonlyMap<string, Manifest>;
  readonly #draft: Draft;

  constructor(manifests: readonly Manifest[], draft: Draft) {
    const services = manifests.filter(({ kind, group }) => kind === "Service" && group === "");
    this.#services = new Map(services.map((service) => [`${service.namespace}/${service.name}`, service]));
    this.#draft = draft;
  }

  /** `scheme://name.namespace:port`. For a named port, or none, the Service must be part of the input. */
  origin(
    scheme: string,
    namespace: string,
    name: string,
    port: SourceObject | number | undefined,
    where: string,
  ): string {
    return `${scheme}://${name}.${namespace}:${this.#reachedPort(namespace, name, port, where)}`;
  }

  /** The endpoint of a headless Service, whose name has the addresses of its Pods; undefined for other Services. */
  pods(
    namespace: string,
    name: string,
    port: SourceObject | number | undefined,
    where: string,
  ): { readonly dns: string; readonly port: number } | undefined {
    if (!isHeadless(this.#find(namespace, name))) return undefined;
    return { dns: `${name}.${namespace}`, port: this.#reachedPort(namespace, name, port, where) };
  }

  /** Nothing translates the ports of a headless Service to those of its Pods. */
  #reachedPort(namespace: string, name: string, wanted: SourceObject | number | undefined, where: string): number {
    const number =
      typeof wanted === "number" ? wanted : (wanted?.number("number") ?? this.#lookUp(namespace, name, wanted, where));
    const service = this.#find(namespace, name);
    if (!isHeadless(service)) return number;
    const port = tcpPortsOf(service).find((one) => one.peek("port") === number);
    const target = port?.peek("targetPort") ?? number;
    if (typeof target === "number") return target;
    const unknown = `its targetPort ${String(target)} is a name of the Pods' port, which is not known here`;
    this.#draft.note(
      where,
      `Service ${namespace}/${name} is headless, and ${unknown}: ${number} is written; set the port`,
    );
    return number;
  }

  /** A port of a Service, without a number its first; undefined if the Service is not part of the input. */
  port(namespace: string, name: string, number: number | undefined): SourceObject | undefined {
    return this.#portsOf(namespace, name).find((one) => number === undefined || one.number("port") === number);
  }

  /** The name of a port; empty if it has none, or the Service is not part of the input. */
  portName(namespace: string, name: string, number: number): string {
    return this.port(namespace, name, number)?.text("name") ?? "";
  }

  /** The only port of a Service; undefined if it has several, or is not part of the input. */
  onlyPort(namespace: string, name: string): number | undefined {
    const ports = this.#portsOf(namespace, name);
    return ports.length === 1 ? ports[0]?.number("port") : undefined;
  }

  /** The host outside the cluster that a Service of type ExternalName stands for; empty for others. */
  externalName(namespace: string, name: string): string {
    const spec = this.#find(namespace, name)?.spec;
    return spec?.peek("type") === "ExternalName" ? spec.text("externalName") : "";
  }

  /** Whether the port of a Service takes HTTP/2; `number` may be missing if it has one port. */
  speaksHttp2(namespace: string, name: string, number: number | undefined): boolean {
    const ports = this.#portsOf(namespace, name);
    return speaksHttp2(
      ports.find((one) => (number === undefined ? ports.length === 1 : one.number("port") === number)),
    );
  }

  #lookUp(namespace: string, name: string, port: SourceObject | undefined, where: string): number {
    const wanted = port?.text("name") ?? "";
    const ports = this.#portsOf(namespace, name);
    const found = wanted === "" && ports.length === 1 ? ports[0] : ports.find((one) => one.text("name") === wanted);
    const number = found?.number("port");
    if (number !== undefined) return number;
    const why = ports.length > 0 ? "the Service has others" : "add the Service to the input";
    const unknown = `the port ${wanted === "" ? "" : `"${wanted}" `}of Service ${namespace}/${name} is unknown`;
    this.#draft.note(where, `${unknown}, so 80 is used: ${why}, or set the port`);
    return 80;
  }

  #portsOf(namespace: string, name: string): readonly SourceObject[] {
    return tcpPortsOf(this.#find(namespace, name));
  }

  /** Files that are applied with `kubectl -n` do not name their namespace, so there the name has to do. */
  #find(namespace: string, name: string): Manifest | undefined {
    const found = this.#services.get(`${namespace}/${name}`);
    if (found !== undefined) return found;
    const unplaced = this.#services.get(`default/${name}`);
    return unplaced?.hasNamespace === false ? unplaced : undefined;
  }
}

/** One of UDP, as for HTTP/3, may have the same number. */
function tcpPortsOf(service: Manifest | undefined): readonly SourceObject[] {
  return (service?.spec.objects("ports") ?? []).filter((port) => (port.text("protocol") || "TCP") === "TCP");
}

const isHeadless = (service: Manifest | undefined): service is Manifest => service?.spec.peek("clusterIP") === "None";

/** Names of protocols for `appProtocol` (KEP-3726) and, as Istio and others read them, for the name of a port. */
export function speaksHttp2(port: SourceObject | undefined): boolean {
  const protocol = port?.text("appProtocol") ?? "";
  if (protocol !== "") return /^(?:kubernetes\.io\/h2c|h2c|http2|grpc)$/i.test(protocol);
  return /^(?:grpc|http2|h2c)(?:-|$)/.test(port?.text("name") ?? "");
}
