import { mkdir, readFile, writeFile } from "node:fs/promises";
import { bundlePage } from "./bundle-page.ts";

// Part of `npm run build`: puts the bundled dashboard where the built program looks for it.
const checkout = new URL("../../../", import.meta.url);
const folder = new URL("dist/dashboard/", checkout);
const { page, packages } = await bundlePage(new URL("src/dashboard/", checkout));
await mkdir(new URL("assets/", folder), { recursive: true });
await writeFile(new URL("index.html", folder), page.html);
for (const { path, body } of page.files) await writeFile(new URL(`.${path}`, folder), body);
// Their licences want to go with the code.
const licences = packages.map(async (name) => {
  return `${name}\n\n${await readFile(new URL(`node_modules/${name}/LICENSE`, checkout), "utf8")}`;
});
await writeFile(new URL("LICENSES.txt", folder), (await Promise.all(licences)).join("\n\n"));
