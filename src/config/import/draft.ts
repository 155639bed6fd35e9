/** What can stand in a YAML file. */
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
  /** Lines that say where it comes from. */
  readonly comment: string;
}

export interface DraftRoute {
  readonly name: string;
  readonly match: YamlMap;
  /** Undefined where Perch answers by itself. */
  readonly service: string | undefined;
  readonly release: string | undefined;
  readonly settings: YamlMap;
  readonly comment: string;
}

/** Something of the original that has no equivalent, or another one than its user may think. */
export interface Note {
  readonly where: string;
  readonly what: string;
}

/** A configuration of Perch as it is put together from what others are configured by. */
export class Draft {
  readonly services: DraftService[] = [];
  readonly releases: DraftRelease[] = [];
  readonly routes: DraftRoute[] = [];
  readonly notes: Note[] = [];
  readonly #names = new Map<string, Set<string>>();

  note(where: string, what: string): void {
    if (!this.notes.some((note) => note.where === where && note.what === what)) this.notes.push({ where, what });
  }

  /** A name that fits Perch and that nothing else of its kind has. */
  name(kind: "service" | "release" | "route", wanted: string): string {
    const taken = this.#names.get(kind) ?? new Set<string>();
    this.#names.set(kind, taken);
    const fitting = resourceNameOf(wanted);
    let name = fitting;
    for (let number = 2; taken.has(name); number++) name = `${fitting.slice(0, 58)}-${number}`;
    taken.add(name);
    return name;
  }

  /** The service with exactly these versions and settings; made where there is none yet. */
  service(wanted: string, versions: readonly DraftVersion[], settings: YamlMap): string {
    const same = JSON.stringify([versions, settings]);
    const known = this.services.find((service) => JSON.stringify([service.versions, service.settings]) === same);
    if (known !== undefined) return known.name;
    const name = this.name("service", wanted);
    this.services.push({ name, versions, settings });
    return name;
  }

  /** The release with exactly these settings; made where there is none yet. */
  release(wanted: string, settings: YamlMap, comment: string): string {
    const same = JSON.stringify(settings);
    const known = this.releases.find((release) => JSON.stringify(release.settings) === same);
    if (known !== undefined) return known.name;
    const name = this.name("release", wanted);
    this.releases.push({ name, settings, comment });
    return name;
  }
}

/** Perch's names are a-z, 0-9 and dashes, at most 63 of them. */
export function resourceNameOf(text: string): string {
  const fitting = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 63)
    .replace(/-+$/, "");
  // Metrics call requests without a route by this name.
  return fitting === "" || fitting === "none" ? "unnamed" : fitting;
}
