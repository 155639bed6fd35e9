import type { Draft, Loss } from "../draft.ts";
import { intersection } from "../hostnames.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import { type Advice, noteUnread } from "../notes.ts";
import type { SourceObject } from "../source-object.ts";
import type { EnvoyRoutes } from "./envoy-routes.ts";
import { anyHost, specificityOf, type VirtualHost } from "./istio-hosts.ts";
import { clientCaOf, listenerTlsOf, terminatesTls } from "./istio-listener-tls.ts";
import { isVisibleIn } from "./istio-visibility.ts";

/** What a match says of where a request arrives; undefined if nothing. */
export interface ListenerMatch {
  readonly gateways: readonly string[] | undefined;
  readonly port: number | undefined;
}

export const anyListener: ListenerMatch = { gateways: undefined, port: undefined };

/** A server of a Gateway that VirtualServices can be bound to. */
interface Server {
  readonly gateway: Manifest;
  readonly key: string;
  readonly port: number;
  readonly listener: string;
  readonly hosts: readonly { readonly namespace: string; readonly host: string }[];
  readonly redirects: boolean;
  /** Whether its protocol is HTTP/2, or gRPC. */
  readonly isHttp2: boolean;
}

/** What the servers of a port ask of clients. */
interface PortTls {
  readonly modes: Set<string>;
  /** That of the first server whose clients need a certificate. */
  readonly clientCa: string;
}

const mesh = "mesh";
const httpProtocols: readonly string[] = ["HTTP", "HTTPS", "HTTP2", "GRPC", "GRPC-WEB"];

