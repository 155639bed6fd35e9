/** What was saved is of another shape: another version, or another file. */
export class ForeignShape extends Error {}

export function savedRecord(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new ForeignShape("not an object");
  return value as Readonly<Record<string, unknown>>;
}

export function savedNumber(value: unknown): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new ForeignShape("not a number");
  return value;
}

/** Zero or more; not beyond `max`. */
export function savedCount(value: unknown, max: number = Number.MAX_SAFE_INTEGER): number {
  const count = savedNumber(value);
  if (!Number.isInteger(count) || count < 0 || count > max) throw new ForeignShape("not a count");
  return count;
}

/** A sum of counts that can be read back, whatever is added. */
export function countSum(left: number, right: number): number {
  return Math.min(left + right, Number.MAX_SAFE_INTEGER);
}

export function savedList<T>(value: unknown, read: (entry: unknown) => T): readonly T[] {
  if (!Array.isArray(value)) throw new ForeignShape("not a list");
  return value.map((entry: unknown) => read(entry));
}

/** Bytes, as `savedBytes` wrote them. */
export function readBytes(value: unknown): Uint8Array {
  if (typeof value !== "string") throw new ForeignShape("not a text");
  const bytes = Buffer.from(value, "base64");
  if (bytes.toString("base64") !== value) throw new ForeignShape("not base64");
  return Uint8Array.from(bytes);
}

export function savedBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}
