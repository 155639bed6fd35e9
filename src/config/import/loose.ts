/** Reads of values whose shape nobody vouches for: what is not of the shape asked for is as if it were not there. */

export type Loose = Readonly<Record<string, unknown>>;

const nothing: Loose = Object.freeze({});

export function mapIn(value: unknown): Loose {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Loose) : nothing;
}

export function listIn(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function mapsIn(value: unknown): readonly Loose[] {
  return listIn(value).map(mapIn);
}

/** A scalar as text; empty where it is none. */
export function textIn(value: unknown): string {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? String(value) : "";
}

export function textsIn(value: unknown): readonly string[] {
  return listIn(value).map(textIn);
}

export function numberIn(value: unknown): number | undefined {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : undefined;
}
