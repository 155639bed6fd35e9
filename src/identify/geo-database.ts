import { Reader, type Response } from "mmdb-lib";
import { BoundedCache } from "../decide/bounded-cache.ts";
import type { Address } from "../decide/ip-address.ts";
import { BoundedDecoder } from "./bounded-decoder.ts";

/** The fields that attributes can read. */
export const geoFields = ["country", "region", "continent", "city"] as const;
export type GeoField = (typeof geoFields)[number];

/** The location of an address; fields that the database does not have are undefined. */
export interface Place extends Readonly<Record<GeoField, string | undefined>> {
  readonly address: string;
  /** False if the database's record of the address is corrupt. */
  readonly readable: boolean;
}

export interface DatabaseContents {
  readonly bytes: Uint8Array;
  /** SHA-256. */
  readonly digest: string;
}

/** Cached places, in each of two generations. */
const maxRecent = 4_096;

/** A database in the MaxMind format (.mmdb), held in memory as a whole. */
export class GeoDatabase {
  readonly contents: DatabaseContents;
  /** The type by the file's metadata, such as `GeoLite2-Country`. */
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

  /** Never throws; returns a problem, as text for users, for a file that is not a usable database. */
  static open(contents: DatabaseContents): GeoDatabase | { readonly problem: string } {
    const { buffer, byteOffset, byteLength } = contents.bytes;
    const bytes = Buffer.from(buffer, byteOffset, byteLength);
    try {
      return openDatabase(bytes, (reader, decoder) => new GeoDatabase(contents, reader, decoder));
    } catch {
      return { problem: "it is a corrupt database" };
    }
  }

  /** Never throws, and takes no longer for a corrupt record than for a large one. */
  lookup(address: Address): Place {
    const known = this.#recent.get(address.text);
    if (known !== undefined) return known;
    const place = this.#find(address);
    this.#recent.add(place);
    return place;
  }

  #find({ text: address }: Address): Place {
    // In an IPv4 database mmdb-lib would look up the first bytes of an IPv6 address as IPv4.
    if (address.includes(":") && this.#reader.metadata.ipVersion === 4) return { ...nowhere, address };
    this.#decoder.begin();
    try {
      return { ...placeOf(this.#reader.get(address)), address };
    } catch {
      return { ...nowhere, address, readable: false };
    }
  }
}

/** "\xab\xcd\xefMaxMind.com", within the last 128 KiB of the file. */
const metadataMarker = Buffer.from("abcdef4d61784d696e642e636f6d", "hex");
const maxMetadata = 131_072;
const separatorBytes = 16;

function openDatabase<T>(
  bytes: Buffer,
  make: (reader: Reader<Response>, decoder: BoundedDecoder) => T,
): T | { readonly problem: string } {
  const tail = bytes.subarray(Math.max(0, bytes.length - maxMetadata));
  const marker = tail.lastIndexOf(metadataMarker);
  if (marker < 0) return { problem: "it is not a MaxMind database (.mmdb)" };
  const metadataStart = bytes.length - tail.length + marker + metadataMarker.length;
  // Throws for corrupt metadata, before the reader decodes it without bounds.
  new BoundedDecoder(bytes, metadataStart).decode(metadataStart);
  const reader = new Reader<Response>(bytes);
  const { binaryFormatMajorVersion, ipVersion, nodeCount, searchTreeSize } = reader.metadata;
  if (binaryFormatMajorVersion !== 2) return { problem: "its format version is not 2" };
  const treeFits = nodeCount > 0 && searchTreeSize + separatorBytes <= metadataStart - metadataMarker.length;
  if ((ipVersion !== 4 && ipVersion !== 6) || !treeFits) return { problem: "it is a corrupt database" };
  const decoder = new BoundedDecoder(bytes, searchTreeSize + separatorBytes);
  // The library has no option for a decoder. The tests of corrupt files fail if it stops using this one.
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
 * Reads the nested names of MaxMind and DB-IP, or the flat ones of others. A region is a full ISO 3166-2 code with the
 * country: the database's part of it is ambiguous (`CA` is California or Cádiz).
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
