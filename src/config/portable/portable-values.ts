import { hash, KeyObject } from "node:crypto";
import type { AddressRange } from "../../decide/ip-address.ts";
import { useRollout } from "../../decide/release-spec.ts";
import type { SemverRange } from "../../decide/semver.ts";
import { GeoDatabase } from "../../identify/geo-database.ts";
import { LinearPattern, Replacement } from "../pattern.ts";
import { ValueSet } from "../value-set.ts";

/** A value of a compiled configuration that is no plain data. */
export type SpecialValue =
  | { readonly kind: "pattern"; readonly pattern: LinearPattern }
  | { readonly kind: "replacement"; readonly pattern: Replacement }
  | { readonly kind: "semver" | "range"; readonly text: string }
  | { readonly kind: "values"; readonly list: ValueSet }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "set"; readonly members: readonly unknown[] }
  | { readonly kind: "geo"; readonly digest: string }
  | { readonly kind: "key"; readonly key: KeyObject }
  | { readonly kind: "rollout" };

export type CompiledValue =
  | { readonly kind: "plain"; readonly value: string | number | boolean | null | undefined }
  | { readonly kind: "list"; readonly items: readonly unknown[] }
  | { readonly kind: "record"; readonly record: Readonly<Record<string, unknown>> }
  | SpecialValue;

/** Tells what a value of a compiled configuration is. Throws for one that a configuration cannot have (a bug in Perch). */
export function classify(value: unknown): CompiledValue {
  if (value === useRollout) return { kind: "rollout" };
  if (typeof value !== "object" || value === null) {
    if (typeof value === "function" || typeof value === "symbol" || typeof value === "bigint")
      throw unknownValue(value);
    return { kind: "plain", value: value as string | number | boolean | null | undefined };
  }
  if (Array.isArray(value)) return { kind: "list", items: value };
  const prototype: unknown = Object.getPrototypeOf(value);
  const isRecord = prototype === Object.prototype || prototype === null;
  if (isRecord && !isSemverRange(value)) {
    return { kind: "record", record: value as Readonly<Record<string, unknown>> };
  }
  return specialOf(value);
}

function specialOf(value: object): SpecialValue {
  if (isSemverRange(value)) return { kind: "semver", text: value.source };
  if (value instanceof Uint8Array) return { kind: "bytes", bytes: value };
  if (value instanceof LinearPattern) return { kind: "pattern", pattern: value };
  if (value instanceof Replacement) return { kind: "replacement", pattern: value };
  if (value instanceof ValueSet) return { kind: "values", list: value };
  if (value instanceof Set) return { kind: "set", members: [...value] };
  if (value instanceof GeoDatabase) return { kind: "geo", digest: value.contents.digest };
  if (value instanceof KeyObject) return { kind: "key", key: value };
  if (isAddressRange(value)) return { kind: "range", text: value.text };
  throw unknownValue(value);
}

const isSemverRange = (value: object): value is SemverRange =>
  "test" in value && typeof value.test === "function" && "source" in value && Object.hasOwn(value, "test");

const isAddressRange = (value: object): value is AddressRange =>
  "contains" in value && typeof value.contains === "function" && "text" in value;

function unknownValue(value: unknown): TypeError {
  const what = typeof value === "object" && value !== null ? value.constructor.name : typeof value;
  return new TypeError(`a compiled configuration cannot be sent with a value of type ${what}`);
}

/** Files of certificates are shared by many parts of a configuration. */
const digests = new WeakMap<Uint8Array, string>();

/** SHA-256. */
export function digestOfBytes(bytes: Uint8Array): string {
  const known = digests.get(bytes);
  if (known !== undefined) return known;
  const digest = hash("sha256", bytes, "base64url");
  digests.set(bytes, digest);
  return digest;
}
