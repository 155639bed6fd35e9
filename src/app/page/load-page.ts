import { readdir, readFile } from "node:fs/promises";
import { extname } from "node:path";
import type { BuiltPage } from "../../admin/page/page-files.ts";
import { bundlePage, typeOf } from "./bundle-page.ts";

/** Whether this runs from its sources: tsc writes `.js`. */
const isCheckout = extname(import.meta.url) === ".ts";
const folder = new URL("../../dashboard/", import.meta.url);

/** The dashboard's files: from the package as they were built, in a checkout bundled now. */
export async function loadPage(): Promise<BuiltPage> {
  if (isCheckout) return (await bundlePage(folder)).page;
  const names = await readdir(new URL("assets/", folder));
  const files = names.map(async (name) => {
    return { path: `/assets/${name}`, type: typeOf(name), body: await readFile(new URL(`assets/${name}`, folder)) };
  });
  return { html: await readFile(new URL("index.html", folder), "utf8"), files: await Promise.all(files) };
}