/** The Gateways of the input: their servers become listeners, and VirtualServices are bound to them. */
export class IstioGateways {
  readonly #draft: Draft;
  readonly #servers: readonly Server[];
  readonly #known: ReadonlySet<string>;
  /** Whether the first server of a port has TLS, which decides for the others. */
  readonly #hasTls = new Map<number, boolean>();
  readonly #bound: {
    readonly service: Manifest;
    readonly hosts: readonly string[];
    readonly names: readonly string[];
  }[] = [];
  /** Whether the input is of a gateway, so that what is of the mesh only is not. */
  readonly #isGateway: boolean;

  constructor(gateways: readonly Manifest[], services: readonly Manifest[], draft: Draft) {
    this.#draft = draft;
    this.#known = new Set(gateways.map(({ namespace, name }) => `${namespace}/${name}`));
    const modes = modesByPort(gateways);
    this.#servers = gateways.flatMap((gateway) => this.#serversOf(gateway, modes));
    const bound = services.filter(({ spec }) => spec.has("http")).map(boundTo);
    this.#isGateway = bound.some((names) => names.some((name) => name !== mesh));
    this.#noteMissing(gateways, bound);
    this.#noteShared(gateways);
    for (const gateway of gateways) noteUnread(gateway, advice, draft);
  }

  /**
   * Redirects of plain requests to https. They stand before the routes, or, where a server of the same port does not
   * redirect, before those of their hosts.
   */
  addRedirects(envoyRoutes: EnvoyRoutes): void {
    const draft = this.#draft;
    const first = Number.POSITIVE_INFINITY;
    for (const server of this.#servers.filter(({ redirects }) => redirects)) {
      const { gateway, key, listener } = server;
      const isMixed = this.#servers.some((one) => one.listener === listener && !one.redirects);
      const bound = isMixed ? this.#bound.filter(({ names }) => names.includes(key)) : [];
      const ofServices = bound.flatMap(({ service, hosts }) => sharedHosts(server, service, hosts));
      const hosts = [...new Set([...server.hosts.map(({ host }) => host), ...ofServices])];
      // If it is the only plain listener, the scheme says enough.
      const isPart = draft.listeners.some(({ name, certificates }) => name !== listener && certificates === undefined);
      const virtualHosts = bySpecificity(new Map(hosts.map((host) => [host, isPart ? [listener] : undefined])));
      for (const virtualHost of virtualHosts)
        envoyRoutes.addRedirect(isMixed ? virtualHost : { ...virtualHost, specificity: first }, gateway, draft);
    }
  }

  /**
   * Envoy takes HTTP/2 on every port without TLS. Perch does where a server is for it, and everywhere if there is a
   * service for it: `where` names one.
   */
  serveH2c(where: string | undefined): void {
    for (const { listener, isHttp2 } of this.#servers) {
      if (isHttp2 || where !== undefined) this.#draft.serveH2c(listener);
    }
    if (where === undefined || this.#servers.length > 0) return;
    this.#draft.note(where, "clients that speak gRPC without TLS need `h2c: true` on their listener");
  }

  /** Where requests for a VirtualService arrive; empty if it is left out, which is then noted. */
  virtualHostsOf(service: Manifest, hosts: readonly string[]): readonly VirtualHost[] {
    const where = titleOf(service);
    const bound = boundTo(service);
    if (bound.length === 0) {
      this.#draft.leftOut(where, "its gateways are not a list of names: left out");
      return [];
    }
    if (this.#isGateway && bound.every((name) => name === mesh)) {
      const why = "it is for calls within the mesh, and a gateway does not serve its hosts";
      this.#draft.leftOut(
        where,
        `${why}: left out. For a Perch in front of those Services import them without the Gateways`,
      );
      return [];
    }
    const visible = servedBy(service);
    if (visible.length < bound.length) {
      const hidden = bound.filter((name) => !visible.includes(name)).join(", ");
      const why = `its exportTo does not name the namespace of the Gateway ${hidden}`;
      const isNowhere = visible.every((name) => name === mesh);
      if (isNowhere) this.#draft.leftOut(where, `${why}: left out`);
      else this.#draft.note(where, `${why}: its routes do not apply there`);
      if (isNowhere) return [];
    }
    const unknown = visible.filter((name) => name !== mesh && !this.#known.has(name));
    if (unknown.length > 0) {
      const list = unknown.join(", ");
      const result = this.#known.size === 0 ? "its routes apply on every listener" : "its routes do not apply there";
      this.#draft.note(where, `the Gateway ${list} is not in the input: ${result}`);
    }
    this.#bound.push({ service, hosts, names: visible });
    const virtualHosts = this.virtualHostsFor(service, hosts, anyListener);
    if ("problem" in virtualHosts) this.#draft.leftOut(where, `${virtualHosts.problem}: left out`);
    return "problem" in virtualHosts ? [] : virtualHosts.virtualHosts;
  }

  /** The virtual hosts that are left for a match with `gateways` or `port`; or why they cannot be told apart. */
  virtualHostsFor(
    service: Manifest,
    hosts: readonly string[],
    listenerMatch: ListenerMatch,
  ): { readonly virtualHosts: readonly VirtualHost[] } | { readonly problem: string } {
    const bound = servedBy(service).filter((name) => !this.#isGateway || name !== mesh);
    const wanted = listenerMatch.gateways?.map((name) => keyOf(name, service.namespace));
    const named = bound.filter((name) => wanted === undefined || wanted.includes(name));
    if (this.#known.size === 0 || !this.#isGateway) {
      if (listenerMatch.port !== undefined) return { problem: "port: no equivalent without the Gateway in the input" };
      if (named.length < bound.length)
        return { problem: "gateways: no equivalent without these Gateways in the input" };
      return { virtualHosts: bySpecificity(new Map(hosts.map((host) => [host, undefined]))) };
    }
    const servers = this.#servers.filter(
      ({ key, port }) => named.includes(key) && (listenerMatch.port === undefined || listenerMatch.port === port),
    );
    const listeners = new Map<string, string[]>();
    for (const server of servers) {
      for (const host of sharedHosts(server, service, hosts)) {
        listeners.set(host, [...new Set([...(listeners.get(host) ?? []), server.listener])]);
      }
    }
    if (listeners.size > 0) return { virtualHosts: bySpecificity(listeners) };
    return { problem: "no server of its Gateways has one of its hosts, or its port" };
  }

  #serversOf(gateway: Manifest, modes: ReadonlyMap<number, PortTls>): readonly Server[] {
    const where = titleOf(gateway);
    gateway.spec.dismiss("selector");
    const key = `${gateway.namespace}/${gateway.name}`;
    return gateway.spec.objects("servers").flatMap((server): Server[] => {
      const leaveOut = (why: string, loss: Loss = "none"): Server[] => {
        this.#draft.leftOut(where, `${server.path}: ${why}: left out`, loss);
        server.dismiss();
        return [];
      };
      const { number: port, protocol } = portOf(server);
      const tls = server.object("tls");
      const written = server.texts("hosts");
      if (port === undefined) return leaveOut("it has no port");
      if (server.has("hosts") && written.length === 0) return leaveOut("its hosts are not a list of names");
      if (!httpProtocols.includes(protocol) || (server.has("tls") && !terminatesTls(tls))) {
        return leaveOut(`${protocol} ${tls.text("mode")} is not HTTP that Perch could read`);
      }
      const hasTls = protocol === "HTTPS";
      if ((this.#hasTls.get(port) ?? hasTls) !== hasTls) {
        const [own, other] = hasTls ? ["TLS", "none"] : ["no TLS", "it"];
        return leaveOut(`it has ${own}, and an earlier server of the port ${port} has ${other}`);
      }
      if (tls.peek("mode") === "MUTUAL" && (modes.get(port)?.modes.size ?? 0) > 1) {
        const why = `clients needed a certificate, and for other hosts of the port ${port} they did not`;
        return leaveOut(`${why}; a listener of Perch asks all or none`, "protection");
      }
      const [clientCa, firstCa] = [clientCaOf(tls, gateway), modes.get(port)?.clientCa ?? ""];
      if (clientCa !== "" && firstCa !== "" && clientCa !== firstCa) {
        const why = `clients needed a certificate of ${clientCa}, and for other hosts of the port ${port} one of ${firstCa}`;
        return leaveOut(`${why}; a listener of Perch has one CA`, "protection");
      }
      const redirects = tls.flag("httpsRedirect") === true;
      this.#hasTls.set(port, hasTls);
      const listenerTls = hasTls ? listenerTlsOf(tls, gateway, this.#draft) : undefined;
      tls.dismiss("mode");
      const { certificates, ...others } = listenerTls ?? {};
      const listener = this.#draft.listener(port, certificates, others, where);
      const hosts = (server.has("hosts") ? written : [anyHost]).map((host) => serverHost(host, gateway.namespace));
      const isHttp2 = protocol.startsWith("HTTP2") || protocol.startsWith("GRPC");
      return [{ gateway, key, port, listener, hosts, redirects, isHttp2 }];
    });
  }

  /** Without their Gateways, VirtualServices cannot be told apart. */
  #noteMissing(gateways: readonly Manifest[], bound: readonly (readonly string[])[]): void {
    const [gateway] = gateways;
    if (gateway !== undefined && bound.length > 0 && !this.#isGateway) {
      const what = "no VirtualService is bound to it, so those for calls within the mesh are served on its listeners";
      this.#draft.noteLostProtection(titleOf(gateway), what);
    }
    const named = new Set(bound.map((names) => names.filter((name) => name !== mesh).join(" and ")));
    named.delete("");
    if (gateway !== undefined || named.size < 2) return;
    const what = `the VirtualServices are bound to different ones (${[...named].join(", ")}), and here each is served on every listener: add the Gateways to the input`;
    this.#draft.noteLostProtection("Gateways", what);
  }

  /** Gateways of different Pods have an address each in Istio; here they share the listener of a port. */
  #noteShared(gateways: readonly Manifest[]): void {
    const selectorOf = ({ spec }: Manifest) => JSON.stringify(spec.peek("selector") ?? {});
    for (const { gateway, listener } of this.#servers) {
      const other = this.#servers.find(
        (one) => one.listener === listener && selectorOf(one.gateway) !== selectorOf(gateway),
      );
      if (other === undefined || gateways.indexOf(other.gateway) > gateways.indexOf(gateway)) continue;
      const what = `its selector is not that of ${titleOf(other.gateway)}: there they have an address each, and here the hosts of both are on the listener ${listener}`;
      this.#draft.noteLostProtection(titleOf(gateway), what);
    }
  }
}

