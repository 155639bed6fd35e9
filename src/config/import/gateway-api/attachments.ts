import { hostPattern } from "../../scalars.ts";
import { accepts } from "../accepts.ts";
import type { Draft, YamlMap } from "../draft.ts";
import { type Hostname, intersection } from "../hostnames.ts";
import { type Manifest, titleOf } from "../manifests.ts";
import type { SourceObject } from "../source-object.ts";
import { type GatewayListener, type Gateways, gatewayGroup, isListenerSet, type Scheme } from "./gateways.ts";
import { hasEntries } from "./http-route-match.ts";

/** What a route is attached to: a listener of a Gateway, or something of which less is known. */
export interface Attachment {
  /** Perch's listener; undefined: any. */
  readonly listener: string | undefined;
  /** The scheme of its requests; undefined if it may be either. */
  readonly scheme: Scheme | undefined;
  /** The hostname of the Gateway's listener. */
  readonly hostname: Hostname;
  /** Hosts instead of those of the route. */
  readonly hosts?: readonly Hostname[];
  /** Undefined if the Gateway is not part of the input. */
  readonly source: GatewayListener | undefined;
  /** Of its Gateway among those that share Perch's listeners: the oldest is 0. Default: 0, if each has its own. */
  readonly age?: number;
}

/** Which requests of the listeners a rule is for: those to one host, on the listeners that have it. */
export interface ListenerMatch {
  readonly hostname: Hostname;
  /** The intersection of the hostnames of listener and route. */
  readonly host: Hostname;
  /** Undefined: all. */
  readonly listeners: readonly string[] | undefined;
  readonly scheme: Scheme | undefined;
  /** Of the listeners' Gateway. */
  readonly age: number;
}

/** The match of a route for these requests. */
export function asMatch({ host, listeners, scheme }: Pick<ListenerMatch, "host" | "listeners" | "scheme">): YamlMap {
  return {
    ...(listeners === undefined ? {} : { listeners }),
    ...(host === "" ? {} : { hosts: [host] }),
    ...(scheme === undefined || listeners !== undefined ? {} : { scheme }),
  };
}

/**
 * One for each host of a route and each hostname of the listeners that it is attached to. Listeners of one Gateway with
 * the same hostname share one, unless `byScheme`.
 */
export function listenerMatchesOf(
  attachments: readonly Attachment[],
  hostnames: readonly Hostname[],
  byScheme: boolean,
): readonly ListenerMatch[] {
  const listenerMatches = new Map<string, ListenerMatch>();
  for (const { listener, scheme, hostname, hosts, age = 0 } of attachments) {
    for (const wanted of hosts ?? (hostnames.length === 0 ? [""] : hostnames)) {
      const host = intersection(hostname, wanted);
      if (host === undefined) continue;
      const split = byScheme || listener === undefined ? scheme : undefined;
      const key = JSON.stringify([hostname, host, split ?? "", listener === undefined, age]);
      const known = listenerMatches.get(key);
      const listeners = listener === undefined ? undefined : [...new Set([...(known?.listeners ?? []), listener])];
      listenerMatches.set(key, { hostname, host, listeners, scheme: split, age });
    }
  }
  return [...listenerMatches.values()];
}

/** The hostnames that a configuration accepts; undefined if the route has only others. */
export function hostnamesOf({ spec }: Manifest, where: string, draft: Draft): readonly Hostname[] | undefined {
  const written = spec.texts("hostnames").map((host) => host.toLowerCase());
  if (written.length === 0 && hasEntries(spec.peek("hostnames"))) {
    draft.leftOut(where, "its hostnames are not a list of hosts: left out");
    return undefined;
  }
  const hosts = written.filter((host) => accepts(hostPattern, host));
  for (const host of written.filter((one) => !hosts.includes(one))) {
    draft.leftOut(where, `the hostname ${host} has no equivalent: left out`);
  }
  return hosts.length === 0 && written.length > 0 ? undefined : hosts;
}

