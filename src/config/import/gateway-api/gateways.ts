import { certificateOf, type Draft, type DraftCertificate, lossOf } from "../draft.ts";
import type { Hostname } from "../hostnames.ts";
import { byAge, type Manifest, titleOf } from "../manifests.ts";
import { type Advice, noteUnread } from "../notes.ts";
import type { SourceObject } from "../source-object.ts";
import { clientCertificates } from "./client-certificates.ts";
import { type Answer, NamespaceRules } from "./namespace-rules.ts";

export type Scheme = "http" | "https";

/** A listener for HTTP or HTTPS of a Gateway or ListenerSet. */
export interface GatewayListener {
  /** The object that routes refer to. */
  readonly owner: Manifest;
  readonly gateway: Manifest;
  readonly spec: SourceObject;
  readonly section: string;
  readonly port: number;
  readonly scheme: Scheme;
  readonly hostname: Hostname;
}

export const gatewayGroup = "gateway.networking.k8s.io";

export function isListenerSet({ kind, group }: Pick<Manifest, "kind" | "group">): boolean {
  return (
    (kind === "ListenerSet" && group === gatewayGroup) ||
    (kind === "XListenerSet" && group === "gateway.networking.x-k8s.io")
  );
}

const advice: Readonly<Record<string, Advice>> = {
  addresses: { text: "not imported: the addresses are those of Perch's Service" },
  infrastructure: { text: "not imported: it is of the gateway's own Service and Pods" },
  options: { text: "not imported: an extension of the gateway, such as the minimum version of TLS", protects: true },
  backend: { text: "not imported: set `tls.cert` and `tls.key` of the services whose endpoints ask for a certificate" },
};

/** What a route refers to. */
export interface Reference {
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
  /** False if the namespace is only what `kubectl` would use: files that are applied with `-n` do not name it. */
  readonly isCertain: boolean;
}

/** The Gateways of the input with their ListenerSets, as listeners of Perch. */
export class Gateways {
  readonly #draft: Draft;
  readonly #namespaces: NamespaceRules;
  readonly #owners: readonly Manifest[];
  readonly #listeners: readonly GatewayListener[];
  /** Names of Perch's listeners, by Gateway and port. */
  readonly #names = new Map<string, string>();
  /** Ports of Perch's listeners. */
  readonly #ports = new Set<number>();

