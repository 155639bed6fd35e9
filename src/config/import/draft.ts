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
}

export interface DraftParts {
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
}

/** A Perch configuration under construction. */
export class Draft {
  readonly services: DraftService[] = [];
  readonly releases: DraftRelease[] = [];
  readonly routes: DraftRoute[] = [];
  readonly #notes: Note[] = [];
  readonly #names = new Map<string, Set<string>>();
  /** Names by settings as they were asked for. */
  readonly #releases = new Map<string, string>();
  /** The names of the pins' cookies. */
  readonly #cookies = new Set<string>();

  /** Those of lost protection first. */
  get notes(): readonly Note[] {
    return [true, false].flatMap((lost) => this.#notes.filter(({ lostProtection }) => lostProtection === lost));
  }

  note(where: string, what: string, lostProtection = false): void {
    const note = { where: printable(where), what: printable(what), lostProtection };
    if (this.#notes.some((other) => other.where === note.where && other.what === note.what)) return;
    this.#notes.push(note);
  }

  /** Something that protected clients or services, and that the result does not do. */
  noteLostProtection(where: string, what: string): void {
    this.note(where, what, true);
  }

  /** A valid name that is unique within its kind. */
  name(kind: "service" | "release" | "route", wanted: string): string {
    const taken = this.#names.get(kind) ?? new Set<string>();
    this.#names.set(kind, taken);
    const base = resourceNameOf(wanted);
    let name = base;
    for (let number = 2; taken.has(name); number++) name = `${base.slice(0, 58)}-${number}`;
    taken.add(name);
    return name;
  }

  /** The name of the service with exactly these versions and settings; creates it if there is none. */
  service(wanted: string, versions: readonly DraftVersion[], settings: YamlMap): string {
    const same = JSON.stringify([versions, settings]);
    const known = this.services.find((service) => JSON.stringify([service.versions, service.settings]) === same);
    if (known !== undefined) return known.name;
    const name = this.name("service", wanted);
    this.services.push({ name, versions, settings });
    return name;
  }

  /** The name of the release with exactly these settings; creates it if there is none. */
  release(wanted: string, settings: YamlMap, comment: string): string {
    const same = JSON.stringify(settings);
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
  return line.length > longestNote ? `${line.slice(0, longestNote)}…` : line;
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