/** The attachments of a route. What does not accept the route, or is not known well enough, is noted and left out. */
export function attachmentsOf(
  route: Manifest,
  hostnames: readonly Hostname[],
  gateways: Gateways,
  draft: Draft,
): readonly Attachment[] {
  const where = titleOf(route);
  const parents = route.spec.objects("parentRefs");
  if (parents.length === 0 && gateways.isEmpty && !hasEntries(route.spec.peek("parentRefs"))) {
    draft.note(where, "it has no parentRefs: its routes apply on every listener");
    return [{ listener: undefined, scheme: undefined, hostname: "", source: undefined }];
  }
  const attachments = parents.flatMap((parent) => {
    const found = new ParentAttachments(parent, route, hostnames, gateways).find();
    for (const note of found.notes) draft.note(found.about ?? where, note);
    return found.attachments;
  });
  if (attachments.length === 0) draft.leftOut(where, "nothing that it refers to accepts it: left out");
  return attachments;
}

interface Found {
  readonly attachments: readonly Attachment[];
  /** What the notes are about, if it is not the route. */
  readonly about?: string;
  readonly notes: readonly string[];
}

const leftOut = (why: string): Found => ({ attachments: [], notes: [why] });

class ParentAttachments {
  readonly #route: Manifest;
  readonly #hostnames: readonly Hostname[];
  readonly #gateways: Gateways;
  readonly #kind: string;
  readonly #group: string;
  readonly #namespace: string;
  /** Whether the reference itself names the namespace. */
  readonly #isElsewhere: boolean;
  readonly #name: string;
  readonly #section: string;
  readonly #port: number | undefined;
  readonly #path: string;

  constructor(parent: SourceObject, route: Manifest, hostnames: readonly Hostname[], gateways: Gateways) {
    this.#route = route;
    this.#hostnames = hostnames;
    this.#gateways = gateways;
    this.#kind = parent.text("kind") || "Gateway";
    this.#group = parent.text("group");
    this.#isElsewhere = parent.text("namespace") !== "";
    this.#namespace = parent.text("namespace") || route.namespace;
    this.#name = parent.text("name");
    this.#section = parent.text("sectionName");
    this.#port = parent.number("port");
    this.#path = parent.path;
  }

