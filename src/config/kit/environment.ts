/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface Replacement {
  readonly text: string;
  readonly replaced: boolean;
  /** Variables that are not set and have no default. */
  readonly unset: readonly string[];
}

const opening = /\$?\$\{(?:([A-Z_][A-Z0-9_]*)(\}|:-))?/g;

/**
 * Replaces `${NAME}` and `${NAME:-default}`; as in a shell, the default also stands in for an empty value. `$${` gives
 * `${`. Anything else with a dollar sign is left alone, so that regular expressions need no escapes.
 */
export function replaceEnvironment(text: string, environment: Environment): Replacement {
  const pieces: string[] = [];
  const unset: string[] = [];
  let replaced = false;
  let done = 0;
  // Openings behind the last brace have no end, and looking for it from each of them would take quadratic time.
  const lastBrace = text.lastIndexOf("}");
  for (const match of text.matchAll(opening)) {
    const { index } = match;
    if (index < done) continue;
    if (match[0].startsWith("$$")) {
      pieces.push(text.slice(done, index));
      done = index + 1;
      continue;
    }
    const reference = index < lastBrace ? readReference(text, match) : undefined;
    if (reference === undefined) continue;
    const value = lookUp(environment, reference);
    if (value === undefined) unset.push(reference.name);
    pieces.push(text.slice(done, index), value ?? "");
    done = reference.end;
    replaced = true;
  }
  if (done === 0) return { text, replaced, unset };
  return { text: pieces.join("") + text.slice(done), replaced, unset };
}

interface Reference {
  readonly name: string;
  readonly fallback: string | undefined;
  readonly end: number;
}

/** Undefined where the opening has no name or no end. */
function readReference(text: string, match: RegExpExecArray): Reference | undefined {
  const [whole, name, follows] = match;
  const afterOpening = match.index + whole.length;
  if (name === undefined) return undefined;
  if (follows === "}") return { name, fallback: undefined, end: afterOpening };
  const end = text.indexOf("}", afterOpening);
  return end === -1 ? undefined : { name, fallback: text.slice(afterOpening, end), end: end + 1 };
}

function lookUp(environment: Environment, { name, fallback }: Reference): string | undefined {
  // An own property only: a process's environment has no `constructor`, but a plain object in its stead has.
  const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
  return fallback !== undefined && (value === undefined || value === "") ? fallback : value;
}
