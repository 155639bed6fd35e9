import { whyProtected } from "../../http/header-names.ts";
import { headerName } from "../scalars.ts";
import { headerEditsSchema } from "../sections/header-edits.ts";
import { hostAndPort } from "../sections/rewrite.ts";
import { accepts, problemWith } from "./accepts.ts";
import type { Draft, YamlMap } from "./draft.ts";

/** Header edits of other gateways: pairs of name and value. */
export interface WrittenEdits {
  readonly set: readonly (readonly [name: string, value: string])[];
  readonly add: readonly (readonly [name: string, value: string])[];
  readonly remove: readonly string[];
}

export interface ImportedEdits {
  /** `requestHeaders` or `responseHeaders` of a route or version; empty if no edit is left. */
  readonly edits: YamlMap;
  /** The Host header for the upstream, which `rewrite.host` sets; empty if it is not set. */
  readonly host: string;
}

/** Converts edits of the headers of requests or responses. What Perch cannot do is noted and left out. */
export function headerEdits(
  { set, add, remove }: WrittenEdits,
  message: "request" | "response",
  where: string,
  draft: Draft,
): ImportedEdits {
  const leaveOut = (name: string, why: string): false => {
    draft.note(where, `the edit of the ${message} header ${name} is left out: ${why}`);
    return false;
  };
  /** Headers that the gateway filled in with values that Perch has not: those of clients do not stand for these. */
  const emptied: string[] = [];
  const leaveOutValue = (name: string, why: string, isSet: boolean): false => {
    if (!isSet || message === "response") return leaveOut(name, why);
    emptied.push(name.toLowerCase());
    return leaveOut(name, `${why}; it is removed, or clients could send it`);
  };
  const isEditable = (name: string): boolean => {
    if (!accepts(headerName, name)) return leaveOut(name, "this is not a header's name");
    const why = whyProtected(name.toLowerCase(), message);
    return why === undefined || leaveOut(name, why);
  };
  const kept = (fields: WrittenEdits["set"], isSet: boolean): YamlMap => {
    const usable = fields.filter(([name, value]) => {
      if (!isEditable(name)) return false;
      // Perch would read it as a template of its own, and has no escape for it.
      if (value.includes("${")) return leaveOutValue(name, '"${" in its value has no equivalent', isSet);
      const problem = problemWith(headerEditsSchema, { set: { [name]: value } });
      if (problem !== undefined) return leaveOut(name, problem);
      return (
        !/%[A-Z][A-Z0-9_]+(?:\([^)]*\))?%/.test(value) ||
        leaveOutValue(name, "Envoy's %…% variables have no equivalent", isSet)
      );
    });
    return Object.fromEntries(usable.map(([name, value]) => [name.toLowerCase(), value]));
  };
  const isHost = ([name, value]: WrittenEdits["set"][number]) =>
    message === "request" && /^(?:host|:authority)$/i.test(name) && accepts(hostAndPort, value);
  const edits = {
    set: kept(
      set.filter((field) => !isHost(field)),
      true,
    ),
    add: kept(add, false),
    remove: [...new Set([...remove.filter(isEditable).map((name) => name.toLowerCase()), ...emptied])],
  };
  const host = set.find(isHost)?.[1] ?? "";
  return {
    edits: {
      ...(Object.keys(edits.set).length === 0 ? {} : { set: edits.set }),
      ...(Object.keys(edits.add).length === 0 ? {} : { add: edits.add }),
      ...(edits.remove.length === 0 ? {} : { remove: edits.remove }),
    },
    host,
  };
}
