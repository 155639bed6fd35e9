import { isKeyReference } from "../../config/key-reference.ts";
import { type LoadOptions, type LoadResult, loadConfigText } from "../../config/load.ts";
import { type ReadFile, UnreadKeyError } from "../../config/named-files.ts";
import { diagnoseFile } from "../../config/schema-kit/diagnostics.ts";
import type { KeyValue } from "../../kubernetes/data-object.ts";

/** What is known of keys of ConfigMaps and Secrets, by reference. */
export type KeyValues = ReadonlyMap<string, KeyValue>;

/** A configuration may name so many ConfigMaps and Secrets: each is a watch, and what it holds is in memory. */
export const maxObjects = 200;

export function tooManyObjects(max: number): string {
  return `the configuration names more than ${max} ConfigMaps and Secrets`;
}

/** Reads keys for a load. */
export function keyReader(values: KeyValues): ReadFile {
  return (reference) => {
    const value = values.get(reference) ?? { kind: "missing", why: "it has not been read yet" };
    if (value.kind === "missing") throw new UnreadKeyError(value.why);
    return value.bytes;
  };
}

/** Loads a configuration that is a key itself, under the name of its reference. */
export function loadConfigKey(reference: string, values: KeyValues, options: LoadOptions): LoadResult {
  const rejected = (why: string): LoadResult => ({ ok: false, problems: [diagnoseFile(reference, why)], files: [] });
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(keyReader(values)(reference));
    const result = loadConfigText(text, { ...options, file: reference });
    const resourceVersion = versionOf(values.get(reference));
    return result.ok ? { ...result, sources: { ...result.sources, resourceVersion } } : result;
  } catch (error) {
    if (error instanceof UnreadKeyError) return rejected(error.message);
    if (error instanceof TypeError) return rejected("it is not valid UTF-8");
    throw error;
  }
}

function versionOf(value: KeyValue | undefined): string | undefined {
  return value?.kind === "found" ? value.resourceVersion : undefined;
}

/** What says which files a configuration names, accepted or rejected. */
export type NamingResult =
  | (Pick<Extract<LoadResult, { ok: true }>, "ok"> & { readonly compiled: { readonly files: readonly string[] } })
  | Pick<Extract<LoadResult, { ok: false }>, "ok" | "files">;

/** The references of the keys that it names. */
export function keysNamedBy(result: NamingResult): readonly string[] {
  return (result.ok ? result.compiled.files : result.files).filter(isKeyReference);
}

/** A key that is read may show that more are named, as a load stops at some errors. Limits that. */
const maxLoads = 5;

export interface KeySource {
  isRead(reference: string): boolean;
  read(references: readonly string[]): Promise<void>;
}

/** A load is synchronous and asks no API, so it is repeated after the keys that it named have been read. */
export async function loadWithKeys<R extends NamingResult>(load: () => Promise<R>, source: KeySource): Promise<R> {
  let result = await load();
  for (let loads = 1; loads < maxLoads; loads++) {
    const unread = keysNamedBy(result).filter((reference) => !source.isRead(reference));
    if (unread.length === 0) break;
    await source.read(unread);
    result = await load();
  }
  return result;
}
