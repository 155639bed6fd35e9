import type { Draft, YamlMap } from "./draft.ts";

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
