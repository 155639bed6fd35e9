import { cookieName } from "../scalars.ts";
import { accepts } from "./accepts.ts";

export type YamlValue = string | number | boolean | readonly YamlValue[] | YamlMap;
export interface YamlMap {
  readonly [key: string]: YamlValue;
}

export interface DraftVersion {
  readonly name: string;
  readonly endpoints: readonly YamlValue[];
  readonly settings?: YamlMap;
}

export interface DraftService {
  readonly name: string;
  readonly versions: readonly DraftVersion[];
  readonly settings: YamlMap;
}

export interface DraftRelease {
  readonly name: string;
  readonly settings: YamlMap;
  /** The YAML comment above it, which names its origin. */
  readonly comment: string;
}

export interface DraftRoute {
  readonly name: string;
  readonly match: YamlMap;
  /** Undefined if Perch itself replies, with a redirect. */
  readonly service: string | undefined;
  readonly release: string | undefined;
  readonly settings: YamlMap;
  readonly comment: string;
  /** The titles of the objects that it comes from: the one with the route first, then such as a canary Ingress. */
  readonly sources: readonly string[];
  /** What the original calls it, if it has a name there. Several routes may share it. */
  readonly originalName?: string;
  /** Whether it is for requests that nothing served in the original. A result of such routes alone is none. */
  readonly servesNobody?: true;
}

/** A certificate of a listener, in files that the Pod mounts. */
export interface DraftCertificate {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface DraftListener {
  readonly name: string;
  /** Whose it is: each gateway of the input had addresses of its own. */
  readonly source: string;
  /** The object of the input that it comes from, or else its source, for notes. */
  readonly where: string;
  /** The port of the original, where clients connect to. */
  readonly port: number;
  /** Undefined: plain HTTP. */
  readonly certificates: readonly DraftCertificate[] | undefined;
  /** Other settings of its `tls`: `clientCa`, `minVersion`. */
  readonly tls?: YamlMap;
  /** Whether clients speak HTTP/2 without TLS, as those of gRPC do. */
  readonly h2c?: boolean;
}

/** A fact about the requester, with the only place where it comes from. */
export interface DraftAttribute {
  readonly name: string;
  readonly source: YamlMap;
}

export interface DraftParts {
  readonly attributes: readonly DraftAttribute[];
  /** Empty: one for http. */
  readonly listeners: readonly DraftListener[];
  readonly services: readonly DraftService[];
  readonly releases: readonly DraftRelease[];
  readonly routes: readonly DraftRoute[];
}

/** A difference from the original: something without an equivalent, or with different behaviour. */
export interface Note {
  readonly where: string;
  readonly what: string;
  /** Whether the original protected something that the result does not. These notes stand first. */
  readonly lostProtection: boolean;
  /** Whether a route of the original, or an object with routes, is not in the result. The summary counts these notes. */
  readonly leftOut: boolean;
}

/** What a difference costs: something that protected clients or services, or nothing of the kind. */
export type Loss = "none" | "protection";

export function lossOf(protects: boolean): Loss {
  return protects ? "protection" : "none";
}

export type NameKind = "attribute" | "listener" | "service" | "release" | "route" | "version";

/** A Perch configuration under construction. */
export class Draft {
  /** Empty: one for http. */
  readonly listeners: DraftListener[] = [];
  readonly attributes: DraftAttribute[] = [];
  readonly services: DraftService[] = [];
  readonly releases: DraftRelease[] = [];
  readonly routes: DraftRoute[] = [];
  /** The gateway whose routes are imported now. */
  #source = "";
  /** Which routes are of which gateway, by index. */
  readonly #sources: { readonly source: string; readonly first: number; readonly end: number }[] = [];
  /** By place and text, so that each is listed once. */
  readonly #notes = new Map<string, Note>();
  readonly #names = new Map<string, Set<string>>();
  /** The next number by kind and name: many routes of one object have its name. */
  readonly #numbers = new Map<string, number>();
  /** Names by versions and settings. */
  readonly #services = new Map<string, string>();
  /** Names by settings as they were asked for. */
  readonly #releases = new Map<string, string>();
  /** The names of the pins' cookies. */
  readonly #cookies = new Set<string>();
  /** Undefined: names are unique within this draft. */
  readonly #nameOf: ((kind: NameKind, wanted: string) => string) | undefined;

  constructor(nameOf?: (kind: NameKind, wanted: string) => string) {
    this.#nameOf = nameOf;
  }

