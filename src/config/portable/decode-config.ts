import { deserialize } from "node:v8";
import { parseAddressRange } from "../../decide/ip-address.ts";
import { useRollout } from "../../decide/release-spec.ts";
import { parseSemverRange } from "../../decide/semver.ts";
import { type DatabaseContents, GeoDatabase } from "../../identify/geo-database.ts";
import type { CompiledConfig } from "../compiled-config.ts";
import { patternFrom, replacementFrom } from "../pattern.ts";
import { ValueSet } from "../value-set.ts";
import { type MarkerKind, type PortableConfig, replacementKey, type ValuePiece, valuesKey } from "./portable-config.ts";

/** What the receiving thread has already. */
export interface DecodeParts {
  /** The base of the portable configuration. */
  readonly running: CompiledConfig;
  readonly runningHash: string;
  /** The contents of the GeoIP database that it names. */
  readonly database: DatabaseContents | undefined;
}

/**
 * Makes the compiled configuration again, deep-frozen. Yields after each piece, so that requests need not wait; an item
 * that has not changed is the same object as in the running configuration. Throws if its base is not what is running.
 */
export function* decodeConfig(portable: PortableConfig, parts: DecodeParts): Generator<undefined, CompiledConfig> {
  const { sections, rest, base } = portable;
  const { running, runningHash } = parts;
  if (base !== runningHash) throw new TypeError(`the configuration was prepared for ${base}, not for ${runningHash}`);
  const decoder = new Decoder(parts);
  for (let number = 0; number < portable.valueCount; number++) {
    yield* decoder.take(pieceAt(portable, number) as ValuePiece);
  }
  // A copy, since it is decoded in place, and other threads are to get it as it is.
  const config = decoder.decode(structuredClone(rest), "open") as Record<string, unknown>;
  for (const [name, places] of sections) {
    const items: unknown[] = [];
    for (const place of places) {
      if (place >= 0) {
        items.push(running[name][place]);
        continue;
      }
      items.push(decoder.decode(pieceAt(portable, portable.valueCount - place - 1)));
      yield;
    }
    config[name] = Object.freeze(items);
  }
  return Object.freeze(config) as unknown as CompiledConfig;
}

function pieceAt({ bytes, ends }: PortableConfig, number: number): unknown {
  const start = number === 0 ? 0 : (ends[number - 1] ?? 0);
  // A copy: bytes in it would otherwise keep all pieces in memory.
  return deserialize(new Uint8Array(bytes, start, (ends[number] ?? 0) - start).slice());
}

class Decoder {
  readonly #parts: DecodeParts;
  /** What markers stand for, by kind and what the marker says. */
  readonly #values: Readonly<Record<"pattern" | "replacement" | "values" | "bytes" | "list", Map<unknown, unknown>>> = {
    pattern: new Map(),
    replacement: new Map(),
    values: new Map(),
    bytes: new Map(),
    list: new Map(),
  };

  constructor(parts: DecodeParts) {
    this.#parts = parts;
  }

  *take(piece: ValuePiece): Generator<undefined, void> {
    const values = this.#values[piece.kind];
    switch (piece.kind) {
      case "pattern":
        values.set(piece.source, patternFrom(piece.source, piece.automaton));
        break;
      case "replacement":
        values.set(replacementKey(piece.data.source, piece.data.replacement), replacementFrom(piece.data));
        break;
      case "bytes":
        values.set(piece.digest, piece.bytes);
        break;
      case "values":
        yield* this.#takeTexts(piece);
        break;
      case "list": {
        const list = (values.get(piece.id) as unknown[] | undefined) ?? [];
        for (const item of piece.items) list.push(this.decode(item));
        values.set(piece.id, list);
        break;
      }
    }
    yield;
  }

  *#takeTexts({ path, key, texts, isLast }: ValuePiece & { readonly kind: "values" }): Generator<undefined, void> {
    const name = valuesKey(path, key);
    const list =
      (this.#values.values.get(name) as ValueSet | undefined) ?? ValueSet.inUse(path, key) ?? new ValueSet(path, key);
    this.#values.values.set(name, list);
    if (Object.isFrozen(list)) return;
    for (const [at, text] of texts.entries()) {
      list.add(text);
      // Sets that grow are copied, often many at the same time.
      if (at % 16 === 0) yield;
    }
    if (isLast) list.complete();
  }

  /** In place. Freezes plain objects and lists; `open`: but not this one. */
  decode(value: unknown, itself: "frozen" | "open" = "frozen"): unknown {
    if (typeof value !== "object" || value === null) return value;
    if (value instanceof Map) {
      const [marker] = value as Map<MarkerKind, unknown>;
      if (marker !== undefined) return this.#marked(...marker);
    }
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && !Array.isArray(value)) return value;
    const parts = value as Record<string, unknown>;
    for (const key of Object.keys(parts)) {
      const part = parts[key];
      if (typeof part === "object" && part !== null) parts[key] = this.decode(part);
    }
    return itself === "frozen" ? Object.freeze(parts) : parts;
  }

  #marked(kind: MarkerKind, of: unknown): unknown {
    switch (kind) {
      case "rollout":
        return useRollout;
      case "semver":
        return parseSemverRange(String(of));
      case "range":
        return parseAddressRange(String(of));
      case "geo":
        return this.#database(String(of));
      case "list":
        return Object.freeze(this.#values.list.get(of));
      default:
        return this.#values[kind].get(of);
    }
  }

  #database(digest: string): GeoDatabase {
    const { running, database } = this.#parts;
    if (running.geo?.contents.digest === digest) return running.geo;
    const opened = GeoDatabase.open(database ?? { bytes: new Uint8Array(), digest: "" });
    if ("problem" in opened) throw new TypeError(`the GeoIP database cannot be used: ${opened.problem}`);
    return opened;
  }
}
