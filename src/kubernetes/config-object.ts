import type { RandomFraction, Timers } from "../upstream/clock.ts";
import type { ApiClient, ApiObject } from "./api-client.ts";
import type { ConfigReference } from "./config-reference.ts";
import { ListWatch } from "./list-watch.ts";

/** The text of a configuration in the API, or why there is none. A copy of it from a cache has no version. */
export type ConfigText =
  | { readonly kind: "found"; readonly text: string; readonly resourceVersion: string | undefined }
  | { readonly kind: "missing"; readonly why: string };

export interface ConfigObjectOptions {
  readonly client: ApiClient;
  readonly reference: ConfigReference;
  readonly timers: Timers;
  readonly randomFraction: RandomFraction;
  /** Called after each change of the object, including its end. */
  readonly onText: (text: ConfigText) => void;
  /** Called with the cause of each failure in a row, and with undefined when the API answers again. */
  readonly onTrouble: (why: string | undefined) => void;
}

/** Follows the ConfigMap or Secret that holds the configuration. */
export class ConfigObject {
  readonly #watch: ListWatch<DataObject>;

  constructor({ client, reference, onText, ...others }: ConfigObjectOptions) {
    const { kind, namespace, name } = reference;
    this.#watch = new ListWatch({
      client,
      // Of a list, a Role with resourceNames allows the one object that the selector names.
      path: `/api/v1/namespaces/${namespace}/${kind}s`,
      fieldSelector: `metadata.name=${name}`,
      onObjects: (objects) => onText(textIn(objects.get(`${namespace}/${name}`), reference)),
      ...others,
    });
  }

  close(): Promise<void> {
    return this.#watch.close();
  }
}

interface DataObject extends ApiObject {
  readonly data?: Readonly<Record<string, string>>;
}

const kinds = { configmap: "ConfigMap", secret: "Secret" } as const;

function textIn(object: DataObject | undefined, { kind, namespace, name, key }: ConfigReference): ConfigText {
  const title = `${kinds[kind]} ${namespace}/${name}`;
  if (object === undefined) return { kind: "missing", why: `the ${title} does not exist` };
  const value = object.data?.[key];
  if (value === undefined) {
    const keys = Object.keys(object.data ?? {});
    const others = keys.length === 0 ? "it is empty" : `it has ${keys.join(", ")}`;
    return { kind: "missing", why: `the ${title} has no key ${key}: ${others}` };
  }
  const text = kind === "secret" ? utf8In(value) : value;
  if (text === undefined) return { kind: "missing", why: `the key ${key} of the ${title} is not valid UTF-8` };
  return { kind: "found", text, resourceVersion: object.metadata.resourceVersion };
}

function utf8In(base64: string): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(base64, "base64"));
  } catch {
    return undefined;
  }
}
