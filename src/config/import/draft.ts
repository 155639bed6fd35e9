import { Document, isMap, isSeq, type Node, type Scalar } from "yaml";

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

const schemaLine = " yaml-language-server: $schema=./perch.schema.json";
const wrapAt = 110;

/** The draft as a configuration file, with comments that say where each part comes from and what has no equivalent. */
export function writeDraft(draft: Draft, sources: readonly string[]): string {
  const document = new Document({
    services: Object.fromEntries(
      draft.services.map(({ name, versions, settings }) => [name, service(versions, settings)]),
    ),
    ...(draft.releases.length === 0
      ? {}
      : { releases: Object.fromEntries(draft.releases.map(({ name, settings }) => [name, settings])) }),
    routes: draft.routes.map(({ name, match, service, release, settings }) => ({
      name,
      ...(Object.keys(match).length === 0 ? {} : { match }),
      ...(service === undefined ? {} : { service }),
      ...(release === undefined ? {} : { release }),
      ...settings,
    })),
  });
  comment(document, draft);
  document.commentBefore = [schemaLine, ...header(draft, sources)].join("\n");
  return document.toString({ lineWidth: 120, flowCollectionPadding: true });
}

function service(versions: Draft["services"][number]["versions"], settings: YamlMap): YamlMap {
  const named = versions.map(({ name, endpoints, settings: own }) => [name, { endpoints, ...own }] as const);
  return { versions: Object.fromEntries(named), ...settings };
}

function header(draft: Draft, sources: readonly string[]): string[] {
  const lines = [` Made by perch import from ${sources.join(", ")}. Read it before you use it.`];
  if (draft.notes.length === 0) return lines;
  lines.push(" What is not as it was:");
  for (const { where, what } of draft.notes) lines.push(...wrap(`- ${where}: ${what}`));
  return lines;
}

function wrap(text: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line !== "" && line.length + word.length + 1 > wrapAt) {
      lines.push(` ${line}`);
      line = `  ${word}`;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, ` ${line}`];
}

function comment(document: Document, draft: Draft): void {
  const releases = document.get("releases", true);
  if (isMap(releases)) {
    for (const [index, pair] of releases.items.entries()) {
      (pair.key as Scalar).commentBefore = commentText(draft.releases[index]?.comment);
    }
  }
  const routes = document.get("routes", true);
  if (!isSeq(routes)) return;
  for (const [index, item] of routes.items.entries()) {
    (item as Node).commentBefore = commentText(draft.routes[index]?.comment);
    const match = isMap(item) ? item.get("match", true) : undefined;
    if (isMap(match)) match.flow = true;
  }
}

function commentText(comment: string | undefined): string | null {
  return comment === undefined || comment === "" ? null : comment.replace(/^/gm, " ");
}

/** Changes of header fields as others write them: pairs of name and value. */
export interface WrittenEdits {
  readonly set: readonly (readonly [name: string, value: string])[];
  readonly add: readonly (readonly [name: string, value: string])[];
  readonly remove: readonly string[];
}

/** The same as a route's or version's `requestHeaders` or `responseHeaders`. */
export function headerEdits({ set, add, remove }: WrittenEdits, where: string, draft: Draft): YamlMap {
  const edits = { set: pairs(set, where, draft), add: pairs(add, where, draft) };
  return {
    ...(Object.keys(edits.set).length === 0 ? {} : { set: edits.set }),
    ...(Object.keys(edits.add).length === 0 ? {} : { add: edits.add }),
    ...(remove.length === 0 ? {} : { remove: remove.map((name) => name.toLowerCase()) }),
  };
}

function pairs(fields: WrittenEdits["set"], where: string, draft: Draft): YamlMap {
  const kept = fields.filter(([name, value]) => {
    // What is text there would be a template of Perch's, which has no way to write it as text.
    if (!value.includes("${")) return true;
    draft.note(where, `the header ${name} with "\${" in its value: no equivalent here, left out`);
    return false;
  });
  return Object.fromEntries(kept.map(([name, value]) => [name.toLowerCase(), value]));
}
