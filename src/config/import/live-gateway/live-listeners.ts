import { checkAuthorities, readCertificate } from "../../certificate.ts";
import type { GatewaySpec, TlsSpec } from "../../compiled-config.ts";
import type { GatewayListenerParts } from "../../gateway-parts.ts";
import { apiFile } from "../../named-files.ts";
import { hostPattern } from "../../scalars.ts";
import { accepts } from "../accepts.ts";
import { type GatewayListener, gatewayGroup } from "../gateway-api/gateways.ts";
import type { Manifest } from "../manifests.ts";
import type { SourceObject } from "../source-object.ts";
import type { Cluster } from "./cluster.ts";
import type { Problem } from "./conditions.ts";
import { type ListenerCertificate, PresentedCertificates } from "./presented-certificates.ts";

/** A listener of a Gateway of ours, with what is wrong with it. */
export interface LiveListener extends GatewayListener {
  /** Perch's listener for its port; undefined if there is none. */
  readonly served: string | undefined;
  /** Kinds of routes that it takes, of those that Perch serves. */
  readonly kinds: readonly RouteKind[];
  notAccepted: Problem | undefined;
  conflict: Problem | undefined;
  /** What it refers to and is not there, or not for it. */
  readonly unresolved: Problem | undefined;
  /** Empty where it needs none, or has no valid one. */
  readonly certificates: readonly ListenerCertificate[];
  /** The CAs that client certificates are verified by. */
  readonly clientCa: string | undefined;
  readonly attached: Set<Manifest>;
}

export const routeKinds = ["HTTPRoute", "GRPCRoute"] as const;
export type RouteKind = (typeof routeKinds)[number];

/** A Secret or ConfigMap that a Gateway names. */
export interface NamedObject {
  readonly kind: "Secret" | "ConfigMap";
  readonly namespace: string;
  readonly name: string;
}

/** The listeners of Gateways, given by age. All of them share the addresses of Perch. */
export class LiveListeners {
  readonly all: readonly LiveListener[];
  /** Files that settings of listeners name. */
  readonly files = new Map<string, Uint8Array>();
  readonly #cluster: Cluster;
  readonly #byGateway: ReadonlyMap<Manifest, readonly LiveListener[]>;
  readonly #ports: ReadonlyMap<number, string>;
  readonly #fileTls: ReadonlyMap<string, TlsSpec>;

