/** Trailers as node:http2 takes them: repeated fields in a list. */
export function trailerFields(trailers: readonly (readonly [string, string])[]): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of trailers) {
    const key = name.toLowerCase();
    const before = fields[key];
    if (before === undefined) fields[key] = value;
    else fields[key] = Array.isArray(before) ? [...before, value] : [before, value];
  }
  return fields;
}
