import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import type { BuiltPage, PageFile } from "../../admin/page/page-files.ts";

const types: Readonly<Record<string, string>> = {
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
};

/** By the name's extension. */
export function typeOf(name: string): string {
  return types[name.split(".").at(-1) ?? ""] ?? "application/octet-stream";
}

export interface Bundle {
  readonly page: BuiltPage;
  /** Names of the packages whose code is in it. */
  readonly packages: readonly string[];
}

/**
 * Bundles the dashboard from its sources, in memory. Needs the development dependencies: a checkout has them, and a
 * package holds the result. `folder`: that of the sources.
 */
export async function bundlePage(folder: URL): Promise<Bundle> {
  const { build, stop } = await import("esbuild");
  try {
    const { outputFiles, metafile } = await build({
      absWorkingDir: fileURLToPath(folder),
      entryPoints: ["main.tsx", "main.css"],
      entryNames: "[name]-[hash]",
      outdir: "assets",
      bundle: true,
      minify: true,
      write: false,
      format: "esm",
      target: "es2023",
      jsx: "automatic",
      jsxImportSource: "preact",
      metafile: true,
      logLevel: "silent",
    });
    const files = outputFiles.map(({ path, contents }): PageFile => {
      const name = basename(path);
      return { path: `/assets/${name}`, type: typeOf(name), body: Buffer.from(contents) };
    });
    const html = await readFile(new URL("index.html", folder), "utf8");
    return { page: { html: withNames(html, files), files }, packages: packagesOf(Object.keys(metafile.inputs)) };
  } finally {
    // It runs a separate process until then.
    await stop();
  }
}

/** Of the paths of sources, those of packages are below `node_modules`. */
function packagesOf(paths: readonly string[]): readonly string[] {
  const names = paths.flatMap((path) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []);
  return [...new Set(names)].sort();
}

/** The page names its files as in the sources; what is served has a digest in its name, so that it can be cached. */
function withNames(html: string, files: readonly PageFile[]): string {
  return files.reduce((text, { path }) => {
    const plain = path.replace(/-[^-.]+\./, ".");
    return text.replaceAll(plain, path);
  }, html);
}
