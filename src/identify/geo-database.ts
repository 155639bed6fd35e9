import { createRequire } from "node:module";
import { Reader, type Response } from "mmdb-lib";
import { BoundedCache } from "../decide/bounded-cache.ts";
import type { Address } from "../decide/ip-address.ts";

/** What a database may know of an address. */
export const geoFields = ["country", "region", "continent", "city"] as const;
export type GeoField = (typeof geoFields)[number];

/** Where an address is: undefined for what the database does not know. */
export interface Place extends Readonly<Record<GeoField, string | undefined>> {
  readonly address: string;
  /** False where the database has a record of the address that can not be read. */
  readonly readable: boolean;
}

/** The bytes of a database, and what tells them from any others. */
export interface DatabaseContents {
  readonly bytes: Uint8Array;
  /** SHA-256. */
  readonly digest: string;
}

/** "\xab\xcd\xefMaxMind.com", within the last 128 KiB of the file. */
const metadataMarker = Buffer.from("abcdef4d61784d696e642e636f6d", "hex");
const maxMetadata = 131_072;
const separatorBytes = 16;
/** Places remembered, in each of two generations. */
const maxRecent = 4_096;

/** A MaxMind database (any file of that format), held in memory whole. */
export class GeoDatabase {
  readonly contents: DatabaseContents;
  /** As the file calls it: `GeoLite2-Country`. */
  readonly type: string;
  readonly #reader: Reader<Response>;
  readonly #decoder: BoundedDecoder;
  readonly #recent = new BoundedCache<Place>(maxRecent, ({ address }) => address);

  private constructor(contents: DatabaseContents, reader: Reader<Response>, decoder: BoundedDecoder) {
    this.contents = contents;
    this.type = String(reader.metadata.databaseType);
    this.#reader = reader;
    this.#decoder = decoder;
  }

  /** Never throws, whatever the bytes; what is wrong with them is in the problem. */
  static open(contents: DatabaseContents): GeoDatabase | { readonly problem: string } {
    const { buffer, byteOffset, byteLength } = contents.bytes;
    const bytes = Buffer.from(buffer, byteOffset, byteLength);
    try {
      return openDatabase(bytes, (reader, decoder) => new GeoDatabase(contents, reader, decoder));
    } catch {
      return { problem: "it is a broken database" };
    }
  }

  /** Where the address is. Never throws, and takes no longer for a broken record than for a large one. */
  lookup(address: Address): Place {
    const known = this.#recent.get(address.text);
    if (known !== undefined) return known;
    const place = this.#find(address);
    this.#recent.add(place);
    return place;
  }

  #find({ text: address }: Address): Place {
    // A database of IPv4 has no room for others, and mmdb-lib would read the first half of one as IPv4.
    if (address.includes(":") && this.#reader.metadata.ipVersion === 4) return { ...nowhere, address };
    this.#decoder.begin();
    try {
      return { ...placeOf(this.#reader.get(address)), address };
    } catch {
      return { ...nowhere, address, readable: false };
    }
  }
}

function openDatabase<T>(
  bytes: Buffer,
  make: (reader: Reader<Response>, decoder: BoundedDecoder) => T,
): T | { readonly problem: string } {
  const tail = bytes.subarray(Math.max(0, bytes.length - maxMetadata));
  const marker = tail.lastIndexOf(metadataMarker);
  if (marker < 0) return { problem: "it is no MaxMind database (.mmdb)" };
  const metadataStart = bytes.length - tail.length + marker + metadataMarker.length;
  // What this decodes within its bounds, the reader's own decoder does too.
  new BoundedDecoder(bytes, metadataStart).decode(metadataStart);
  const reader = new Reader<Response>(bytes);
  const { binaryFormatMajorVersion, ipVersion, nodeCount, searchTreeSize } = reader.metadata;
  if (binaryFormatMajorVersion !== 2) return { problem: "its format is not version 2" };
  const treeFits = nodeCount > 0 && searchTreeSize + separatorBytes <= metadataStart - metadataMarker.length;
  if ((ipVersion !== 4 && ipVersion !== 6) || !treeFits) return { problem: "it is a broken database" };
  const decoder = new BoundedDecoder(bytes, searchTreeSize + separatorBytes);
  // The library takes no decoder from outside; the tests of broken files fail where it stops using this one.
  Object.assign(reader, { decoder });
  return make(reader, decoder);
}

const nowhere: Omit<Place, "address"> = {
  country: undefined,
  region: undefined,
  continent: undefined,
  city: undefined,
  readable: true,
};

/**
 * By the names that MaxMind and DB-IP use, or the flat ones of others. A region is an ISO 3166-2 code, with its country:
 * the part that the database has, `CA`, is California in one country and Cádiz in another.
 */
function placeOf(record: unknown): Omit<Place, "address"> {
  const country = textAt(record, "country", "iso_code") ?? textAt(record, "country_code");
  const subdivision = textAt(record, "subdivisions", "0", "iso_code");
  return {
    country,
    region: country === undefined || subdivision === undefined ? undefined : `${country}-${subdivision}`,
    continent: textAt(record, "continent", "code") ?? textAt(record, "continent_code"),
    city: textAt(record, "city", "names", "en"),
    readable: true,
  };
}

function textAt(record: unknown, ...path: readonly string[]): string | undefined {
  let value = record;
  for (const name of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return typeof value === "string" && value !== "" ? value : undefined;
}

// Its own entry does not export it, and what `import` makes of a CommonJS default differs from loader to loader.
const { default: Decoder }: typeof import("mmdb-lib/lib/decoder.js", { with: { "resolution-mode": "require" }}) =
  createRequire(import.meta.url)("mmdb-lib/lib/decoder.js");

/** Values that one record may consist of: a city in eight languages has some sixty. */
const maxValues = 4_096;
const pointer = 1;
const longLength = 31;

/**
 * mmdb-lib's decoder, which believes what it reads, for files that may be broken: pointers that run in a circle or fan out
 * end after so many values, and no length beyond 64 KiB is taken for one. `begin` before each record.
 */
export class BoundedDecoder extends Decoder {
  readonly #bytes: Buffer;
  #left = maxValues;

  constructor(bytes: Buffer, dataStart: number) {
    super(bytes, dataStart);
    this.#bytes = bytes;
  }

  begin(): void {
    this.#left = maxValues;
  }

  override decode(offset: number): { value: unknown; offset: number } {
    const control = this.#bytes[offset] ?? 0;
    const isLong = control >> 5 !== pointer && (control & 0x1f) === longLength;
    if (--this.#left < 0 || isLong) throw new RangeError("the record is too large");
    return super.decode(offset);
  }
}
