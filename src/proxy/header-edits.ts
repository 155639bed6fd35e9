import type { HeaderEditsSpec } from "../route/header-edits-spec.ts";
import { removeFields } from "./header-fields.ts";
import { compileTemplateText, type TemplateSource, type TemplateText } from "./template-text.ts";

/** The edits of a route and of the version that serves, as one. Prepared once a snapshot. */
export class HeaderEdits {
  /** Names, in lower case. */
  readonly removed: readonly string[];
  readonly #added: readonly { readonly name: string; readonly text: TemplateText }[];

  constructor(spec: HeaderEditsSpec) {
    this.removed = spec.removed;
    this.#added = spec.added.map(({ name, value }) => ({ name, text: compileTemplateText(value) }));
  }

  /** What is added, and undefined where a fact is not known. */
  values(source: TemplateSource, version: string): (readonly [name: string, value: string | undefined])[] {
    return this.#added.map(({ name, text }) => [name, text(source, version)]);
  }

  /** Edits a flat list (name, value, name, value) in place. */
  apply(fields: string[], source: TemplateSource, version: string): void {
    removeFields(fields, this.removed);
    for (const { name, text } of this.#added) {
      const value = text(source, version);
      if (value !== undefined) fields.push(name, value);
    }
  }
}

/** What comes of a route's edits and then a version's; undefined where there are none. */
export function combinedEdits(
  route: HeaderEditsSpec | undefined,
  version: HeaderEditsSpec | undefined,
): HeaderEdits | undefined {
  if (route === undefined || version === undefined) {
    const only = route ?? version;
    return only && new HeaderEdits(only);
  }
  const removed = new Set(version.removed);
  const kept = route.added.filter(({ name }) => !removed.has(name));
  return new HeaderEdits({
    removed: [...new Set([...route.removed, ...removed])],
    added: [...kept, ...version.added],
  });
}
