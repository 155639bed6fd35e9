import type { RandomFraction, Timers } from "../upstream/clock.ts";
import type { ApiClient, ApiObject } from "./api-client.ts";
import { type ListPage, ListWatch } from "./list-watch.ts";

/** A ConfigMap or Secret. */
export interface DataObjectId {
  readonly kind: "configmap" | "secret";
  readonly namespace: string;
  readonly name: string;
}

export interface DataObject extends ApiObject {
  readonly data?: Readonly<Record<string, string>>;
  /** Of a ConfigMap: what is not UTF-8, in base64. */
  readonly binaryData?: Readonly<Record<string, string>>;
}

/** What a key holds, or why there is nothing. A copy from a cache has no version. */
export type KeyValue =
  | { readonly kind: "found"; readonly bytes: Uint8Array; readonly resourceVersion: string | undefined }
  | { readonly kind: "missing"; readonly why: string };

export interface DataObjectWatchOptions {
  readonly client: ApiClient;
  readonly id: DataObjectId;
  readonly timers: Timers;
  readonly randomFraction: RandomFraction;
  /** Called after each change of the object; undefined: it does not exist. */
  readonly onObject: (object: DataObject | undefined) => void;
  /** Called with the cause of each failure in a row, and with undefined when the API answers again. */
  readonly onTrouble: (why: string | undefined) => void;
  /** As of `ListWatch`. */
  readonly watchWithinMs?: number;
}

/** Follows one ConfigMap or Secret. */
export class DataObjectWatch {
  readonly #watch: ListWatch<DataObject>;

  constructor({ id, onObject, ...others }: DataObjectWatchOptions) {
    const { namespace, name } = id;
    this.#watch = new ListWatch({
      ...collectionOf(id),
      onObjects: (objects) => onObject(objects.get(`${namespace}/${name}`)),
      ...others,
    });
  }

  close(): Promise<void> {
    return this.#watch.close();
  }
}

/** Reads it once; undefined: it does not exist. Needs the same permission as the watch, but for `watch` itself. */
export async function readDataObject(
  client: ApiClient,
  id: DataObjectId,
  signal: AbortSignal,
): Promise<DataObject | undefined> {
  const { path, fieldSelector } = collectionOf(id);
  const { items } = (await client.get(path, { fieldSelector }, signal)) as ListPage<DataObject>;
  return items?.find(({ metadata }) => metadata.name === id.name);
}

/** Of a list, a Role with resourceNames allows the one object that the selector names. */
function collectionOf({ kind, namespace, name }: DataObjectId) {
  return { path: `/api/v1/namespaces/${namespace}/${kind}s`, fieldSelector: `metadata.name=${name}` };
}

const kinds = { configmap: "ConfigMap", secret: "Secret" } as const;

/** How messages name it. */
export function titleOf({ kind, namespace, name }: DataObjectId): string {
  return `${kinds[kind]} ${namespace}/${name}`;
}

const maxNamedKeys = 20;

export function valueIn(object: DataObject | undefined, id: DataObjectId, key: string): KeyValue {
  const title = titleOf(id);
  if (object === undefined) return { kind: "missing", why: `the ${title} does not exist` };
  const { data = {}, binaryData = {}, metadata } = object;
  const text = entryOf(data, key);
  const value = text ?? entryOf(binaryData, key);
  if (value === undefined) {
    const keys = Object.keys({ ...data, ...binaryData });
    const more = keys.length > maxNamedKeys ? `, and ${keys.length - maxNamedKeys} more` : "";
    const others = keys.length === 0 ? "it is empty" : `it has ${keys.slice(0, maxNamedKeys).join(", ")}${more}`;
    return { kind: "missing", why: `the ${title} has no key ${key}: ${others}` };
  }
  const isText = id.kind === "configmap" && text !== undefined;
  const bytes = new Uint8Array(Buffer.from(value, isText ? "utf8" : "base64"));
  return { kind: "found", bytes, resourceVersion: metadata.resourceVersion };
}

/** Keys are chosen by others: `constructor` is a valid one. */
function entryOf(values: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(values, key) ? values[key] : undefined;
}
