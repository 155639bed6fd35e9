import { isDeepStrictEqual } from "node:util";
import { ApiError, type ApiObject } from "./api-client.ts";
import { isConflict, isMissing, NamedObject, type NamedObjectOptions } from "./named-object.ts";

export interface ConfigMapContent {
  readonly data: Readonly<Record<string, string>>;
  readonly binaryData: Readonly<Record<string, Uint8Array>>;
}

export interface FencedConfigMapOptions
  extends Pick<NamedObjectOptions<ConfigMap>, "client" | "namespace" | "name" | "timers" | "randomFraction"> {
  /** Called with each content that is seen, and the term of who wrote it; undefined: there is no such ConfigMap. */
  readonly onContent: (content: ConfigMapContent | undefined, term: string | undefined) => void;
  /** As of `ListWatch`. */
  readonly onTrouble: (why: string | undefined) => void;
}

/** What a ConfigMap may hold (1 MiB), with some of it left for its metadata. */
export const maxContentBytes = 1_000_000;
const termAnnotation = "perch.dev/term";
const answerWithinMs = 5_000;
/** Of attempts of a takeover, while the one before still writes. */
const maxAttempts = 5;

interface Own {
  readonly term: string;
  /** As this process wrote it last; undefined: not yet. */
  object: ConfigMap | undefined;
}

/**
 * A ConfigMap that one process writes at a time and all read. Who takes it over first writes its term into it; from then on
 * the API refuses whatever the one before still sends, since that names an older version of the object (409).
 */
export class FencedConfigMap {
  readonly #onContent: FencedConfigMapOptions["onContent"];
  readonly #object: NamedObject<ConfigMap>;
  /** Undefined: this process may not write. */
  #own: Own | undefined;
  #seenVersion: string | undefined;
  /** Of what this process wrote. */
  #writtenVersion: string | undefined;

  constructor(options: FencedConfigMapOptions) {
    this.#onContent = options.onContent;
    const { client, namespace, name, timers, randomFraction, onTrouble } = options;
    this.#object = new NamedObject<ConfigMap>({
      ...{ client, namespace, name, timers, randomFraction, answerWithinMs, onTrouble },
      ...{ apiVersion: "v1", kind: "ConfigMap", plural: "configmaps" },
      onObject: (object) => this.#see(object),
    });
  }

  /**
   * Keeps all others from writing, and returns what they wrote last. Rejects with an `ApiError`, after which this process
   * may not write either.
   */
  async takeOver(term: string): Promise<ConfigMapContent> {
    const own: Own = { term, object: undefined };
    this.#own = own;
    for (let attempt = 1; ; attempt++) {
      try {
        const object = await this.#object.read();
        // Else it would take it from who has taken over since.
        if (this.#own !== own) throw new ApiError("this process may not write it any more");
        own.object = await this.#write(object, contentOf(object), term);
        return contentOf(object);
      } catch (error) {
        if (isConflict(error) && attempt < maxAttempts) continue;
        if (this.#own === own) this.#own = undefined;
        throw error;
      }
    }
  }

  /** Whether it was written; false: another has taken it over. Rejects with an `ApiError` if it was not, or cannot be told. */
  async save(content: ConfigMapContent): Promise<boolean> {
    const own = this.#own;
    if (own?.object === undefined) return false;
    const refusal = await this.#replace(own, own.object, content);
    if (refusal === undefined) return true;
    // An answer was lost, somebody has changed or deleted it, or another has taken over.
    const now = await this.#object.read();
    if (this.#own !== own) return false;
    const term = now && termIn(now);
    if (term !== undefined && term !== own.term) {
      this.#own = undefined;
      return false;
    }
    if (now !== undefined) own.object = now;
    if (now !== undefined && term === own.term && isSame(now, content)) return true;
    if (!isConflict(refusal) && !isMissing(refusal)) throw refusal;
    const second = await this.#replace(own, now, content);
    if (second === undefined) return true;
    if (!isConflict(second)) throw second;
    this.#own = undefined;
    return false;
  }

  /** Why not; undefined: done. */
  async #replace(own: Own, before: ConfigMap | undefined, content: ConfigMapContent): Promise<unknown> {
    try {
      own.object = await this.#write(before, content, own.term);
      return undefined;
    } catch (error) {
      return error;
    }
  }

  /** This process does not write any more. */
  handOver(): void {
    this.#own = undefined;
  }

  async close(): Promise<void> {
    this.#own = undefined;
    await this.#object.close();
  }

  #see(object: ConfigMap | undefined): void {
    const version = object?.metadata.resourceVersion;
    if (version !== undefined && version === this.#seenVersion) return;
    // A watch may be behind what was written since.
    if (Number(version) < Number(this.#writtenVersion)) return;
    this.#seenVersion = version;
    this.#onContent(object && contentOf(object), object && termIn(object));
  }

  async #write(before: ConfigMap | undefined, content: ConfigMapContent, term: string): Promise<ConfigMap> {
    const fields = { data: content.data, binaryData: encoded(content.binaryData) };
    const written = await this.#object.write(before, { annotations: { [termAnnotation]: term }, fields });
    this.#writtenVersion = written.metadata.resourceVersion;
    return written;
  }
}

interface ConfigMap extends ApiObject {
  readonly data?: Readonly<Record<string, string>>;
  /** As base64. */
  readonly binaryData?: Readonly<Record<string, string>>;
}

function contentOf(object: ConfigMap | undefined): ConfigMapContent {
  const bytes = Object.entries(object?.binaryData ?? {}).map(([key, base64]): [string, Uint8Array] => [
    key,
    Buffer.from(base64, "base64"),
  ]);
  return { data: object?.data ?? {}, binaryData: Object.fromEntries(bytes) };
}

/** Whether it has what was to be written. */
function isSame(object: ConfigMap, content: ConfigMapContent): boolean {
  const { data = {}, binaryData = {} } = object;
  return isDeepStrictEqual({ data, binaryData }, { data: content.data, binaryData: encoded(content.binaryData) });
}

function encoded(binaryData: ConfigMapContent["binaryData"]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(binaryData).map(([key, bytes]) => [key, Buffer.from(bytes).toString("base64")]),
  );
}

const termIn = ({ metadata }: ConfigMap): string | undefined => metadata.annotations?.[termAnnotation];