const advice: Readonly<Record<string, Advice>> = {
  subjectAltNames: { text: "not imported: every client certificate of the CA is accepted", protects: true },
  verifyCertificateSpki: { text: "not imported: every client certificate of the CA is accepted", protects: true },
  verifyCertificateHash: { text: "not imported: every client certificate of the CA is accepted", protects: true },
  caCrl: { text: "not imported: revoked client certificates are accepted", protects: true },
  cipherSuites: { text: "not imported: Perch offers its own" },
  bind: { text: "not imported: the listener is on every address" },
};

function portOf(server: SourceObject): { readonly number: number | undefined; readonly protocol: string } {
  const port = server.object("port");
  port.dismiss("name", "targetPort");
  server.dismiss("name", "defaultEndpoint");
  const mode = server.object("tls").peek("mode");
  const protocol = port.text("protocol").toUpperCase() || (mode === undefined ? "HTTP" : "HTTPS");
  return { number: port.number("number"), protocol };
}

/** What the servers of a port want of TLS. */
function modesByPort(gateways: readonly Manifest[]): ReadonlyMap<number, PortTls> {
  const ports = new Map<number, PortTls>();
  for (const gateway of gateways) {
    for (const server of gateway.spec.objects("servers")) {
      const { number, protocol } = portOf(server);
      if (number === undefined || protocol !== "HTTPS") continue;
      const tls = server.object("tls");
      const { modes = new Set<string>(), clientCa = "" } = ports.get(number) ?? {};
      modes.add(String(tls.peek("mode") ?? "SIMPLE"));
      ports.set(number, { modes, clientCa: clientCa || clientCaOf(tls, gateway) });
    }
  }
  return ports;
}

