import { spawn } from "node:child_process";
import { json } from "node:stream/consumers";

export interface Loaded {
  /** Names of packages, sorted. */
  readonly packages: readonly string[];
  /** Node's own modules that serve or connect. */
  readonly network: readonly string[];
}

/** Runs a module in a new Node process; what it loads. */
export async function loadedBy(script: string): Promise<Loaded> {
  const watched = `
    const { registerHooks } = await import("node:module");
    const packages = new Set();
    registerHooks({ load(url, context, next) {
      const [, name] = /node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url) ?? [];
      if (name !== undefined) packages.add(name);
      return next(url, context);
    } });
    ${script}
    const network = process.moduleLoadList.filter((name) => /^NativeModule (?:_?http|https|net|tls|internal\\/deps\\/undici)/.test(name));
    process.stdout.write(JSON.stringify({ packages: [...packages].sort(), network }));`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", watched], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return (await json(child.stdout)) as Loaded;
}
