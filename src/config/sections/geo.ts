import type { GeoDatabase, GeoField } from "../../identify/geo-database.ts";
import type { CompileContext } from "../compile-context.ts";
import { localPath } from "../scalars.ts";
import { object, required } from "../schema-kit/object.ts";
import type { Infer } from "../schema-kit/schema.ts";
import { quote } from "../schema-kit/tree.ts";

export const geoSchema = object(
  { database: required("A MaxMind database file (.mmdb), which is reloaded when it changes.", localPath) },
  { what: "geo" },
);

/** The parts of the configuration that refer to the database. */
interface GeoUsers {
  readonly geo: Infer<typeof geoSchema> | undefined;
  readonly attributes: readonly { readonly value: { readonly from: readonly GeoSource[] } }[];
}

interface GeoSource {
  readonly geo: GeoField | undefined;
}

/** Undefined if none is configured, or if it cannot be used; the problem is then reported. */
export function compileGeo(config: GeoUsers, context: CompileContext): GeoDatabase | undefined {
  const { geo } = config;
  if (geo === undefined) return undefined;
  const { parsing } = context;
  const sources = config.attributes.flatMap(({ value }) => value.from.filter(({ geo }) => geo !== undefined));
  if (sources.length === 0 && !parsing.problems.failed) {
    parsing.warn(parsing.keySpanOf(config, "geo"), "unused", "no attribute has a geo source");
  }
  const database = context.database(geo.database, parsing.spanOf(geo, "database"));
  if (database === undefined || !countryDatabase.test(database.type)) return database;
  for (const source of sources) {
    if (source.geo === undefined || !missingInCountryDatabase.has(source.geo)) continue;
    const message = `the database ${quote(database.type)} contains countries only, so ${source.geo} is always unknown`;
    parsing.warn(parsing.spanOf(source, "geo"), "risky", message);
  }
  return database;
}

/** Matches the type in a database's metadata, such as `GeoLite2-Country`. */
const countryDatabase = /\bcountry\b/i;
const missingInCountryDatabase: ReadonlySet<GeoField> = new Set(["region", "city"]);
