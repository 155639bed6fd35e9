import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);

/**
 * Loads the client. It has a module for each of Redis' five hundred commands, which take 0.3 s together: here they are
 * loaded one in each turn of the event loop, so that no request waits for them. Where its folders are other ones, it is
 * loaded at once.
 */
export function loadClient(): Promise<Client> {
  loaded ??= load();
  return loaded;
}

type Client = typeof import("@redis/client");
let loaded: Promise<Client> | undefined;

async function load(): Promise<Client> {
  for (const file of commandFiles()) {
    require(file);
    await new Promise(setImmediate);
  }
  return import("@redis/client");
}

function commandFiles(): readonly string[] {
  try {
    const folder = join(dirname(require.resolve("@redis/client")), "lib/commands");
    return readdirSync(folder)
      .filter((name) => name.endsWith(".js") && name !== "index.js")
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}
