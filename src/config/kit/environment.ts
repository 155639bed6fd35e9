/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface Replacement {
  readonly text: string;
  readonly replaced: boolean;
  /** Variables that are not set and have no default. */
  readonly unset: readonly string[];
}

const reference = /\$\$\{|\$\{([A-Z_][A-Z0-9_]*)(?::-([^}]*))?\}/g;

/**
 * Replaces `${NAME}` and `${NAME:-default}`; as in a shell, the default also stands in for an empty value. `$${` gives
 * `${`. Anything else with a dollar sign is left alone, so that regular expressions need no escapes.
 */
export function replaceEnvironment(text: string, environment: Environment): Replacement {
  if (!text.includes("${")) return { text, replaced: false, unset: [] };
  const unset: string[] = [];
  let replaced = false;
  const result = text.replace(reference, (whole, name: string | undefined, fallback: string | undefined) => {
    if (name === undefined) return whole.slice(1);
    replaced = true;
    // An own property only: a process's environment has no `constructor`, but a plain object passed in its stead has.
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (fallback !== undefined) return value === undefined || value === "" ? fallback : value;
    if (value === undefined) unset.push(name);
    return value ?? "";
  });
  return { text: result, replaced, unset };
}