  find(): Found {
    if (this.#kind === "Service") return this.#ofService();
    if (!isParent(this.#kind, this.#group)) {
      return leftOut(`${this.#path} is of kind ${this.#group}/${this.#kind}: no equivalent, left out`);
    }
    const listeners = this.#gateways.listenersOf({
      kind: this.#kind,
      name: this.#name,
      namespace: this.#namespace,
      isCertain: this.#isElsewhere || this.#route.hasNamespace,
    });
    if (listeners === undefined) return this.#ofUnknown();
    const chosen = listeners.filter(
      ({ section, port }) =>
        (this.#section === "" || section === this.#section) && (this.#port === undefined || port === this.#port),
    );
    if (chosen.length === 0) return leftOut(`${this.#path} names no listener of ${this.#parent} for HTTP: left out`);
    const refusals = chosen.map((listener) => ({ listener, ...this.#refusalOf(listener) }));
    const attachments = refusals.flatMap(({ listener, why }) =>
      why === undefined ? [this.#attachmentTo(listener)] : [],
    );
    // A route need not fit all listeners of its Gateway, so these are worth a note only if it fits none.
    const noted = refusals.filter(({ isCertain }) => attachments.length === 0 || !isCertain);
    return { attachments, notes: noted.flatMap(({ why }) => why ?? []) };
  }

  get #parent(): string {
    return `${this.#kind} ${this.#namespace}/${this.#name}`;
  }

  #attachmentTo(listener: GatewayListener): Attachment {
    const { scheme, hostname } = listener;
    return { listener: this.#gateways.nameOf(listener), scheme, hostname, source: listener };
  }

  /** Why the listener does not accept the route; undefined if it does. */
  #refusalOf(listener: GatewayListener): { readonly why: string | undefined; readonly isCertain: boolean } {
    const name = `the listener ${listener.section} of ${this.#parent}`;
    const own = this.#isElsewhere ? this.#namespace : this.#route.namespace;
    const answer = this.#gateways.allows(listener, own, this.#route);
    if (answer === "unknown") {
      const labels = `labels of Namespace ${this.#route.namespace}, which is not in the input`;
      return { why: `whether ${name} allows it depends on ${labels}: not attached there`, isCertain: false };
    }
    if (answer === "no") return { why: `${name} does not allow it (allowedRoutes)`, isCertain: true };
    const { hostname } = listener;
    const hosts = this.#hostnames.length === 0 ? [""] : this.#hostnames;
    const fits = hosts.some((host) => intersection(hostname, host) !== undefined);
    return {
      why: fits ? undefined : `${name} has the hostname ${hostname}, which none of its hostnames matches`,
      isCertain: true,
    };
  }

  /** The Gateway is not part of the input: only what the reference itself says is known. */
  #ofUnknown(): Found {
    const attachment = { listener: undefined, hostname: "", source: undefined };
    const unknown = `${this.#parent} is not in the input`;
    if (!this.#gateways.isEmpty) {
      return leftOut(`${unknown}, and others are, which do not have this route: left out; add it to the input`);
    }
    if (this.#section === "" && this.#port === undefined) {
      const note =
        "not in the input, so the hosts and ports of its listeners are not known: its routes apply on every listener";
      return { attachments: [{ ...attachment, scheme: undefined }], about: this.#parent, notes: [note] };
    }
    const scheme = schemeOf(this.#section, this.#port);
    if (scheme === undefined) {
      return leftOut(
        `${unknown}, so the listener that ${this.#path} names is not known: left out; add it to the input`,
      );
    }
    const note = `not in the input: its listener ${this.#section || this.#port} is taken for all requests by ${scheme}`;
    return { attachments: [{ ...attachment, scheme }], about: this.#parent, notes: [note] };
  }

  /** A route of a mesh applies to requests that clients send to the Service, whatever its hostnames are. */
  #ofService(): Found {
    if (!this.#gateways.isEmpty) {
      return leftOut(`${this.#path}: a route of a mesh is not for Gateways: left out; import it without them`);
    }
    if (this.#namespace !== this.#route.namespace) {
      return leftOut(`${this.#path}: a route for clients of one namespace only has no equivalent: left out`);
    }
    if (this.#section !== "" || this.#port !== undefined) {
      return leftOut(`${this.#path} is one port of a Service, and Perch routes by host: left out`);
    }
    const name = `${this.#name}.${this.#namespace}`.toLowerCase();
    const hosts = [this.#name.toLowerCase(), name, `${name}.svc`, `${name}.svc.cluster.local`];
    return {
      attachments: [{ listener: undefined, scheme: undefined, hostname: "", hosts, source: undefined }],
      notes: [`${this.#path}: clients of ${this.#parent} must call Perch under its names (${hosts.join(", ")})`],
    };
  }
}

function isParent(kind: string, group: string): boolean {
  return kind === "Gateway"
    ? group === "" || group === gatewayGroup
    : isListenerSet({ kind, group: group || gatewayGroup });
}

const usualSections: ReadonlyMap<string, Scheme> = new Map([
  ["http", "http"],
  ["web", "http"],
  ["https", "https"],
  ["websecure", "https"],
]);

/** The scheme of a listener by its usual name or port. */
function schemeOf(section: string, port: number | undefined): Scheme | undefined {
  const ofPort = port === 80 ? "http" : port === 443 ? "https" : undefined;
  const ofSection = usualSections.get(section);
  if (section === "" || port === undefined) return section === "" ? ofPort : ofSection;
  return ofPort === ofSection ? ofPort : undefined;
}