/** `namespace/host`: only VirtualServices of that namespace; `.` is the Gateway's own, `*` is any. */
function serverHost(written: string, own: string): { readonly namespace: string; readonly host: string } {
  const [host = "", namespace = anyHost] = written.toLowerCase().split("/").reverse();
  return { namespace: namespace === anyHost ? "" : namespace === "." ? own : namespace, host };
}

/** The hosts that a VirtualService shares with a server. */
function sharedHosts(server: Server, { namespace }: Manifest, hosts: readonly string[]): readonly string[] {
  const allowed = server.hosts.filter((one) => one.namespace === "" || one.namespace === namespace);
  return allowed.flatMap((one) => hosts.flatMap((own) => intersection(one.host, own) ?? []));
}

const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0;

/**
 * The Gateways of a VirtualService as `namespace/name`; `mesh` is every sidecar, and the default. Empty if they cannot be
 * read.
 */
function boundTo({ spec, namespace }: Manifest): readonly string[] {
  const written = spec.texts("gateways");
  const isDefault = spec.peek("gateways") === undefined || isEmptyList(spec.peek("gateways"));
  return isDefault ? [mesh] : written.map((name) => keyOf(name, namespace));
}

/** Those of its Gateways that see it; a Gateway's proxies are taken to be in its namespace. */
function servedBy(service: Manifest): readonly string[] {
  return boundTo(service).filter((name) => name === mesh || isVisibleIn(namespaceOf(name), service));
}

const namespaceOf = (key: string): string => key.split("/")[0] ?? "";

/** The namespaces of the proxies that serve a VirtualService. */
export function proxiesOf(service: Manifest): readonly string[] {
  return servedBy(service).map((name) => (name === mesh ? service.namespace : namespaceOf(name)));
}

function keyOf(name: string, namespace: string): string {
  return name === mesh || name.includes("/") ? name : `${namespace}/${name}`;
}

function bySpecificity(hosts: ReadonlyMap<string, readonly string[] | undefined>): readonly VirtualHost[] {
  const virtualHosts = new Map<string, VirtualHost>();
  for (const [host, listeners] of hosts) {
    const specificity = specificityOf(host);
    const key = JSON.stringify([specificity, listeners]);
    const others = virtualHosts.get(key)?.hosts ?? [];
    virtualHosts.set(key, { hosts: host === anyHost ? [] : [...others, host], listeners, specificity });
  }
  return [...virtualHosts.values()];
}
