import { serialize } from "node:v8";
import type { CompiledConfig } from "../compiled-config.ts";
import { fingerprintLength, fingerprintOf, isComparable } from "./fingerprint.ts";
import {
  type Fingerprints,
  type Marker,
  type MarkerKind,
  type PortableConfig,
  replacementKey,
  type SectionName,
  type ValuePiece,
  valuesKey,
} from "./portable-config.ts";
import { classify, digestOfBytes, type SpecialValue } from "./portable-values.ts";

/** The configuration that the threads run. */
export interface BaseConfig {
  readonly hash: string;
  readonly fingerprints: Fingerprints;
}

export interface EncodedConfig {
  readonly portable: PortableConfig;
  readonly fingerprints: Fingerprints;
}

/** Prepares a configuration for the threads that serve, which have `base` now. It may take seconds: not in such a thread. */
export function encodeConfig(config: CompiledConfig, base: BaseConfig): EncodedConfig {
  const encoder = new Encoder();
  const items: Uint8Array[] = [];
  const sections = new Map<SectionName, Int32Array>();
  const fingerprints = new Map<SectionName, string>();
  const rest: Record<string, unknown> = {};
  for (const [key, part] of Object.entries(config)) {
    if (!Array.isArray(part)) {
      rest[key] = encoder.encode(part);
      continue;
    }
    const name = key as SectionName;
    const own = part.map(fingerprintOf);
    const kept = positionsOf(base.fingerprints.get(name) ?? "");
    const place = (item: unknown, at: number): number => {
      const known = kept.get(own[at] ?? "");
      return known ?? -items.push(serialize(encoder.encode(item)));
    };
    sections.set(name, Int32Array.from(part, place));
    fingerprints.set(name, own.join(""));
  }
  const { pieces } = encoder;
  const portable = {
    ...joined([...pieces, ...items]),
    base: base.hash,
    sections,
    valueCount: pieces.length,
    rest,
  };
  return { portable, fingerprints };
}

/** The fingerprints of a configuration that was not encoded. Yields after each item. */
export function* fingerprintsOf(config: CompiledConfig): Generator<undefined, Fingerprints> {
  const fingerprints = new Map<SectionName, string>();
  for (const [key, part] of Object.entries(config)) {
    if (!Array.isArray(part)) continue;
    const own: string[] = [];
    for (const item of part) {
      own.push(fingerprintOf(item));
      yield;
    }
    fingerprints.set(key as SectionName, own.join(""));
  }
  return fingerprints;
}

/** The position of each comparable item. */
function positionsOf(fingerprints: string): ReadonlyMap<string, number> {
  const positions = new Map<string, number>();
  for (let at = 0; at < fingerprints.length; at += fingerprintLength) {
    const one = fingerprints.slice(at, at + fingerprintLength);
    if (isComparable(one)) positions.set(one, at / fingerprintLength);
  }
  return positions;
}

function joined(pieces: readonly Uint8Array[]): Pick<PortableConfig, "bytes" | "ends"> {
  const ends = new Int32Array(pieces.length);
  let length = 0;
  for (const [number, piece] of pieces.entries()) {
    length += piece.length;
    ends[number] = length;
  }
  const bytes = new SharedArrayBuffer(length);
  const target = new Uint8Array(bytes);
  for (const [number, piece] of pieces.entries()) target.set(piece, (ends[number] ?? 0) - piece.length);
  return { bytes, ends };
}

/** A piece has about as many values at most: they are read in a fraction of a millisecond. */
const maxPieceValues = 256;
const textsPerPiece = 512;
/** Shorter bytes, such as secrets, stand where they are used. */
const maxInlineBytes = 256;

/** Turns compiled values into plain data. What several items share becomes a separate piece. */
class Encoder {
  /** Each a `ValuePiece`. One that refers to another comes after it. */
  readonly pieces: Uint8Array[] = [];
  readonly #given = new Set<string>();
  #lists = 0;
  /** The values so far, of those that are no pieces of their own. */
  #values = 0;

  encode(value: unknown): unknown {
    this.#values++;
    const found = classify(value);
    switch (found.kind) {
      case "plain":
        return found.value;
      case "list":
        return this.#list(found.items);
      case "record":
        return Object.fromEntries(Object.entries(found.record).map(([key, part]) => [key, this.encode(part)]));
      default:
        return this.#special(found);
    }
  }

  /** A list with many values becomes pieces. */
  #list(items: readonly unknown[]): unknown {
    const before = this.#values;
    const ends: number[] = [];
    const encoded = items.map((item) => {
      const one = this.encode(item);
      ends.push(this.#values);
      return one;
    });
    if (this.#values - before <= maxPieceValues) return encoded;
    this.#values = before;
    const id = this.#lists++;
    let [from, begin] = [0, before];
    for (const [at, end] of ends.entries()) {
      if (end - begin < maxPieceValues && at < encoded.length - 1) continue;
      this.#give({ kind: "list", id, items: encoded.slice(from, at + 1) });
      [from, begin] = [at + 1, end];
    }
    return marker("list", id);
  }

  #special(found: SpecialValue): unknown {
    switch (found.kind) {
      case "pattern": {
        const { source, automaton } = found.pattern;
        this.#giveOnce(`pattern ${source}`, () => ({ kind: "pattern", source, automaton }));
        return marker("pattern", source);
      }
      case "replacement": {
        const { data } = found.pattern;
        const key = replacementKey(data.source, data.replacement);
        this.#giveOnce(`replacement ${key}`, () => ({ kind: "replacement", data }));
        return marker("replacement", key);
      }
      case "values": {
        const { path, key } = found.list;
        if (this.#isNew(`values ${valuesKey(path, key)}`)) this.#giveTexts(path, key, [...found.list.values()]);
        return marker("values", valuesKey(path, key));
      }
      case "bytes": {
        // Buffers are copied: they may lie in a larger one, which would be sent with them.
        const bytes = new Uint8Array(found.bytes);
        if (bytes.length <= maxInlineBytes) return bytes;
        const digest = digestOfBytes(found.bytes);
        this.#giveOnce(`bytes ${digest}`, () => ({ kind: "bytes", digest, bytes }));
        return marker("bytes", digest);
      }
      case "semver":
      case "range":
        return marker(found.kind, found.text);
      case "geo":
        return marker("geo", found.digest);
      case "rollout":
        return marker("rollout", undefined);
      case "set":
        return new Set(found.members);
      case "key":
        return found.key;
    }
  }

  #giveTexts(path: string, key: string, texts: readonly string[]): void {
    for (let at = 0; at === 0 || at < texts.length; at += textsPerPiece) {
      const isLast = at + textsPerPiece >= texts.length;
      this.#give({ kind: "values", path, key, texts: texts.slice(at, at + textsPerPiece), isLast });
    }
  }

  #giveOnce(name: string, piece: () => ValuePiece): void {
    if (this.#isNew(name)) this.#give(piece());
  }

  #isNew(name: string): boolean {
    const isNew = !this.#given.has(name);
    this.#given.add(name);
    return isNew;
  }

  #give(piece: ValuePiece): void {
    this.pieces.push(serialize(piece));
  }
}

const marker = (kind: MarkerKind, of: unknown): Marker => new Map([[kind, of]]);