  constructor(manifests: readonly Manifest[], draft: Draft) {
    this.#draft = draft;
    this.#namespaces = new NamespaceRules(manifests);
    const gateways = manifests.filter(({ kind, group }) => kind === "Gateway" && group === gatewayGroup);
    const sets = manifests.filter(isListenerSet).toSorted(byAge);
    this.#owners = [...gateways, ...sets];
    const found = [
      ...gateways.flatMap((gateway) => this.#read(gateway, gateway)),
      ...sets.flatMap((set) => this.#readSet(set, gateways)),
    ];
    this.#listeners = found.filter((listener, index) => this.#isDistinct(listener, found.slice(0, index)));
  }

  /** Names everything in Gateways and ListenerSets that was not imported. */
  noteUnread(): void {
    // Listeners with routes have told what they asked of clients.
    for (const { spec } of this.#listeners) spec.object("tls").dismiss("frontendValidation");
    for (const owner of this.#owners) {
      owner.spec.object("tls").dismiss("frontend");
      noteUnread(owner, advice, this.#draft);
    }
  }

  /** Whether the input has no Gateway. */
  get isEmpty(): boolean {
    return this.#owners.length === 0;
  }

  /** Undefined if the object is not part of the input. */
  listenersOf({ kind, name, namespace, isCertain }: Reference): readonly GatewayListener[] | undefined {
    const named = this.#owners.filter((one) => one.kind === kind && one.name === name);
    const owner =
      named.find((one) => one.namespace === namespace) ??
      named.find((one) => !one.hasNamespace) ??
      (isCertain || named.length > 1 ? undefined : named[0]);
    return owner && this.#listeners.filter((listener) => listener.owner === owner);
  }

  /** The other listeners on the same port of the same Gateway. */
  besides(listener: GatewayListener): readonly GatewayListener[] {
    return this.#listeners.filter((other) => other !== listener && isBeside(other, listener));
  }

  /** Whether the listener's `allowedRoutes` include this route. `own`: the namespace of the listener's owner. */
  allows({ spec }: GatewayListener, own: string, route: Manifest): Answer {
    const allowed = spec.object("allowedRoutes");
    const kinds = allowed.objects("kinds");
    const isKind = (one: SourceObject) =>
      one.text("kind") === route.kind && (!one.has("group") || one.text("group") === route.group);
    if (kinds.length > 0 && !kinds.some(isKind)) return "no";
    return this.#namespaces.allow(allowed.object("namespaces"), "Same", own, route.namespace);
  }

  /** The name of Perch's listener for it, which is created if there is none. */
  nameOf(listener: GatewayListener): string {
    const { gateway, port, scheme } = listener;
    const key = `${gateway.namespace}/${gateway.name}/${port}`;
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const where = titleOf(gateway);
    const free = this.#freePort(port);
    if (free !== port) {
      this.#draft.note(
        where,
        `another Gateway has port ${port} too, at another address: this one is at port ${free} of Perch; send its traffic there`,
      );
    }
    const name =
      scheme === "http"
        ? this.#draft.listener(free, undefined, {}, titleOf(listener.owner))
        : this.#draft.listener(
            free,
            this.#certificatesOf(listener),
            clientCertificates([listener, ...this.besides(listener)], this.#draft),
            titleOf(listener.owner),
          );
    this.#ports.add(free);
    this.#names.set(key, name);
    return name;
  }

  /** Gateways have addresses of their own, so the routes of one must not be reachable by the port of another. */
  #freePort(port: number): number {
    let free = port;
    while (this.#ports.has(free)) free = free < 55_000 ? free + 10_000 : free - 1;
    return free;
  }

  #certificatesOf(listener: GatewayListener): readonly DraftCertificate[] {
    const secrets = [listener, ...this.besides(listener)].flatMap(({ spec, owner }) =>
      spec
        .object("tls")
        .objects("certificateRefs")
        .map((ref) => [ref.text("namespace") || owner.namespace, ref.text("name")] as const),
    );
    if (secrets.length === 0) {
      const { gateway, spec } = listener;
      this.#draft.note(
        titleOf(listener.owner),
        `${spec.path} names no certificate: put one where the listener reads it`,
      );
      return [certificateOf(gateway.namespace, gateway.name)];
    }
    const unique = new Map(secrets.map(([namespace, name]) => [`${namespace}/${name}`, { namespace, name }]));
    return [...unique.values()].map(({ namespace, name }) => certificateOf(namespace, name));
  }

  #readSet(set: Manifest, gateways: readonly Manifest[]): readonly GatewayListener[] {
    const parent = set.spec.object("parentRef");
    const namespace = parent.text("namespace") || set.namespace;
    const name = parent.text("name");
    parent.dismiss();
    const gateway = gateways.find((one) => one.name === name && one.namespace === namespace);
    const leaveOut = (why: string): [] => {
      set.spec.dismiss();
      this.#draft.leftOut(titleOf(set), `${why}: its listeners are left out, with their routes`);
      return [];
    };
    if (gateway === undefined) return leaveOut(`its Gateway ${namespace}/${name} is not in the input`);
    const allowed = gateway.spec.object("allowedListeners").object("namespaces");
    const answer = this.#namespaces.allow(allowed, "None", gateway.namespace, set.namespace);
    if (answer === "yes") return this.#read(set, gateway);
    return leaveOut(
      answer === "no"
        ? `its Gateway does not allow it (allowedListeners)`
        : `whether its Gateway allows it depends on labels of Namespace ${set.namespace}, which is not in the input`,
    );
  }

  #read(owner: Manifest, gateway: Manifest): readonly GatewayListener[] {
    const { spec } = owner;
    spec.dismiss("gatewayClassName", "allowedListeners");
    return spec.objects("listeners").flatMap((listener) => {
      const protocol = listener.text("protocol");
      const port = listener.number("port");
      const hostname = listener.text("hostname").toLowerCase();
      const section = listener.text("name");
      if (port === undefined || (protocol !== "HTTP" && protocol !== "HTTPS")) {
        this.#noteOther(owner, listener, protocol);
        return [];
      }
      listener.dismiss("allowedRoutes");
      const tls = listener.object("tls");
      tls.dismiss("mode", "certificateRefs");
      const scheme = protocol === "HTTPS" ? ("https" as const) : ("http" as const);
      return [{ owner, gateway, spec: listener, section, port, scheme, hostname }];
    });
  }

  #noteOther(owner: Manifest, listener: SourceObject, protocol: string): void {
    const passes = listener.object("tls").text("mode") === "Passthrough";
    listener.dismiss();
    const what = passes
      ? `${listener.path} passed TLS through to the backends, which encrypted all the way: no equivalent`
      : `${listener.path} has the protocol ${protocol}, which Perch does not serve: left out`;
    this.#draft.leftOut(titleOf(owner), what, lossOf(passes));
  }

  /** Of listeners that a request cannot tell apart, the first is used: that of the Gateway, or the older ListenerSet. */
  #isDistinct(listener: GatewayListener, earlier: readonly GatewayListener[]): boolean {
    const conflict = earlier.find(
      (other) =>
        isBeside(other, listener) && (other.scheme !== listener.scheme || other.hostname === listener.hostname),
    );
    if (conflict === undefined) return true;
    const what = `${listener.spec.path} conflicts with ${titleOf(conflict.owner)} ${conflict.spec.path}`;
    this.#draft.leftOut(titleOf(listener.owner), `${what}, which has the same port: left out`);
    return false;
  }
}

function isBeside(a: GatewayListener, b: GatewayListener): boolean {
  return a.gateway === b.gateway && a.port === b.port;
}
