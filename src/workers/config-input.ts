import type { Environment } from "../config/kit/environment.ts";
import { type ConfigSources, type LoadedConfig, loadConfigText } from "../config/load.ts";
import { GeoDatabase } from "../identify/geo-database.ts";

/**
 * A configuration as it travels to a worker: it holds functions once compiled, which cannot be sent, so each worker
 * compiles the same input. Nothing is read from the disk again, where it may be another file by now.
 */
export interface ConfigInput extends ConfigSources {
  /** The file's name in messages, and where relative paths start. */
  readonly file: string;
  /** The random secrets of releases without a secretFile. */
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  /** What must come of it. */
  readonly hash: string;
}

/** Throws where the input does not give the configuration that it gave in the main thread. */
export function compileInput(input: ConfigInput, env: Environment): LoadedConfig {
  const loaded = loadConfigText(input.text, {
    file: input.file,
    env,
    readFile: (path) => known(input.files, path),
    randomSecret: (release) => known(input.secrets, release),
    openDatabase: () => GeoDatabase.open(input.database ?? noDatabase),
  });
  if (!loaded.ok) throw new TypeError(`the configuration does not compile: ${loaded.problems[0]?.message}`);
  if (loaded.hash !== input.hash) throw new TypeError(`the configuration has the hash ${loaded.hash}`);
  return loaded;
}

const noDatabase = { bytes: new Uint8Array(), digest: "" };

function known(map: ReadonlyMap<string, Uint8Array>, key: string): Uint8Array {
  const bytes = map.get(key);
  if (bytes === undefined) throw new TypeError(`"${key}" is not among what was sent`);
  return bytes;
}
