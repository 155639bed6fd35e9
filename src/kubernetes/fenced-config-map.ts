import { isDeepStrictEqual } from "node:util";
import { ApiError, type ApiObject } from "./api-client.ts";
import { isConflict, isMissing, isNotDone, NamedObject, type NamedObjectOptions } from "./named-object.ts";

export interface ConfigMapContent {
  readonly data: Readonly<Record<string, string>>;
  readonly binaryData: Readonly<Record<string, Uint8Array>>;
}

export interface FencedConfigMapOptions
  extends Pick<NamedObjectOptions<ConfigMap>, "client" | "namespace" | "name" | "timers" | "randomFraction"> {
  /** Called with each content that is seen, and the term of who wrote it; undefined: there is no such ConfigMap. */
  readonly onContent: (content: ConfigMapContent | undefined, term: string | undefined) => void;
  /** Why what somebody else put there has to be left as it is; undefined: it may be written over. */
  readonly problemOf: (content: ConfigMapContent) => Promise<string | undefined>;
  /** As of `ListWatch`. */
  readonly onTrouble: (why: string | undefined) => void;
}

/**
 * `fenced`: another has taken it over. `unknown`: it was sent, and may be written or not. `unusable`: somebody has put there
 * what has a problem.
 */
export type ConfigMapSaving =
  | { readonly kind: "saved" | "fenced" }
  | { readonly kind: "failed" | "unknown" | "unusable"; readonly why: string };

/** What a ConfigMap may hold (1 MiB), with some of it left for its metadata. */
export const maxContentBytes = 1_000_000;
const termAnnotation = "perch.dev/term";
const answerWithinMs = 5_000;
/** Of attempts of a takeover, while the one before still writes. */
const maxAttempts = 5;
/** Of attempts of a save. */
const maxWrites = 2;

interface Own {
  readonly term: string;
  /** As this process wrote it last; undefined: not yet. */
  object: ConfigMap | undefined;
  /** Something was sent and may be written, or will be: since then nothing else was. */
  isOpen: boolean;
}

/**
 * A ConfigMap that one process writes at a time and all read. Who takes it over first writes its term into it; from then on
 * the API refuses whatever the one before still sends, since that names an older version of the object (409).
 */
export class FencedConfigMap {
  readonly #onContent: FencedConfigMapOptions["onContent"];
  readonly #problemOf: FencedConfigMapOptions["problemOf"];
  readonly #object: NamedObject<ConfigMap>;
  /** Undefined: this process may not write. */
  #own: Own | undefined;
  #seenVersion: string | undefined;
  /** Of what this process wrote. */
  #writtenVersion: string | undefined;
  #isChecking = false;

  constructor(options: FencedConfigMapOptions) {
    this.#onContent = options.onContent;
    this.#problemOf = options.problemOf;
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
    const own: Own = { term, object: undefined, isOpen: false };
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

  /** One at a time. `failed`: it was refused, and nothing has changed. */
  async save(content: ConfigMapContent): Promise<ConfigMapSaving> {
    const own = this.#own;
    if (own?.object === undefined) return { kind: "fenced" };
    let before: ConfigMap | undefined = own.object;
    for (let attempt = 1; ; attempt++) {
      const refusal = await this.#replace(own, before, content);
      if (refusal === undefined) return { kind: "saved" };
      own.isOpen ||= !isNotDone(refusal);
      const failed = { kind: own.isOpen ? "unknown" : "failed", why: refusal.message } as const;
      // An answer was lost, somebody has changed or deleted it, or another has taken over: only the object says which.
      try {
        before = await this.#object.read();
      } catch {
        return failed;
      }
      const term = before && termIn(before);
      if (before !== undefined && term === own.term && isSame(before, content)) {
        own.object = before;
        own.isOpen = false;
        return { kind: "saved" };
      }
      const why = before && (await this.#problemOf(contentOf(before)));
      if (this.#own !== own || (term !== undefined && term !== own.term)) {
        if (this.#own === own) this.#own = undefined;
        return own.isOpen ? failed : { kind: "fenced" };
      }
      // The watch may have told by now that it was repaired, and tells nothing more then.
      const isPast = isOlder(before?.metadata.resourceVersion, this.#seenVersion);
      if (why !== undefined) return isPast ? failed : { kind: "unusable", why };
      if (before !== undefined) own.object = before;
      // What may still be on its way is refused once the object has another version.
      if (isNotDone(refusal) && !isConflict(refusal) && !isMissing(refusal)) return failed;
      if (attempt < maxWrites) continue;
      if (own.isOpen) return failed;
      this.#own = undefined;
      return { kind: "fenced" };
    }
  }

  /** Why not; undefined: done. */
  async #replace(own: Own, before: ConfigMap | undefined, content: ConfigMapContent): Promise<ApiError | undefined> {
    try {
      own.object = await this.#write(before, content, own.term);
      own.isOpen = false;
      return undefined;
    } catch (error) {
      return error instanceof ApiError ? error : new ApiError(String(error));
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
    if (isOlder(version, this.#writtenVersion)) {
      void this.#check();
      return;
    }
    this.#seenVersion = version;
    this.#onContent(object && contentOf(object), object && termIn(object));
  }

  /** A watch may be behind what was written since, or the API was restored from a backup: only a read tells which. */
  async #check(): Promise<void> {
    if (this.#isChecking) return;
    this.#isChecking = true;
    const written = this.#writtenVersion;
    try {
      const now = await this.#object.read();
      const isRestored = written === this.#writtenVersion && isOlder(now?.metadata.resourceVersion, written);
      if (!isRestored) return;
      this.#writtenVersion = undefined;
      this.#see(now);
    } catch {
      // The next one that the watch tells of is looked up.
    } finally {
      this.#isChecking = false;
    }
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

/** Versions are numbers that rise, as `isOlder` of the Lease says; what is none is not older. */
const isOlder = (version: string | undefined, than: string | undefined): boolean => Number(version) < Number(than);

const termIn = ({ metadata }: ConfigMap): string | undefined => metadata.annotations?.[termAnnotation];
