import { parseKeyReference } from "../../config/key-reference.ts";
import { type ApiAccess, NoApiAccess } from "../../kubernetes/api-access.ts";
import { ApiClient } from "../../kubernetes/api-client.ts";
import { type DataObject, type KeyValue, readDataObject, titleOf, valueIn } from "../../kubernetes/data-object.ts";
import { openAccess } from "../../kubernetes/find-access.ts";
import { type KeySource, type KeyValues, maxObjects, tooManyObjects } from "./named-keys.ts";

/** Reads keys of ConfigMaps and Secrets once, for commands. Each object is asked for once; what fails is a missing key. */
export class KeyReader implements KeySource {
  readonly #access: ApiAccess | NoApiAccess;
  readonly #objects = new Map<string, Promise<DataObject | undefined>>();
  readonly #values = new Map<string, KeyValue>();

  constructor(env: Readonly<Record<string, string | undefined>>) {
    this.#access = openAccess(env);
  }

  get values(): KeyValues {
    return this.#values;
  }

  isRead(reference: string): boolean {
    return this.#values.has(reference);
  }

  async read(references: readonly string[]): Promise<void> {
    await Promise.all(references.map(async (reference) => this.#values.set(reference, await this.#valueOf(reference))));
  }

  async close(): Promise<void> {
    if (!(this.#access instanceof NoApiAccess)) await this.#access.close();
  }

  async #valueOf(reference: string): Promise<KeyValue> {
    const key = parseKeyReference(reference);
    if (key === undefined) throw new TypeError(`"${reference}" is no reference`);
    if (this.#access instanceof NoApiAccess) return { kind: "missing", why: this.#access.message };
    const title = titleOf(key);
    const isNew = !this.#objects.has(title);
    if (isNew && this.#objects.size >= maxObjects) return { kind: "missing", why: tooManyObjects(maxObjects) };
    const client = new ApiClient(this.#access);
    const object = this.#objects.get(title) ?? readDataObject(client, key, new AbortController().signal);
    this.#objects.set(title, object);
    try {
      return valueIn(await object, key, key.key);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return { kind: "missing", why: `the Kubernetes API does not give it: ${why}` };
    }
  }
}
