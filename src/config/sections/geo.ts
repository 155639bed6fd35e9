import type { GeoDatabase, GeoField } from "../../identify/geo-database.ts";
import type { CompileContext } from "../compile-context.ts";
import { filePath } from "../scalars.ts";
import { object, required } from "../schema-kit/object.ts";
import type { Infer } from "../schema-kit/schema.ts";
import { quote } from "../schema-kit/tree.ts";

export const geoSchema = object(
  { database: required("A MaxMind database (.mmdb); read again when it changes.", filePath) },
  { what: "geo" },
);

/** Databases say in their type what they are about, such as `GeoLite2-Country`. */
const aboutCountries = /\bcountry\b/i;
const finerThanCountries: ReadonlySet<GeoField> = new Set(["region", "city"]);

/** Undefined where none is named, or with the problem told. */
interface PlaceReaders {
  readonly geo: Infer<typeof geoSchema> | undefined;
  readonly attributes: readonly { readonly value: { readonly from: readonly PlaceSource[] } }[];
}

interface PlaceSource {
  readonly geo: GeoField | undefined;
}

export function compileGeo(config: PlaceReaders, context: CompileContext): GeoDatabase | undefined {
  const { geo } = config;
  if (geo === undefined) return undefined;
  const { parsing } = context;
  const sources = config.attributes.flatMap(({ value }) => value.from.filter(({ geo }) => geo !== undefined));
  if (sources.length === 0 && !parsing.problems.failed) {
    parsing.warn(parsing.keySpanOf(config, "geo"), "unused", "no attribute asks where a client is");
  }
  const database = context.database(geo.database, parsing.spanOf(geo, "database"));
  if (database === undefined || !aboutCountries.test(database.type)) return database;
  for (const source of sources) {
    if (source.geo === undefined || !finerThanCountries.has(source.geo)) continue;
    const message = `the database ${quote(database.type)} knows countries, and no ${source.geo}`;
    parsing.warn(parsing.spanOf(source, "geo"), "risky", message);
  }
  return database;
}