  /** Those of lost protection first. */
  get notes(): readonly Note[] {
    const all = [...this.#notes.values()];
    return [true, false].flatMap((lost) => all.filter(({ lostProtection }) => lostProtection === lost));
  }

  note(where: string, what: string, loss: Loss = "none"): void {
    this.#add(where, what, loss, false);
  }

  /** Something that protected clients or services, and that the result does not do. */
  noteLostProtection(where: string, what: string): void {
    this.note(where, what, "protection");
  }

  /**
   * A note of a route that is not in the result, or of an object whose routes are not: what it is, why, and what becomes
   * of its requests. The summary counts these notes.
   */
  leftOut(where: string, what: string, loss: Loss = "none"): void {
    this.#add(where, what, loss, true);
  }

  #add(where: string, what: string, loss: Loss, leftOut: boolean): void {
    const note = { where: printable(where), what: printable(what), lostProtection: loss === "protection", leftOut };
    const key = JSON.stringify([note.where, note.what]);
    if (!this.#notes.has(key)) this.#notes.set(key, note);
  }

  /**
   * The name of the listener for this port of the original. `certificates`: undefined for plain HTTP. Those of several
   * parts of the input for one port are collected; where some speak TLS and others do not, the listener speaks TLS.
   * `where`: the object that it comes from, for notes.
   */
  listener(
    port: number,
    certificates?: readonly DraftCertificate[],
    tls: YamlMap = {},
    where: string = this.#source,
  ): string {
    const source = this.#source;
    const at = this.listeners.findIndex((one) => one.port === port && one.source === source);
    const known = this.listeners[at];
    if (known === undefined) {
      const name = this.name("listener", port === 80 ? "http" : port === 443 ? "https" : `port-${port}`);
      this.listeners.push({ name, source, where, port, certificates, tls });
      return name;
    }
    const added = (certificates ?? []).filter(
      ({ certFile }) => !known.certificates?.some((one) => one.certFile === certFile),
    );
    if (certificates !== undefined) {
      this.listeners[at] = {
        ...known,
        tls: { ...known.tls, ...tls },
        certificates: [...(known.certificates ?? []), ...added],
      };
    }
    return known.name;
  }

  /**
   * Runs what imports the routes of one gateway. Its listeners are not shared with other gateways, whose clients came to
   * other addresses.
   */
  from(source: string, run: () => void): void {
    const first = this.routes.length;
    this.#source = source;
    run();
    if (this.routes.length > first) this.#sources.push({ source, first, end: this.routes.length });
  }

  /**
   * Binds the routes to the listeners of their gateways if there are several of these: a route would else take requests
   * that never came to its gateway. Returns the gateways.
   */
  separateSources(): readonly string[] {
    const sources = [...new Set(this.#sources.map(({ source }) => source))];
    if (sources.length < 2) return sources;
    for (const { source, first, end } of this.#sources) {
      this.#source = source;
      const own = this.listeners.filter((one) => one.source === source).map(({ name }) => name);
      const listeners = own.length === 0 ? [this.listener(80)] : own;
      for (let index = first; index < end; index++) {
        const route = this.routes[index];
        if (route !== undefined) this.routes[index] = { ...route, match: { listeners, ...route.match } };
      }
    }
    return sources;
  }

  /** Lets clients of this listener speak HTTP/2 without TLS. With TLS they choose HTTP/2 by ALPN. */
  serveH2c(listener: string): void {
    const at = this.listeners.findIndex(({ name }) => name === listener);
    const known = this.listeners[at];
    if (known !== undefined) this.listeners[at] = { ...known, h2c: true };
  }

  /** A valid name that is unique within its kind. */
  name(kind: NameKind, wanted: string): string {
    if (this.#nameOf !== undefined) return this.#nameOf(kind, wanted);
    const taken = this.#names.get(kind) ?? new Set<string>();
    this.#names.set(kind, taken);
    const base = resourceNameOf(wanted);
    const stem = base.slice(0, 57).replace(/-+$/, "");
    let name = base;
    let number = this.#numbers.get(`${kind} ${stem}`) ?? 2;
    for (; taken.has(name); number++) name = `${stem}-${number}`;
    if (name !== base) this.#numbers.set(`${kind} ${stem}`, number);
    taken.add(name);
    return name;
  }

  /** The name of the attribute with this source, such as `{ header: x-user }`; creates it if there is none. */
  attribute(source: YamlMap): string {
    const [[kind = "", place = ""] = []] = Object.entries(source);
    const known = this.attributes.find((one) => JSON.stringify(one.source) === JSON.stringify(source));
    if (known !== undefined) return known.name;
    const name = this.name("attribute", `by-${kind}-${place}`);
    this.attributes.push({ name, source });
    return name;
  }

  /** The name of the service with exactly these versions and settings; creates it if there is none. */
  service(wanted: string, versions: readonly DraftVersion[], settings: YamlMap): string {
    const same = JSON.stringify([versions, settings]);
    const known = this.#services.get(same);
    if (known !== undefined) return known;
    const name = this.name("service", wanted);
    this.services.push({ name, versions, settings });
    this.#services.set(same, name);
    return name;
  }

  /** The name of the release with exactly these settings for these destinations; creates it if there is none. */
  release(wanted: string, settings: YamlMap, comment: string, destinations: string): string {
    const same = JSON.stringify([destinations, settings]);
    const known = this.#releases.get(same);
    if (known !== undefined) return known;
    const name = this.newRelease(wanted, settings, comment);
    this.#releases.set(same, name);
    return name;
  }

  /** The name of a new release, even if another one has the same settings. */
  newRelease(wanted: string, settings: YamlMap, comment: string): string {
    const name = this.name("release", wanted);
    this.releases.push({ name, settings: this.#withOwnCookie(settings, comment), comment });
    return name;
  }

  /** Gives a release other settings. Routes that are added later do not share it. */
  replaceRelease(name: string, settings: YamlMap, comment: string): void {
    const index = this.releases.findIndex((release) => release.name === name);
    if (index < 0) return;
    this.releases[index] = { name, settings, comment };
    for (const [same, known] of this.#releases) if (known === name) this.#releases.delete(same);
  }

  /** Each release needs a cookie of its own, so a name that another release has is left out. */
  #withOwnCookie(settings: YamlMap, where: string): YamlMap {
    const { sticky } = settings;
    const cookie = isYamlMap(sticky) ? sticky["cookie"] : undefined;
    if (!isYamlMap(sticky) || !isYamlMap(cookie) || typeof cookie["name"] !== "string") return settings;
    const { name, ...rest } = cookie;
    if (!this.#cookies.has(name)) {
      this.#cookies.add(name);
      return settings;
    }
    this.note(where, `another release has the cookie ${name} already: this one has a cookie of its own`);
    const { cookie: _, ...others } = sticky;
    return { ...settings, sticky: Object.keys(rest).length === 0 ? others : { ...others, cookie: rest } };
  }
}

/** Where the manifests of `deploy/` mount the Secrets of certificates. */
export const certificateFolder = "/etc/perch/tls";

/** The files of a mounted Secret with a certificate, or of a Secret or ConfigMap with the certificates of CAs. */
export interface MountedSecret extends DraftCertificate {
  readonly folder: string;
  readonly caFile: string;
}

/** The files of a Secret or ConfigMap. */
export function certificateOf(namespace: string, secret: string): MountedSecret {
  const folder = `${certificateFolder}/${resourceNameOf(`${namespace}-${secret}`)}`;
  return { folder, certFile: `${folder}/tls.crt`, keyFile: `${folder}/tls.key`, caFile: `${folder}/ca.crt` };
}

/** The certificate of a listener with TLS for which the input does not name one. */
export const defaultCertificate: MountedSecret = certificateOf("default", "certificate");

export function isYamlMap(value: YamlValue | undefined): value is YamlMap {
  return typeof value === "object" && !Array.isArray(value);
}

/** A name for a pin's cookie; undefined if it cannot have it. Browsers accept two prefixes with certain settings only. */
export function pinName(text: string): string | undefined {
  return accepts(cookieName, text) && !/^__(?:host|secure)-/i.test(text) ? text : undefined;
}

const longestNote = 600;

/** On one line, without control characters, and short enough to leave the other notes visible. */
function printable(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\u2028\u2029\s]+/gu, " ");
  return line.length > longestNote ? `${line.slice(0, longestNote - 1)}…` : line;
}

/** Converts to a valid name: a-z, 0-9 and dashes, at most 63 characters. */
export function resourceNameOf(text: string): string {
  const name = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 63)
    .replace(/-+$/, "");
  // Names of Services, but no keys of a configuration: see the YAML parser.
  if (name === "constructor" || name === "prototype") return `${name}-1`;
  // "none" is the route label of requests without a route.
  return name === "" || name === "none" ? "unnamed" : name;
}
