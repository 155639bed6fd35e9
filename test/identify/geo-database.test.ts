import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAddress } from "../../src/decide/ip-address.ts";
import { GeoDatabase, type Place } from "../../src/identify/geo-database.ts";
import { control, type MmdbOptions, mmdb, pointerTo, RawBytes, type Value } from "../kit/mmdb.ts";

function open(bytes: Uint8Array): GeoDatabase | { readonly problem: string } {
  return GeoDatabase.open({ bytes, digest: "" });
}

function place(bytes: Uint8Array, text: string): Place {
  const [database, address] = [open(bytes), parseAddress(text)];
  if ("problem" in database || address === undefined) throw new Error("problem" in database ? database.problem : text);
  return database.lookup(address);
}

const sanFrancisco = {
  country: { iso_code: "US" },
  continent: { code: "NA" },
  subdivisions: [{ iso_code: "CA", names: { en: "California" } }],
  city: { names: { de: "San Francisco (Stadt)", en: "San Francisco" } },
};
const networks = {
  "192.0.2.0/24": sanFrancisco,
  "192.0.2.128/25": { country: { iso_code: "ES" }, subdivisions: [{ iso_code: "CA" }] },
  "198.51.100.7/32": { country_code: "DE", continent_code: "EU" },
  "203.0.113.0/24": { registered_country: { iso_code: "FR" } },
  "2001:db8::/32": { country: { iso_code: "CN" }, subdivisions: [{}], city: { names: {} } },
};

describe("a place", () => {
  const cases: readonly [text: string, wanted: Partial<Place>][] = [
    ["192.0.2.1", { country: "US", region: "US-CA", continent: "NA", city: "San Francisco" }],
    ["::ffff:192.0.2.1", { country: "US" }],
    ["192.0.2.200", { country: "ES", region: "ES-CA", continent: undefined, city: undefined }],
    ["198.51.100.7", { country: "DE", continent: "EU", region: undefined }],
    ["198.51.100.8", { country: undefined }],
    ["203.0.113.1", { country: undefined }],
    ["2001:db8::1", { country: "CN", region: undefined, city: undefined }],
    ["2001:db9::1", { country: undefined }],
    ["10.0.0.1", { country: undefined }],
  ];
  const kinds: readonly MmdbOptions[] = [{ recordSize: 24 }, { recordSize: 28 }, { recordSize: 32 }];
  it.each(cases)("of %s", (text, wanted) => {
    for (const options of kinds) {
      expect(place(mmdb(networks, options), text)).toMatchObject({ ...wanted, readable: true });
    }
  });

  it("of an IPv6 address is not looked up in an IPv4 database", () => {
    const bytes = mmdb({ "32.1.13.184/32": sanFrancisco }, { ipVersion: 4 });
    expect(place(bytes, "32.1.13.184").country).toBe("US");
    expect(place(bytes, "2001:db8::1")).toMatchObject({ country: undefined, readable: true });
  });

  it("is cached", () => {
    const database = open(mmdb(networks));
    if ("problem" in database) throw new Error(database.problem);
    const address = parseAddress("192.0.2.1") ?? expect.unreachable();
    const first = database.lookup(address);
    expect(database.lookup(address)).toBe(first);
  });
});

describe("an unusable file", () => {
  const whole = mmdb(networks);
  const cases: readonly [sentence: string, bytes: Uint8Array, problem: string][] = [
    ["an empty file", new Uint8Array(), "it is not a MaxMind database (.mmdb)"],
    ["text", Buffer.from("country,iso\n"), "it is not a MaxMind database (.mmdb)"],
    [
      "only the marker",
      whole.subarray(whole.lastIndexOf(Buffer.from("\xab\xcd\xefMaxMind.com", "latin1"))).subarray(0, 14),
      "it is a corrupt database",
    ],
    ["only the end of a database", whole.subarray(-300), "it is a corrupt database"],
    ["only the start of a database", whole.subarray(0, 200), "it is not a MaxMind database (.mmdb)"],
    [
      "another format version",
      mmdb(networks, { metadata: { binary_format_major_version: 3 } }),
      "its format version is not 2",
    ],
    ["more nodes than bytes", mmdb(networks, { metadata: { node_count: 4_000_000_000 } }), "it is a corrupt database"],
    ["no nodes", mmdb(networks, { metadata: { node_count: 0 } }), "it is a corrupt database"],
    ["an unknown record size", mmdb(networks, { metadata: { record_size: 20 } }), "it is a corrupt database"],
    ["an unknown IP version", mmdb(networks, { metadata: { ip_version: 5 } }), "it is a corrupt database"],
  ];
  it.each(cases)("is rejected: %s", (_sentence, bytes, problem) => {
    expect(open(bytes)).toEqual({ problem });
  });
});

describe("a corrupt record takes no longer than a large one", () => {
  /** Each level points to the next eight times. */
  const levels = 30;
  const level = (index: number) => Buffer.concat([control(11, 8), ...new Array(8).fill(pointerTo((index + 1) * 42))]);
  const fan = Buffer.concat([...Array.from({ length: levels }, (_, index) => level(index)), control(11, 0)]);
  const records: readonly [sentence: string, record: Value][] = [
    ["a pointer to itself", new RawBytes(pointerTo(0))],
    [
      "a map that contains itself",
      new RawBytes(Buffer.concat([control(7, 1), control(2, 1), Buffer.from("a"), pointerTo(0)])),
    ],
    ["pointers that fan out", new RawBytes(fan)],
    ["a list of sixteen million values", new RawBytes(control(11, 16_000_000))],
    ["a text of sixteen million bytes", new RawBytes(control(2, 16_000_000))],
    ["a pointer past the end of the file", new RawBytes(pointerTo(2 ** 31))],
    ["an unknown type", new RawBytes(Buffer.from([0, 0]))],
    [
      "five thousand values",
      new RawBytes(Buffer.concat([control(11, 5_000), Buffer.alloc(10_000, Buffer.from([0, 7]))])),
    ],
  ];
  it.each(records)("%s", (_sentence, record) => {
    const started = performance.now();
    expect(place(mmdb({ "192.0.2.0/24": record }), "192.0.2.1")).toMatchObject({ country: undefined, readable: false });
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  it("nor does corrupt metadata", () => {
    const started = performance.now();
    expect(open(mmdb(networks, { metadata: { description: new RawBytes(pointerTo(0)) } }))).toHaveProperty("problem");
    expect(open(mmdb(networks, { metadata: { languages: new RawBytes(fan) } }))).toHaveProperty("problem");
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

it("truncated and garbled databases neither throw nor hang", () => {
  const whole = mmdb(networks);
  const addresses = ["192.0.2.1", "198.51.100.7", "2001:db8::1", "0.0.0.0", "ffff::"].map((text) => parseAddress(text));
  const edit = fc.record({ at: fc.nat(whole.length - 1), byte: fc.nat(255) });
  const garbled = fc.record({ from: fc.nat(64), edits: fc.array(edit, { maxLength: 12 }), cut: fc.nat(8) });
  fc.assert(
    fc.property(garbled, ({ from, edits, cut }) => {
      const bytes = Buffer.from(whole);
      for (const { at, byte } of edits) bytes[at] = byte;
      const database = open(bytes.subarray(from % 8 === 0 ? from : 0, bytes.length - cut));
      if ("problem" in database) return;
      for (const address of addresses) if (address !== undefined) database.lookup(address);
    }),
    { numRuns: 5_000 },
  );
}, 30_000);