  /** `fileTls`: what listeners of the file have themselves. */
  constructor(
    gateways: readonly Manifest[],
    cluster: Cluster,
    { ports }: Pick<GatewaySpec, "ports">,
    fileTls: ReadonlyMap<string, TlsSpec>,
  ) {
    this.#cluster = cluster;
    this.#fileTls = fileTls;
    this.#ports = new Map(ports.map(({ port, listener }) => [port, listener]));
    this.all = gateways.flatMap((gateway) => this.#read(gateway));
    this.#byGateway = Map.groupBy(this.all, ({ gateway }) => gateway);
    markConflicts(this.all);
  }

  of(gateway: Manifest): readonly LiveListener[] {
    return this.#byGateway.get(gateway) ?? [];
  }

  nameOf({ port }: GatewayListener): string {
    return this.#ports.get(port) ?? "";
  }

  /** The others of its Gateway at the same listener of Perch. */
  besides(listener: GatewayListener): readonly LiveListener[] {
    const name = this.nameOf(listener);
    return this.of(listener.gateway).filter(
      (other) => other !== listener && isProgrammed(other) && other.served === name,
    );
  }

  /** Whether its `allowedRoutes` include this route. */
  allows({ spec, kinds, gateway }: LiveListener, route: Manifest): boolean {
    if (!kinds.some((kind) => kind === route.kind)) return false;
    const rule = spec.object("allowedRoutes").object("namespaces");
    return this.#cluster.namespaces.allow(rule, "Same", gateway.namespace, route.namespace) === "yes";
  }

  /** By name of Perch's listener. */
  parts(): Readonly<Record<string, GatewayListenerParts>> {
    const secure = this.all.filter((one) => isProgrammed(one) && one.certificates.length > 0);
    const byName = Map.groupBy(secure, ({ served = "" }) => served);
    return Object.fromEntries(Array.from(byName, ([name, listeners]) => [name, this.#partsOf(name, listeners)]));
  }

  #partsOf(name: string, listeners: readonly LiveListener[]): GatewayListenerParts {
    const presented = new PresentedCertificates(this.#fileTls.get(name));
    for (const { certificates, gateway } of listeners) for (const one of certificates) presented.add(one, gateway);
    const ca = listeners.find(({ clientCa }) => clientCa !== undefined)?.clientCa;
    return { tls: { certificates: presented.all, ...(ca === undefined ? {} : { clientCa: ca }) } };
  }

  #read(gateway: Manifest): readonly LiveListener[] {
    return gateway.spec.objects("listeners").map((spec): LiveListener => {
      const port = spec.number("port") ?? 0;
      const protocol = spec.text("protocol");
      const hostname = spec.text("hostname").toLowerCase();
      const served = this.#ports.get(port);
      const kinds = this.#kindsOf(spec);
      const tls =
        protocol === "HTTPS"
          ? this.#tlsOf(spec, gateway, port)
          : { certificates: [], clientCa: undefined, problem: undefined };
      return {
        owner: gateway,
        gateway,
        spec,
        section: spec.text("name"),
        port,
        scheme: protocol === "HTTPS" ? "https" : "http",
        hostname,
        served,
        kinds: kinds.kinds,
        notAccepted: this.#notAccepted(spec, gateway, protocol, hostname, served),
        conflict: undefined,
        unresolved: kinds.problem ?? tls.problem,
        certificates: tls.certificates,
        clientCa: tls.clientCa,
        attached: new Set(),
      };
    });
  }

  #notAccepted(
    spec: SourceObject,
    gateway: Manifest,
    protocol: string,
    hostname: string,
    served: string | undefined,
  ): Problem | undefined {
    if (protocol !== "HTTP" && protocol !== "HTTPS") {
      return { reason: "UnsupportedProtocol", message: `Perch serves HTTP and HTTPS, not ${protocol}` };
    }
    if (spec.object("tls").text("mode") === "Passthrough") {
      return { reason: "UnsupportedValue", message: "Perch does not pass TLS through: use mode: Terminate" };
    }
    if (hostname !== "" && !accepts(hostPattern, hostname)) {
      return { reason: "UnsupportedValue", message: `Perch has no equivalent of the hostname ${hostname}` };
    }
    if (protocol === "HTTPS") {
      const validation = validationOf(gateway, spec);
      if (validation.peek("mode") === "AllowInsecureFallback") {
        return { reason: "UnsupportedValue", message: "Perch asks all clients for a certificate, or none" };
      }
    }
    if (served !== undefined) return undefined;
    const known = [...this.#ports.keys()].join(", ");
    return {
      reason: "PortUnavailable",
      message: `Perch has no listener for this port; it has some for ${known || "none"}`,
    };
  }

  #kindsOf(spec: SourceObject): { readonly kinds: readonly RouteKind[]; readonly problem: Problem | undefined } {
    const written = spec.object("allowedRoutes").objects("kinds");
    if (written.length === 0) return { kinds: routeKinds, problem: undefined };
    const isNamed = (kind: RouteKind) =>
      written.some((one) => one.text("kind") === kind && (!one.has("group") || one.text("group") === gatewayGroup));
    const kinds = routeKinds.filter(isNamed);
    const isKnown = (one: SourceObject) =>
      kinds.some((kind) => kind === one.text("kind")) && (!one.has("group") || one.text("group") === gatewayGroup);
    const other = written.find((one) => !isKnown(one));
    if (other === undefined) return { kinds, problem: undefined };
    const message = `Perch does not serve routes of kind ${other.text("group") || gatewayGroup}/${other.text("kind")}`;
    return { kinds, problem: { reason: "InvalidRouteKinds", message } };
  }

  #tlsOf(
    spec: SourceObject,
    gateway: Manifest,
    port: number,
  ): Pick<LiveListener, "certificates" | "clientCa"> & { readonly problem: Problem | undefined } {
    const hostname = spec.text("hostname").toLowerCase();
    const refs = spec.object("tls").objects("certificateRefs");
    const found = refs.map((ref) => this.#certificateOf(ref, gateway, hostname));
    const certificates = found.flatMap((one) => ("certFile" in one ? [one] : []));
    const none = { reason: "InvalidCertificateRef", message: "it names no certificate (tls.certificateRefs)" };
    const [problem] = refs.length === 0 ? [none] : found.flatMap((one) => ("reason" in one ? [one] : []));
    const validation = validationOf(gateway, spec);
    if (validation.keys().length === 0) return { certificates, clientCa: undefined, problem };
    const clientCa = this.#authorityOf(validation, gateway);
    // Without the CAs no client can be let in.
    if ("reason" in clientCa) return { certificates: [], clientCa: undefined, problem: clientCa };
    const others = gateway.spec.objects("listeners").filter((one) => one.number("port") === port && one !== spec);
    if (others.some((one) => !isSame(validationOf(gateway, one), validation))) {
      const message = "listeners of one port must ask clients for the same certificates, or all for none";
      return { certificates: [], clientCa: undefined, problem: { reason: "InvalidCACertificateRef", message } };
    }
    const name = this.#ports.get(port) ?? "";
    const own = this.#fileTls.get(name);
    if (own === undefined) return { certificates, clientCa: clientCa.file, problem };
    // Its file's routes are reached by the same handshake, and Gateways must not say whose.
    const isSameCa =
      Buffer.compare(own.clientCa ?? new Uint8Array(), this.files.get(clientCa.file) ?? new Uint8Array()) === 0;
    if (isSameCa) return { certificates, clientCa: undefined, problem };
    const asked = own.clientCa === undefined ? "for no certificate" : "for certificates of other CAs";
    const message = `Perch's file has TLS for its listener ${name}, which asks clients ${asked}`;
    return { certificates: [], clientCa: undefined, problem: { reason: "InvalidCACertificateRef", message } };
  }

  #certificateOf(ref: SourceObject, gateway: Manifest, hostname: string): ListenerCertificate | Problem {
    const { kind, group, namespace, name } = certificateReference(ref, gateway);
    const invalid = (message: string): Problem => ({ reason: "InvalidCertificateRef", message });
    if (kind !== "Secret" || group !== "") return invalid(`${group}/${kind} ${name} is not a Secret`);
    if (!this.#cluster.mayRefer(gateway, { namespace, group, kind, name })) {
      return { reason: "RefNotPermitted", message: `no ReferenceGrant allows the Secret ${namespace}/${name}` };
    }
    const chain = this.#cluster.file("Secret", namespace, name, "tls.crt");
    const key = this.#cluster.file("Secret", namespace, name, "tls.key");
    if (chain === undefined || key === undefined) {
      return invalid(this.#cluster.whyMissing("Secret", namespace, name, "no tls.crt and tls.key"));
    }
    const read = readCertificate(chain, key);
    if ("problem" in read) return invalid(`the ${read.file} of the Secret ${namespace}/${name}: ${read.problem}`);
    const certFile = apiFile(`secrets/${namespace}/${name}/tls.crt`);
    const keyFile = apiFile(`secrets/${namespace}/${name}/tls.key`);
    this.files.set(certFile, chain).set(keyFile, key);
    return { certFile, keyFile, names: read.hosts, ...(hostname === "" ? {} : { hosts: [hostname] }) };
  }

  #authorityOf(validation: SourceObject, gateway: Manifest): { readonly file: string } | Problem {
    const refs = validation.objects("caCertificateRefs");
    const [ref] = refs;
    const invalid = (message: string): Problem => ({ reason: "InvalidCACertificateRef", message });
    if (ref === undefined || refs.length > 1) return invalid("Perch takes the CAs of clients from one ConfigMap");
    const named = authorityReference(ref, gateway);
    if (named === undefined) {
      return { reason: "InvalidCACertificateKind", message: "Perch takes the CAs of clients from a ConfigMap" };
    }
    const { namespace, name } = named;
    if (!this.#cluster.mayRefer(gateway, { namespace, group: "", kind: "ConfigMap", name })) {
      return { reason: "RefNotPermitted", message: `no ReferenceGrant allows the ConfigMap ${namespace}/${name}` };
    }
    const pem = this.#cluster.file("ConfigMap", namespace, name, "ca.crt");
    if (pem === undefined) return invalid(this.#cluster.whyMissing("ConfigMap", namespace, name, "no ca.crt"));
    const problem = checkAuthorities(pem);
    if (problem !== undefined) return invalid(`the ConfigMap ${namespace}/${name}: ${problem}`);
    const file = apiFile(`configmaps/${namespace}/${name}/ca.crt`);
    this.files.set(file, pem);
    return { file };
  }
}

export function isUsable({ notAccepted, conflict }: LiveListener): boolean {
  return notAccepted === undefined && conflict === undefined;
}

/** Whether requests arrive at it. */
export function isProgrammed(listener: LiveListener): boolean {
  return isUsable(listener) && (listener.scheme === "http" || listener.certificates.length > 0);
}

/** The Secrets and ConfigMaps that Gateways name and may. */
export function objectsOfListeners(gateways: readonly Manifest[], cluster: Cluster): readonly NamedObject[] {
  return gateways.flatMap((gateway) =>
    gateway.spec.objects("listeners").flatMap((spec): NamedObject[] => {
      const secrets = spec
        .object("tls")
        .objects("certificateRefs")
        .map((ref) => certificateReference(ref, gateway))
        .filter((to) => to.kind === "Secret" && to.group === "" && cluster.mayRefer(gateway, to))
        .map(({ namespace, name }) => ({ kind: "Secret" as const, namespace, name }));
      const authorities = validationOf(gateway, spec)
        .objects("caCertificateRefs")
        .flatMap((ref) => authorityReference(ref, gateway) ?? [])
        .filter((to) => cluster.mayRefer(gateway, { ...to, group: "" }));
      return [...secrets, ...authorities];
    }),
  );
}

function certificateReference(ref: SourceObject, gateway: Manifest) {
  return {
    kind: ref.text("kind") || "Secret",
    group: ref.text("group"),
    namespace: ref.text("namespace") || gateway.namespace,
    name: ref.text("name"),
  };
}

function authorityReference(ref: SourceObject, gateway: Manifest): NamedObject | undefined {
  if ((ref.text("kind") || "ConfigMap") !== "ConfigMap" || ref.text("group") !== "") return undefined;
  return { kind: "ConfigMap", namespace: ref.text("namespace") || gateway.namespace, name: ref.text("name") };
}

/** Of the listener in the older form; else of its port, which replaces that of all ports. */
function validationOf(gateway: Manifest, listener: SourceObject): SourceObject {
  const own = listener.object("tls").object("frontendValidation");
  if (own.keys().length > 0) return own;
  const frontend = gateway.spec.object("tls").object("frontend");
  const ofPort = frontend.objects("perPort").find((one) => one.peek("port") === listener.peek("port"));
  return (ofPort?.object("tls") ?? frontend.object("default")).object("validation");
}

const isSame = (a: SourceObject, b: SourceObject): boolean =>
  JSON.stringify(a.peek("caCertificateRefs")) === JSON.stringify(b.peek("caCertificateRefs")) &&
  a.peek("mode") === b.peek("mode");

/**
 * Listeners that a request cannot tell apart. Of one port of a Gateway none of them is served, as the specification wants
 * it; between Gateways, which share Perch's addresses, the older one is, and of ports that share a listener of Perch the
 * first.
 */
function markConflicts(listeners: readonly LiveListener[]): void {
  for (const [index, listener] of listeners.entries()) {
    if (listener.notAccepted !== undefined) continue;
    const other = listeners.find(
      (one, at) =>
        one !== listener &&
        one.notAccepted === undefined &&
        one.served === listener.served &&
        (isOfPort(one, listener) || (at < index && one.conflict === undefined)) &&
        (one.scheme !== listener.scheme || one.hostname === listener.hostname || asksOthers(one, listener)),
    );
    if (other === undefined) continue;
    if (other.gateway === listener.gateway && other.port !== listener.port) {
      const message = `Perch's listener ${other.served} serves port ${other.port} for the listener ${other.section} already`;
      listener.notAccepted = { reason: "PortUnavailable", message };
      continue;
    }
    const reason = other.scheme === listener.scheme ? "HostnameConflict" : "ProtocolConflict";
    const { namespace, name } = other.gateway;
    const message = `the listener ${other.section} of Gateway ${namespace}/${name} has the same port of Perch`;
    listener.conflict = { reason, message };
  }
}

const isOfPort = (one: LiveListener, other: LiveListener): boolean =>
  one.gateway === other.gateway && one.port === other.port;

/** Of two Gateways or ports, one may want clients to have certificates that the other does not ask for. */
const asksOthers = (one: LiveListener, other: LiveListener): boolean =>
  !isOfPort(one, other) && one.scheme === "https" && one.clientCa !== other.clientCa;
