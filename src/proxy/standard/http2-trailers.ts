/** Trailers as node:http2 takes them: repeated fields in a list, and none that it refuses. */
export function trailerFields(trailers: readonly (readonly [string, string])[]): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of trailers) {
    const key = name.toLowerCase();
    if (key === "http2-settings") continue;
    const before = fields[key];
    if (before === undefined) fields[key] = value;
    else fields[key] = Array.isArray(before) ? [...before, value] : [before, value];
  }
  return fields;
}
